"""Stages of kind `dataset`: records become a dataset, divided. Done at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from models.errors import MaestraleError
from models.pipelines.checking import shares_of
from models.pipelines.schema import MakeDataset
from models.tables import Job
from models.training import DatasetRef
from producers.client import Maestrale
from producers.datasets import Dataset, open_dataset
from producers.datasets.counting import tokenizer_for
from producers.datasets.making import Wish, make
from producers.datasets.manifest import Filters, Shape
from producers.datasets.shaping import NotARowError, Shaper
from producers.datasets.sources import Sources
from producers.datasets.splitting import checked_shares, split
from producers.pipelines.ahead import LATER, Ahead, some
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Lost, Made, Outcome
from producers.readers import KEEP_ONE, ReadOptions

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


def expect(hand: Hand, ahead: Ahead) -> Expected:
    """Nothing is paid for it; no more rows than its sources have, and hashes divide them."""
    asked = cast("MakeDataset", hand.asked)
    wish = _wish(hand, asked)
    parts = _parts(hand.maestrale, wish, ahead)
    if asked.split:
        shares = checked_shares(*shares_of(asked.split))
        whole = [one for part in parts.values() for one in part]
        parts = {part: [one.times(share) for one in whole] for part, share in shares.items()}
    counts = {part: round(sum(one.count for one in some)) for part, some in parts.items()}
    files = {
        part: ahead.put(f"{hand.stage.name}-{part}", _named(some), counts[part])
        for part, some in parts.items()
        if part in PARTS and counts[part]
    }
    ahead.datasets[hand.name] = DatasetRef(
        name=hand.name,
        hash=hand.digest,
        folder="",
        train_rows=counts.get("train", 0),
        validation_rows=counts.get("validation", 0),
        train_tokens=round(sum(one.count * one.tokens for one in parts.get("train", ()))),
    )
    told = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    output = {"name": hand.name, "folder": hand.name, **files, "counts": counts, "hash": LATER}
    return Expected(f"about {told}; nothing is paid", 0.0, output=output)


@dataclass(frozen=True, slots=True)
class _Likely:
    """A row of a source that stands for `count` of them."""

    row: dict[str, Any]
    count: float
    tokens: int

    def times(self, share: float) -> "_Likely":
        return replace(self, count=self.count * share)


def _named(rows: Sequence[_Likely]) -> Iterator[dict[str, Any]]:
    """Under ids that are told once, as those of a dataset."""
    return ({**one.row, "id": f"row-{number}"} for number, one in enumerate(rows, start=1))


def _parts(maestrale: Maestrale, wish: Wish, ahead: Ahead) -> dict[str, list[_Likely]]:
    """Some rows of all sources as the dataset will have them, by the part that they name."""
    shaper, tokenizer = Shaper(wish.shape), tokenizer_for()
    parts: dict[str, list[_Likely]] = {}
    options = ReadOptions(
        max_rejected_share=wish.max_rejected_share,
        on_duplicate=wish.on_duplicate,
        on_stop=KEEP_ONE,
    )
    for source in wish.sources:
        with Sources(maestrale, options) as sources:
            sources.add(source)
            found, count = some(sources.rows())
        stands_for = ahead.whole(source, count) / max(1, len(found))
        for one in found:
            with suppress(NotARowError):  # it is left out of the dataset as well
                row = shaper.shaped(one.data, one.origin)
                likely = _Likely(row, stands_for, tokenizer.count(row)[0])
                parts.setdefault(shaper.part_of(one.data), []).append(likely)
    return parts


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
