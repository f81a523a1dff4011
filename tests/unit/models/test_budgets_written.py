"""Budgets as people write them: read exactly, or refused with what would do."""

import pytest

from models.budgets import parse_budget
from models.errors import BadInputError
from models.nano import NANO
from models.prices import PriceTable, load_prices

WITH_RATE = PriceTable(as_of="2026-01-01", models={}, usd_per_eur=1.25)
WITHOUT = PriceTable(as_of="2026-01-01", models={})


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("5", 5 * NANO),
        ("5USD", 5 * NANO),
        (" 5 usd ", 5 * NANO),
        ("$5", 5 * NANO),
        ("5$", 5 * NANO),
        ("USD 0.10", NANO // 10),
        ("0.000000001", 1),
        ("2.50EUR", 3_125_000_000),
        ("€2", 2_500_000_000),
        ("1000000000", 10**9 * NANO),
    ],
)
def test_a_budget_is_read_to_the_nano(text: str, nano: int) -> None:
    """Sign or letters, before or after; dollars unless euros are said."""
    assert parse_budget(text, WITH_RATE) == nano


WRONG = "five|5,50|1_000|-5|5GBP|USD5EUR|$5USD|5.|.5|1e3|inf|nan|0|0.0000000001|٥|5 5|5USD; rm|"


@pytest.mark.parametrize("text", [*WRONG.split("|"), "9" * 13, "1000000001"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    """No guess: another reading of it could be a thousand times as much."""
    with pytest.raises(BadInputError):
        parse_budget(text, WITH_RATE)


def test_euros_need_a_rate() -> None:
    """A table without one says what to do; the shipped one has one."""
    with pytest.raises(BadInputError, match="usd_per_eur"):
        parse_budget("5EUR", WITHOUT)
    assert parse_budget("5EUR", load_prices()) > 5 * NANO


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 1e6])
def test_a_rate_that_cannot_be_is_refused(rate: float) -> None:
    """As every price of a table is checked."""
    with pytest.raises(ValueError, match="usd_per_eur"):
        PriceTable(as_of="2026-01-01", models={}, usd_per_eur=rate)
