"""Limits told by the user: what parses, what does not, and which one holds."""

import pytest

from models.errors import BadInputError
from models.limits import Limit, limit_for, parse_limits


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("small=20/s", {"small": Limit(1200.0)}),
        ("small=60/min", {"small": Limit(60.0)}),
        ("small=60/m", {"small": Limit(60.0)}),
        ("small=0.5/s", {"small": Limit(30.0)}),
        ("small=120/h", {"small": Limit(2.0)}),
        ("small=500000tok/min", {"small": Limit(None, 500_000.0)}),
        ("small=10tok/sec", {"small": Limit(None, 600.0)}),
        ("small=20/s+2000000tok/min", {"small": Limit(1200.0, 2e6)}),
        ("small=2000000tok/min+20/s", {"small": Limit(1200.0, 2e6)}),
        ("*=60/min", {"*": Limit(60.0)}),
        ("=60/min", {"*": Limit(60.0)}),
        ("small=0/min", {"small": Limit(0.0)}),
        (" a = 1/s + 5tok/s , b=2/s,", {"a": Limit(60.0, 300.0), "b": Limit(120.0)}),
        ("", {}),
        (" , ", {}),
    ],
)
def test_limits_that_parse(text: str, limits: dict[str, Limit]) -> None:
    """All become requests and tokens per minute, told by the user."""
    assert parse_limits(text) == limits
    assert all(limit.source == "told" for limit in parse_limits(text).values())


@pytest.mark.parametrize(
    "text",
    [
        *("small", "small=", "small=20", "small=/s", "small=-1/s", "small=20/day", "small=1e3/s"),
        *("small=20/s+", "small=20/s 5tok/s", "small=20 req/s", "small=nan/s", "small=2,5/s"),
        "a=1/s,b=oops",
    ],
)
def test_limits_that_do_not(text: str) -> None:
    """The part that is wrong is named, with the way to write it."""
    with pytest.raises(BadInputError, match=r"does not parse: write it as model=20/s") as caught:
        parse_limits(text)
    assert caught.value.exit_code == 2
    bad = next(entry for entry in text.split(",") if entry != "a=1/s")
    assert repr(bad) in str(caught.value)


def test_a_models_own_limit_comes_first() -> None:
    """Else the one told for `*` holds, else none is known; 0 is a limit, not a gap."""
    limits = parse_limits("small=0/min, *=60/min")
    assert limit_for("small", limits) == Limit(0.0)
    assert limit_for("large", limits) == Limit(60.0)
    assert limit_for("large", {"small": Limit(1.0)}) is None
