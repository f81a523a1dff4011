"""Dated price tables as data, and the one place where tokens become money."""

import tomllib
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from models.errors import BadInputError
from models.nano import NANO
from models.payloads import Usage

SHIPPED = "2026-08.toml"
TUNED = "ft:"
"""How the provider's names of tuned models begin; base, suffix, date and more follow."""


class ModelPrice(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: float = Field(ge=0)
    """Per million tokens sent."""
    output: float = Field(ge=0)
    """Per million tokens answered."""
    training: float | None = Field(default=None, ge=0)
    """Per million tokens trained on; without it a training's cost is unknown."""


class PriceTable(BaseModel):
    """What models cost on a date. A model that is not in it has an unknown cost, never zero."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    as_of: str
    """The date of the prices, as `maestrale doctor` tells it."""
    source: str = ""
    """Where they were read."""
    cached_input_factor: float = Field(default=0.1, ge=0, le=1)
    """What a token sent that the provider had cached costs, of the price of one."""
    batch_factor: float = Field(default=0.5, ge=0, le=1)
    """What a call by batch costs, of its price in real time."""
    usd_per_eur: float | None = Field(default=None, gt=0, le=100)
    """For budgets in euros, on the date of the table; without it they are refused."""
    models: dict[str, ModelPrice]
    """`[models.NAME]`: prices by name. A model has the price of the longest name that it begins
    with (before a `-`); one that the provider tuned (`ft:BASE:...`) has that of its base, unless
    the table has `[models."ft:BASE"]`."""

    def price(self, model: str) -> ModelPrice | None:
        """The price of the longest name in the table that `model` starts with.

        A model that the provider tuned (`ft:BASE:...`) costs what its base costs, unless the table
        has a price of its own for it (`"ft:BASE"`). An assumption of 2026-08-15: the public price
        page lists none for calls of tuned models.
        """
        if model not in self._found:
            found = self._listed(model)
            if found is None and model.startswith(TUNED):
                found = self._listed(model.removeprefix(TUNED).partition(":")[0])
            self._found[model] = found
        return self._found[model]

    def _listed(self, model: str) -> ModelPrice | None:
        names = [name for name in self.models if model == name or model.startswith(_begins(name))]
        return self.models[max(names, key=len)] if names else None

    @cached_property
    def _found(self) -> dict[str, ModelPrice | None]:
        """Models asked for before: each call asks twice."""
        return {}

    def cost_nano(self, model: str, usage: Usage, *, batch: bool = False) -> int | None:
        """Nano-USD of one call, in real time or by batch; None if the model's price is unknown."""
        price = self.price(model)
        if price is None:
            return None
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        full = usage.prompt_tokens - cached
        millionths = (
            full * price.input
            + cached * price.input * self.cached_input_factor
            + usage.completion_tokens * price.output
        )
        factor = self.batch_factor if batch else 1.0
        return round(millionths * factor * NANO / 1_000_000)


def _begins(name: str) -> tuple[str, ...]:
    """How models that belong to this name of the table begin."""
    return (f"{name}-", f"{name}:") if name.startswith(TUNED) else (f"{name}-",)


@lru_cache
def load_prices(path: Path | None = None) -> PriceTable:
    """The operator's table, or the shipped one. Raises `BadInputError` naming what is wrong."""
    try:
        text = (
            path.read_text("utf-8")
            if path
            else resources.files(__package__).joinpath(SHIPPED).read_text("utf-8")
        )
        return PriceTable.model_validate(tomllib.loads(text))
    except (OSError, ValueError) as error:  # not TOML, not UTF-8, or not a table of prices
        raise BadInputError(f"the price table {path or SHIPPED} cannot be used: {error}") from error
