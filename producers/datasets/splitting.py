"""Train, validation, test: each group's hash decides, so that growth moves no row."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from models.errors import BadInputError
from models.settings import Settings
from models.training.contents import PARTS
from models.words import printable
from producers.datasets import folders
from producers.datasets.dataset import Dataset, open_dataset
from producers.datasets.filtering import field_of
from producers.datasets.manifest import Split
from producers.datasets.shaping import Row
from producers.datasets.writing import Writer, stamp, write_manifest
from producers.readers.rejects import listed

_EXAMPLES = 3
_SAMPLE = 1000
"""Rows looked at for the fields that there are."""
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_ALONE = "\0"
"""Begins the group of a row without the field: no value begins so, which no reader lets in."""


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

    Raises `BadInputError` where the field is several values.
    """
    by_itself = str(row.get("meta", {}).get("row") or row["id"])
    if not field:
        return by_itself
    value = field_of(row, field)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value in _NOTHING:
        return _ALONE + by_itself
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

    A row without the field to group by is a group by its input row. Raises `BadInputError` before
    anything is written if no row has the field, or one has several values.
    """
    dataset = open_dataset(settings, name_or_path)
    groups, ungrouped = _check_groups(dataset, group_by)
    told = Split(
        shares=dict(shares), seed=seed, group_by=group_by, groups=groups, ungrouped=ungrouped
    )
    is_checked = dataset.is_checked()
    with folders.replacing(dataset.folder, overwrite=True) as draft:
        with Writer(draft) as writer:
            for row in _all_rows(dataset):
                writer.write(part_for(group_of(row, group_by), shares, seed), row)
            digest = writer.hexdigest()
            changes = {
                "parts": writer.parts(),
                "hash": digest,
                "checked": digest if is_checked else "",
                "tokens": writer.count_tokens() if count_tokens else None,
                "split": told,
                **stamp(),
            }
            found = dataset.manifest.model_copy(update=changes)
        rejects = dataset.folder / folders.REJECTS
        if rejects.is_file():
            (draft / folders.REJECTS).write_bytes(rejects.read_bytes())
        write_manifest(draft, found)
    return Dataset(dataset.folder, found)


def _check_groups(dataset: Dataset, group_by: str) -> tuple[int, int]:
    """How many groups there are, and rows without the field. Names what has several values."""
    groups: set[int] = set()
    wrong: list[str] = []
    rows = count = alone = 0
    for row in _all_rows(dataset):
        rows += 1
        try:
            group = group_of(row, group_by)
        except BadInputError as error:
            count += 1
            wrong += [str(error)] if len(wrong) < _EXAMPLES else []
        else:
            groups.add(hash(group))
            alone += group.startswith(_ALONE)
    if wrong:
        raise BadInputError(
            f"{count:,} of {rows:,} rows cannot be grouped by {group_by!r}: {'; '.join(wrong)}; "
            "group by another field, or make the dataset of rows with one value there"
        )
    if group_by and alone == rows:
        raise _nowhere(dataset, group_by)
    return len(groups), alone


def _all_rows(dataset: Dataset) -> Iterator[Row]:
    return chain.from_iterable(map(dataset.rows, dataset.parts))


def _nowhere(dataset: Dataset, field: str) -> BadInputError:
    some = list(islice(_all_rows(dataset), _SAMPLE))
    has = dict.fromkeys(name for row in some for name in (*row.get("meta", {}), *row))
    told = listed(name for name in has if name not in ("meta", "messages", "tools"))
    return BadInputError(
        f"no row of {dataset.name} has the field `{printable(field, 40)}`; there is {told}: group "
        "by one of these"
    )
