"""Stages of kind `dataset`: records become a dataset, divided. Done at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from models.errors import MaestraleError
from models.pipelines.checking import shares_of
from models.pipelines.schema import MakeDataset
from models.tables import Job
from producers.client import Maestrale
from producers.datasets import Dataset, open_dataset
from producers.datasets.making import Wish, make
from producers.datasets.manifest import Filters, Shape
from producers.datasets.splitting import checked_shares, split
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Lost, Made, Outcome

PARTS = ("train", "validation", "test")


def begin(hand: Hand) -> Outcome:
    """Makes and divides it; done again it is the same."""
    asked = cast("MakeDataset", hand.asked)
    dataset = make(hand.maestrale, hand.name, _wish(hand, asked))
    if asked.split:
        dataset = split(
            hand.maestrale.settings,
            hand.name,
            checked_shares(*shares_of(asked.split)),
            seed=asked.seed,
            group_by=asked.group_by,
        )
    return Made(_output(dataset))


def collect(hand: Hand, job: Job) -> Outcome:
    """No job makes datasets."""
    return Lost(f"{hand.stage.name} makes a dataset, which no job does, and {job.id} is one")


def expect(_hand: Hand) -> Expected:
    """Nothing is paid for it."""
    return Expected("a dataset of what is made before it")


def is_there(maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether the dataset is still what it was."""
    try:
        dataset = open_dataset(maestrale.settings, output["folder"])
    except MaestraleError:
        return False
    return dataset.manifest.hash == output["hash"] and dataset.is_unchanged()


def _wish(hand: Hand, asked: MakeDataset) -> Wish:
    return Wish(
        sources=[hand.file(source) for source in asked.sources],
        filters=Filters(
            min_chars=asked.min_chars,
            max_chars=asked.max_chars,
            max_tokens=asked.max_tokens,
            forbid=asked.forbid,
            require_field=asked.require_field,
        ),
        shape=Shape(
            system=asked.system or "",
            prompt=asked.prompt or "",
            answer=asked.answer or "",
            split_field=asked.split_field or "",
        ),
        dedupe=asked.dedupe,
        threshold=asked.threshold,
        max_rejected_share=asked.max_rejected,
        on_duplicate=asked.on_duplicate,
        overwrite=True,
    )


def _output(dataset: Dataset) -> dict[str, Any]:
    parts = {part: str(dataset.path(part)) for part in dataset.parts if part in PARTS}
    counts = {part: told.rows for part, told in dataset.manifest.parts.items()}
    told = {"name": dataset.name, "folder": str(Path(dataset.folder)), **parts}
    return {**told, "counts": counts, "hash": dataset.manifest.hash}
