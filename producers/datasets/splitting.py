"""Train, validation, test: each group's hash decides, so that growth moves no row."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from models.errors import BadInputError
from models.settings import Settings
from models.training.contents import PARTS
from producers.datasets import folders
from producers.datasets.dataset import Dataset, open_dataset
from producers.datasets.filtering import field_of
from producers.datasets.manifest import Split
from producers.datasets.shaping import Row
from producers.datasets.writing import Writer, stamp, write_all, write_manifest

_EXAMPLES = 3


def checked_shares(train: float, validation: float, test: float | None = None) -> dict[str, float]:
    """Shares by part; `test` None: what is left. `BadInputError` unless they sum to 1."""
    rest = round(1 - train - validation, 9) if test is None else test
    shares = dict(zip(PARTS, (train, validation, rest), strict=True))
    if min(shares.values()) < 0 or not train or not math.isclose(sum(shares.values()), 1):
        told = " + ".join(f"{share:g}" for share in shares.values())
        raise BadInputError(f"the shares {told} must sum to 1, with some for train")
    return shares


def part_for(key: str, shares: Mapping[str, float], seed: int) -> str:
    """The part of a group: its hash as a number in [0, 1) falls into one part's share."""
    digest = hashlib.sha256(json.dumps([seed, key]).encode()).digest()
    point = int.from_bytes(digest[:8]) / 2**64
    upto = 0.0
    for part, share in shares.items():
        upto += share
        if point < upto:
            return part
    return next(part for part in reversed(PARTS) if shares[part])


def group_of(row: Row, field: str) -> str:
    """What must not stand on both sides: the field's value, else the input row it comes from.

    Raises `BadInputError` where the field is missing or is several values.
    """
    if not field:
        return str(row.get("meta", {}).get("row") or row["id"])
    value = field_of(row, field)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == "":
        raise BadInputError(f"row {row['id']!r} has no `{field}`")
    if isinstance(value, list | dict):
        raise BadInputError(
            f"row {row['id']!r} has several values in `{field}`, and would stand in several groups"
        )
    return str(value)


def split(
    settings: Settings,
    name_or_path: str,
    shares: Mapping[str, float],
    *,
    seed: int = 7,
    group_by: str = "",
    count_tokens: bool = True,
) -> Dataset:
    """Divides a dataset, whether or not it was divided before; answers it as it then stands.

    Raises `BadInputError` before anything is written if a row has no group.
    """
    dataset = open_dataset(settings, name_or_path)
    groups = _check_groups(dataset, group_by)
    with folders.replacing(dataset.folder, overwrite=True) as draft:
        with Writer(draft) as writer:
            write_all(writer, _divided(dataset, shares, seed, group_by))
            found = dataset.manifest.model_copy(
                update={
                    "parts": writer.parts(),
                    "hash": writer.hexdigest(),
                    "tokens": writer.count_tokens() if count_tokens else None,
                    "split": Split(
                        shares=dict(shares), seed=seed, group_by=group_by, groups=groups
                    ),
                    **stamp(),
                }
            )
        rejects = dataset.folder / folders.REJECTS
        if rejects.is_file():
            (draft / folders.REJECTS).write_bytes(rejects.read_bytes())
        write_manifest(draft, found)
    return Dataset(dataset.folder, found)


def _divided(
    dataset: Dataset, shares: Mapping[str, float], seed: int, group_by: str
) -> Iterator[tuple[str, Row]]:
    for part in dataset.parts:
        for row in dataset.rows(part):
            yield part_for(group_of(row, group_by), shares, seed), row


def _check_groups(dataset: Dataset, group_by: str) -> int:
    """How many groups there are. Names rows without one, all before a byte is written."""
    groups: set[int] = set()
    wrong: list[str] = []
    count = 0
    for part in dataset.parts:
        for row in dataset.rows(part):
            try:
                groups.add(hash(group_of(row, group_by)))
            except BadInputError as error:
                count += 1
                wrong += [str(error)] if len(wrong) < _EXAMPLES else []
    if wrong:
        raise BadInputError(
            f"{count:,} of {dataset.manifest.rows:,} rows cannot be grouped by {group_by!r}: "
            f"{'; '.join(wrong)}; choose another field, or leave such rows out when you make it "
            f"(--require-field {group_by})"
        )
    return len(groups)


def obtained(dataset: Dataset) -> dict[str, Any]:
    """The shares of rows that each part really has."""
    total = max(1, dataset.manifest.rows)
    return {part: dataset.manifest.parts[part].rows / total for part in dataset.parts}
