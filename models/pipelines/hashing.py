"""What a stage is known by: the same hash, the same work on the same content. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from models.pipelines.rendering import NAMES, OWN, sources_of
from models.pipelines.schema import Pipeline, Prepared
from models.recipes.fields import fields_read
from models.recipes.strict_json import Json

HASH = "hash"
"""Key of an output: of its content."""


def stage_hash(
    pipeline: Pipeline,
    stage: Prepared,
    outputs: Mapping[str, Mapping[str, Json]],
    files: Mapping[str, str],
) -> str:
    """SHA-256 over what the stage does and what it is given, in hex.

    That is its keys as written, the snapshots of what they name, the variables that they read, the
    hashes of the outputs that they read, and `files`: hashes by key of the content of what it
    names (files, jobs, a dataset, a store). What it is called, which stages it merely waits for,
    and where files lie make no difference.
    """
    asked = {key: value for key, value in stage.asked.items() if key not in OWN | NAMES}
    told = {
        "kind": stage.kind,
        "asked": asked,
        "rank_by": str(stage.asked.get("rank_by", "")).rpartition(":")[2],
        "recipe": stage.recipe,
        "suite": _asked_of(stage.suite),
        "prompts": list(stage.suite.get("prompts", {})),  # in order: the first is the default
        "vars": {name: pipeline.variables.get(name) for name in sorted(variables_read(stage))},
        "outputs": {name: outputs[name][HASH] for name in stage.reads},
        "files": dict(files),
    }
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def variables_read(stage: Prepared) -> set[str]:
    """The pipeline's variables that a stage's templates read."""
    found = (fields_read(source, "vars") for _, source in sources_of(stage.kind, stage.asked))
    return set().union(*found)


def _asked_of(suite: Mapping[str, Any]) -> dict[str, Any]:
    """A suite without what is told of it, and where its rows lie: their content counts."""
    return {key: value for key, value in suite.items() if key not in ("description", "data")}
