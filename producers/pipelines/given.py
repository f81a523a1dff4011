"""What a stage is given: the outputs before it, its templates rendered, its hash."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from models.errors import MaestraleError
from models.pipelines.hashing import stage_hash
from models.pipelines.loading import place_of
from models.pipelines.named import DATASETS, FILES, STORES
from models.pipelines.rendering import stage_rendered
from models.pipelines.schema import Pipeline, Prepared, RunSpec
from models.pipelines.schema import Stage as Asked
from models.states import STAGE_GOOD
from models.store import jobs, vectors
from models.tables import Stage
from producers.client import Maestrale
from producers.datasets import open_dataset
from producers.pipelines.hand import content_of, limit_of

Outputs = Mapping[str, Mapping[str, Any]]
SUITE_DATA = "suite_data"


def outputs_of(stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """What stages that are done made, by name."""
    done = (stage for stage in stages if stage.state in STAGE_GOOD)
    return {stage.name: dict(orjson.loads(stage.output)) for stage in done}


def asked_of(told: RunSpec, name: str, outputs: Outputs) -> Asked:
    """What the stage shall do. Raises `BadInputError` naming the key that cannot be used."""
    return stage_rendered(told.pipeline, told.pipeline.stage(name), outputs)


def digest_of(
    maestrale: Maestrale, told: RunSpec, name: str, asked: Asked, outputs: Outputs
) -> str:
    """What the stage is known by: see `stage_hash`."""
    prepared = told.pipeline.stage(name)
    contents = dict(_contents(maestrale, told.pipeline, prepared, asked))
    if limit := limit_of(told, prepared):
        contents["limit"] = str(limit)
    return stage_hash(told.pipeline, prepared, outputs, contents)


def _contents(
    maestrale: Maestrale, pipeline: Pipeline, prepared: Prepared, asked: Asked
) -> Iterator[tuple[str, str]]:
    """Hashes of what a stage names, by key; what is not here is its own."""
    told = asked.model_dump(by_alias=True)
    for key in FILES.get(prepared.kind, ()):
        for at, name in enumerate(_named(told, key)):
            yield f"{key}[{at}]", _content(maestrale, place_of(pipeline.folder, name))
    for name in _named(told, DATASETS.get(prepared.kind, "")):
        yield "dataset", _of_dataset(maestrale, name)
    for name in _named(told, STORES.get(prepared.kind, "")) or _store_of(prepared):
        yield "store", _of_store(maestrale, name)
    if prepared.suite_data and not _names_data(told):
        yield SUITE_DATA, _content(maestrale, prepared.suite_data)


def _named(told: Mapping[str, Any], key: str) -> list[str]:
    value: Any = told
    for part in key.split("."):
        value = value.get(part)
    return [value] if isinstance(value, str) else list(value or ())


def _names_data(told: Mapping[str, Any]) -> bool:
    return bool(told.get("data") or (told.get("ranking") or {}).get("data"))


def _store_of(prepared: Prepared) -> list[str]:
    named = (prepared.suite.get("retrieval") or {}).get("store")
    return [named] if named else []


def _content(maestrale: Maestrale, name: str) -> str:
    """Of a file, or of a job: its rows, and how many of them are done by now."""
    if Path(name).is_file():
        return content_of(name)
    with maestrale.store.read() as connection:
        job = jobs.get(connection, name)
    return f"{job.fingerprint}:{job.rows_done}" if job else name


def _of_dataset(maestrale: Maestrale, name: str) -> str:
    try:
        return open_dataset(maestrale.settings, name).manifest.hash
    except MaestraleError:
        return name  # whoever trains on it complains


def _of_store(maestrale: Maestrale, name: str) -> str:
    with maestrale.store.read() as connection:
        known = vectors.by_name(connection, name)
    return known.hash if known else _content(maestrale, name)
