"""Lengths of time on the command line: read exactly, or refused with advice."""

import pytest

from models.errors import BadInputError
from producers.cli.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("1d12h", 129_600),
        (" 1.5 H ", 5_400),
    ],
)
def test_what_people_type_is_understood(text: str, seconds: float):
    """A number and a unit, several of them too, with blanks and capitals."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "0d", "1y", "1d 2", "d1", "1e3d", "١d", "999999999w", "30d;"]
)
def test_what_is_no_length_of_time_is_refused_with_advice(text: str):
    """No guess: a bare number has no unit, and nothing is skipped."""
    with pytest.raises(BadInputError, match="30d"):
        parse_duration(text)
