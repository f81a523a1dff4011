"""Stages' templates rendered: as they are written, with what is known. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from models.errors import BadInputError
from models.pipelines.named import RAW
from models.pipelines.schema import KINDS, RENDERED, Pipeline, Prepared, Stage
from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.recipes.templates import compile_tree
from models.recipes.variables import Variable

OWN = frozenset({"name", "kind", "after"})
"""Keys of every stage, which are no templates."""
NAMES = frozenset({"recipe", "suite", "rank_by"})
"""Keys that name what is inlined in the snapshot: of variables alone."""


def with_vars(variables: Mapping[str, Variable]) -> dict[str, Json]:
    """What templates know before any stage has run."""
    return {"vars": dict(variables)}


def templated(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a stage whose texts are templates over the pipeline."""
    left = OWN | RAW.get(kind, frozenset())
    return {key: value for key, value in asked.items() if key not in left}


def with_defaults(kind: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a stage, and those defaults of its kind that are templates themselves."""
    told = {
        field.alias or name: field.default
        for name, field in KINDS[kind].model_fields.items()
        if isinstance(field.default, str) and "{{" in field.default
    }
    return {**told, **asked}


def sources(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Key and source of every text in a value."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from sources(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from sources(part, f"{key}[{at}]")


def sources_of(kind: str, asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and source of every text of a stage that is a template over the pipeline."""
    yield from sources(templated(kind, with_defaults(kind, asked)), "")


def rendered(value: Any, known: Mapping[str, Json], where: str) -> Json:
    """The value with its templates rendered. Raises `BadInputError` naming `where`."""
    try:
        return compile_tree(value, where)(known)
    except RowProblem as problem:
        raise BadInputError(problem.detail) from None


def stage_rendered(
    pipeline: Pipeline, stage: Prepared, outputs: Mapping[str, Mapping[str, Json]]
) -> Stage:
    """What the stage shall do, given the outputs of those before it.

    Raises `BadInputError` naming the key that cannot be used.
    """
    known = {**with_vars(pipeline.variables), "input": pipeline.input or "", **outputs}
    asked = with_defaults(stage.kind, stage.asked)
    told = {key: rendered(value, known, key) for key, value in templated(stage.kind, asked).items()}
    return validated(stage.kind, {**asked, **told}, is_rendered=True)


def validated(kind: str, told: Mapping[str, Any], *, is_rendered: bool) -> Stage:
    """The keys as their types have them; what is not rendered may be templates.

    Raises `BadInputError` naming the key that cannot be used.
    """
    try:
        return KINDS[kind].model_validate(told, context={RENDERED: is_rendered})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadInputError(f"{key}: {first['msg']}, not {first['input']!r}"[:500]) from None
