"""The files of rows that a run names, read to their end before it is begun.

A stage reads its file again when it is due, by all that it needs of a row: what is found here is a
file that no stage could use.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from models.errors import BadInputError, NotFoundError
from models.pipelines.loading import place_of
from models.pipelines.named import FILES
from models.pipelines.schema import KINDS, Embed, Prepared, RunSpec, StageKind
from models.recipes import Recipe
from models.suites import Suite
from producers.pipelines.beforehand import known_of
from producers.pipelines.hand import limit_of
from producers.readers import KEEP_ONE, OnDuplicate, ReadOptions, read

SHARE = 0.05
"""Bad rows that a stage allows unless it says how many."""
OWN_READERS = (StageKind.TRAIN,)
"""Kinds whose files are read by other rules; they begin long after the run."""
READ_THE_INPUT = (StageKind.GENERATE, StageKind.EMBED)
"""Kinds that read the run's input unless they say another."""


def check_files(told: RunSpec, staging: Path) -> None:
    """Raises `BadInputError` or its like, naming the stage, for a file that is wholly wrong or has
    more bad rows than its stage allows."""
    seen: set[str] = set()
    for stage in told.pipeline.stages:
        for path, options in _files(told, stage):
            if (named := f"{path} {options}") not in seen:
                seen.add(named)
                _check(stage, path, options, staging)


def _check(stage: Prepared, path: str, options: ReadOptions, staging: Path) -> None:
    try:
        read(path, options, staging).close()
    except (BadInputError, NotFoundError) as error:
        raise type(error)(f"stage {stage.name}: {error}") from None


def _files(told: RunSpec, stage: Prepared) -> Iterator[tuple[str, ReadOptions]]:
    """What the stage names by now; files that other stages make, and jobs, are left out."""
    if stage.kind in OWN_READERS:
        return
    asked = known_of(told.pipeline, stage)
    if stage.kind in READ_THE_INPUT:
        asked.setdefault("input", told.pipeline.input)
    names = [name for key in FILES.get(stage.kind, ()) for name in _named(asked.get(key))]
    if not names and stage.suite_data:
        names = [stage.suite_data]
    options = _options(told, stage, asked)
    for name in names:
        path = place_of(told.pipeline.folder, name)
        if Path(path).is_file():
            yield path, options


def _named(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _id_field(stage: Prepared, asked: Mapping[str, Any]) -> str:
    """By what the stage will tell rows apart."""
    match stage.kind:
        case StageKind.GENERATE:
            return Recipe.model_validate(stage.recipe).input.id
        case StageKind.EVALUATE:
            return Suite.model_validate(stage.suite).input.id
        case StageKind.EMBED:
            return str(asked.get("id", Embed.model_fields["id"].default))
        case _:
            return "id"


def _options(told: RunSpec, stage: Prepared, asked: Mapping[str, Any]) -> ReadOptions:
    share, on_duplicate = asked.get("max_rejected", SHARE), asked.get("on_duplicate", "stop")
    can_keep = "on_duplicate" in KINDS[stage.kind].model_fields
    limit = asked.get("limit", limit_of(told, stage))
    return ReadOptions(
        id_field=_id_field(stage, asked),
        lift="meta" if stage.kind == StageKind.EVALUATE else "",
        limit=limit if isinstance(limit, int) else None,
        undone="Nothing was begun.",
        max_rejected_share=float(share) if isinstance(share, int | float) else 1.0,
        on_stop=KEEP_ONE if can_keep else ReadOptions.on_stop,
        on_duplicate=on_duplicate if on_duplicate in get_args(OnDuplicate) else "first",
    )
