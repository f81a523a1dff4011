"""Numbers, money and foreign text in words."""

import pytest

from producers.cli.rendering import words


@pytest.mark.parametrize(
    ("nano", "said"),
    [
        (0, "$0.00"),
        (1_000, "$0.000001"),
        (42_000, "$0.00004"),
        (1, "$0.000000001"),
        (41_200_000, "$0.0412"),
        (1_000_000_000, "$1.00"),
        (1_234_567_000_000, "$1,234.57"),
    ],
)
def test_money_is_neither_rounded_to_nothing_nor_overly_exact(nano: int, said: str):
    """Small sums keep decimals; only nothing is zero."""
    assert words.money(nano) == said


def test_an_unknown_cost_is_never_shown_as_zero():
    """All calls unpriced: unknown; some: at least; none: the sum."""
    assert words.cost(0, calls=3, unpriced=3).startswith("unknown")
    assert words.cost(10**9, calls=3, unpriced=1).startswith("at least $1.00 (1 call without")
    assert words.cost(10**9, calls=3, unpriced=0) == "$1.00"
    assert words.estimated_cost(None).startswith("unknown")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (7_500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_durations_name_two_units(seconds: float, said: str):
    """The larger two of them, as people say it."""
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "just now"), (320, "5 min ago"), (7_300, "2 h ago"), (2e5, "2 d ago")]
)
def test_ages(seconds: float, said: str):
    """One unit, rounded down."""
    assert words.ago(seconds) == said


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202egnp.exe\x9b31m\x00\ud800[red]x[/red]"


def test_text_from_data_cannot_move_the_cursor():
    """Controls, C1 controls, bidi overrides and lone surrogates come out as escapes."""
    shown = words.safe(HOSTILE)
    assert shown.isprintable()
    assert "\\x1b" in shown
    assert "[red]x[/red]" in shown


def test_text_from_data_is_cut():
    """A novel in a row's id does not fill the screen."""
    assert words.safe("x" * 1000, 10) == "x" * 10 + "…"


def test_messages_keep_their_lines():
    """A message of several lines stays one; what is between is made safe."""
    assert words.safe_lines("one\ntwo\x1b[31m") == "one\ntwo\\x1b[31m"
