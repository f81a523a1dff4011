"""Moments as people type them: how long ago, or a date and time."""

from datetime import datetime

import pytest

from models.errors import BadInputError
from producers.cli.moments import parse_moment

NOW = datetime.fromisoformat("2026-08-13T12:00:00+00:00").timestamp()


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [
        ("2h", 7200),
        ("1d12h", 129_600),
        ("2026-08-13T11:30Z", 1800),
        ("2026-08-13T13:30:00+02:00", 1800),
        (" 2026-08-13T11:30+00:00 ", 1800),
    ],
)
def test_a_moment_is_so_long_ago(text: str, ago_s: float) -> None:
    """A length of time counts back from now; a time says its zone."""
    assert NOW - parse_moment(text, NOW) == ago_s


def test_a_time_without_a_zone_is_the_users_own() -> None:
    """As a clock on the wall shows it."""
    local = datetime.fromtimestamp(NOW - 3600)  # noqa: DTZ006 # that is the point
    assert parse_moment(local.isoformat(), NOW) == NOW - 3600
    assert parse_moment("2026-08-01", NOW) < NOW


def test_what_is_neither_is_told_of_both() -> None:
    """Whoever writes a word learns that dates are understood, too."""
    with pytest.raises(BadInputError, match=r"12h.*2026-08-13"):
        parse_moment("yesterday", NOW)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-40", "2026-08-13T25:00", "-2h", "2"])
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    """Exit code 2, and an example."""
    with pytest.raises(BadInputError, match=r"2h|12h"):
        parse_moment(text, NOW)


def test_a_time_to_come_is_a_slip() -> None:
    """Nothing was made since tomorrow."""
    with pytest.raises(BadInputError, match="still to come"):
        parse_moment("2026-08-14", NOW)
