"""Figures as people read them: value, interval, n; differences with their sign."""

from typing import Any

import pytest

from models.figure_words import footnotes, worded, written

WORDED = [
    (
        {"value": 0.78, "unit": "share", "low": 0.741, "high": 0.815, "n": 200},
        "78.0% [74.1, 81.5] n=200",
    ),
    (
        {"value": 0.0, "unit": "share", "low": 0.0, "high": 0.0189, "n": 200},
        "0.0% [0.0, 1.9] n=200",
    ),
    ({"value": None, "unit": "share", "n": 0, "why": "nothing"}, "– n=0"),
    ({"value": float("nan"), "unit": "share"}, "–"),
    (
        {"value": 1243.4, "unit": "ms", "low": 1100.0, "high": 1400.0, "n": 20},
        "1,243 ms [1,100, 1,400] n=20",
    ),
    ({"value": 3.24, "unit": "ms"}, "3.2 ms"),
    ({"value": 12_431, "unit": "ms", "low": 9_000, "high": 14_000}, "12.4 s [9.0, 14.0]"),
    ({"value": 12.3, "unit": "usd"}, "$12.30"),
    ({"value": 0.41, "unit": "usd"}, "$0.4100"),
    ({"value": 0.0000123, "unit": "usd"}, "$0.0000123"),
    ({"value": 0.0, "unit": "usd"}, "$0.00"),
    ({"value": 1234.0, "unit": "count"}, "1,234"),
    (
        {"value": 34.56, "unit": "tokens", "low": 30.12, "high": 40.2, "n": 1200},
        "34.6 [30.1, 40.2] n=1,200",
    ),
    ({"value": 0.8123, "unit": "number"}, "0.812"),
    ({"value": 12.345, "unit": "number"}, "12.3"),
    ({"value": 1.424, "unit": "points"}, "1.42"),
    ({"value": 2.3456, "unit": "nats"}, "2.346"),
    ({"value": 2.3456, "unit": "of tomorrow"}, "2.35"),
]


@pytest.mark.parametrize(("figure", "words"), WORDED)
def test_every_unit_has_its_way(figure: dict[str, Any], words: str):
    """Shares as per cent, times in milliseconds or seconds, money never rounded to nothing."""
    assert str(worded(figure)) == words


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.12, 0.041, 0.2, "+12.0 pp [+4.1, +20.0]"),
        (-0.031, -0.06, 0.01, "-3.1 pp [-6.0, +1.0]"),
        (0.0, None, None, "0.0 pp"),
        (-0.00001, None, None, "0.0 pp"),
    ],
)
def test_differences_have_a_sign(value: float, low: float, high: float, words: str):
    """Those of shares are in percentage points; none has a sign."""
    figure = {"value": value, "unit": "share", "low": low, "high": high}
    assert str(worded(figure, is_difference=True)) == words


def test_money_has_its_sign_first():
    """`-$0.50`, not `$-0.50`."""
    assert str(worded({"value": -0.5, "unit": "usd"}, is_difference=True)) == "-$0.5000"


def test_reasons_have_letters():
    """One each, in the order of their coming; figures that lack nothing have none."""
    figures = [{"why": "too few"}, {"why": ""}, {}, {"why": "alike"}, {"why": "too few"}]
    assert footnotes(figures) == {"too few": "a", "alike": "b"}


def test_bare_numbers():
    """As on a chart."""
    assert written(0.5, "share") == "50.0%"
    assert written(None, "share") == "–"
