"""What stages that have not run may make: a few made-up rows of each in a file, and about how many
there will be. Stages after them are planned with these as with real ones; nothing is kept."""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson

from models.prices import ModelPrice, PriceTable, load_prices
from models.training import DatasetRef
from producers.client import Maestrale
from producers.estimate import SAMPLE

T = TypeVar("T")
LATER = "(to be made)"
"""In place of an id or a file that nobody can know, and that no estimate reads."""
NO_DIGEST = "0" * 64
"""Of a stage whose inputs are not made yet: nothing is known by it."""

NAMELESS = f"-{NO_DIGEST[:8]}"
"""How names of what such a stage makes end."""


class Ahead:
    """What is expected so far; `folder` is for its files, and goes when the plan is made."""

    def __init__(self, maestrale: Maestrale, folder: Path) -> None:
        self._maestrale = maestrale
        self._folder = folder
        self._whole: dict[str, float] = {}
        self.datasets: dict[str, DatasetRef] = {}
        """By the name of one that is not made yet."""
        self.stores: dict[str, str] = {}
        """The model that embeds each store that is not made yet."""
        self._own: set[str] = set()

    def put(self, name: str, rows: Iterable[Mapping[str, Any]], whole: float) -> str:
        """The file of some rows that stand for so many."""
        path = self._folder / f"{name}.jsonl"
        lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]
        path.write_bytes(b"".join(lines))
        self._whole[str(path)] = whole
        return str(path)

    def whole(self, path: str, taken: int, limit: int | None = None) -> float:
        """How many rows will be taken of a file of which `taken` are there now."""
        whole = self._whole.get(path)
        if whole is None:
            return taken
        return whole if limit is None else min(whole, limit)

    def serve(self, *names: str) -> None:
        """Models on this machine: asked for nothing, unless the table has a price for them."""
        self._own.update(names)

    def own(self, names: Iterable[str]) -> list[str]:
        """Those of the models that cost nothing because they are on this machine."""
        prices = load_prices(self.client.settings.prices_file)
        own = [(name, prices.price(name)) for name in names if name in self._own]
        return [name for name, price in own if price and not (price.input or price.output)]

    @property
    def client(self) -> Maestrale:
        """A client whose prices know the models on this machine, too."""
        table = load_prices(self._maestrale.settings.prices_file)
        lacking = {name for name in self._own if table.price(name) is None}
        if not lacking:
            return self._maestrale
        free = dict.fromkeys(lacking, ModelPrice(input=0, output=0))
        place = self._folder / f"prices-{len(lacking)}.toml"
        place.write_text(
            _as_toml(table.model_copy(update={"models": {**table.models, **free}})), "utf-8"
        )
        client = copy.copy(self._maestrale)
        client.settings = self._maestrale.settings.model_copy(update={"prices_file": place})
        return client


def some(rows: Iterable[T]) -> tuple[list[T], int]:
    """At most twice `SAMPLE` of the rows, evenly spread, and how many there are."""
    kept: list[T] = []
    step, count = 1, 0
    for count, row in enumerate(rows, start=1):
        if (count - 1) % step == 0:
            kept.append(row)
        if len(kept) == 2 * SAMPLE:
            kept, step = kept[::2], 2 * step
    return kept, count


def spread(rows: Iterable[T], count: int) -> Iterator[T]:
    """At most `SAMPLE` of `count` rows, evenly spread."""
    return islice(rows, 0, None, max(1, -(-count // SAMPLE)))


def _as_toml(table: PriceTable) -> str:
    told = table.model_dump(exclude_none=True)
    models = told.pop("models")
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    for model, prices in models.items():
        lines.append(f"[models.{json.dumps(model)}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in prices.items()]
    return "\n".join(lines)
