"""Budgets as people write them. Pure."""

import re
from decimal import Decimal

from models.errors import BadInputError
from models.nano import NANO
from models.prices import PriceTable

LARGEST_USD = 1_000_000_000
_WRITTEN = re.compile(
    r"(?P<before>usd|eur|\$|€)?\s*(?P<number>\d{1,12}(?:\.\d{1,9})?)\s*(?P<after>usd|eur|\$|€)?",
    re.IGNORECASE | re.ASCII,
)
_EUROS = ("eur", "€")


def parse_budget(text: str, prices: PriceTable) -> int:
    """`5`, `5USD`, `$5`, `2.50 EUR` in nano-USD. Raises `BadInputError` with what would do.

    Euros are changed at the price table's own dated rate; a table without one refuses them.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or (found["before"] and found["after"]):
        raise BadInputError(
            f"the budget {text[:40]!r} cannot be read: write 5, 5USD or 5EUR, parts as 2.50"
        )
    usd = Decimal(found["number"])
    if (found["before"] or found["after"] or "").lower() in _EUROS:
        usd *= _rate(prices)
    if usd > LARGEST_USD:
        raise BadInputError(f"the budget {text[:40]!r} is above {LARGEST_USD:,} USD")
    nano = int(usd * NANO)
    if not nano:
        raise BadInputError("a budget of nothing pays for nothing: give more than 0")
    return nano


def _rate(prices: PriceTable) -> Decimal:
    if prices.usd_per_eur is None:
        raise BadInputError(
            f"the price table of {prices.as_of} has no `usd_per_eur`: give the budget in USD, "
            "or add the rate to the table that MAESTRALE_PRICES names"
        )
    return Decimal(str(prices.usd_per_eur))
