"""From a name, folder or file to a checked `Pipeline`; complaints name the file and the key."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.errors import BadInputError, RecipeError
from models.pipelines.checking import complaints, needs_of, reads_of
from models.pipelines.named import RAW
from models.pipelines.rendering import rendered, with_vars
from models.pipelines.schema import KINDS, Document, Generate, Pipeline, Prepared, StageKind
from models.recipes import Recipe, documents, load_recipe
from models.recipes.schema import Part
from models.recipes.variables import Variable, read_variables
from models.suites import load_suite, shipped_suites

PIPELINE_FILE = "pipeline.toml"
SHAPES = {
    kind: documents.Shape(part, {part: (*sorted(RAW.get(kind, ())), "question")})
    for kind, part in KINDS.items()
}


class _AnyStage(Part):
    """A stage of whatever kind, to find what stands in files."""


class _Outline(Part):
    """A document of them."""

    stages: list[_AnyStage]


_IN_FILES = tuple(sorted({key for keys in RAW.values() for key in keys} | {"question"}))
OUTLINE = documents.Shape(_Outline, {_AnyStage: _IN_FILES})
DOCUMENT = documents.Shape(Document)


def load_pipeline(
    name_or_path: str,
    *,
    variables: Mapping[str, Variable] | None = None,
    input_file: str | None = None,
) -> Pipeline:
    """A shipped pipeline by name, or the one in a folder or TOML file, with its variables set.

    `input_file`: rows to run on instead of the pipeline's own. Raises `RecipeError` naming the
    file, the key and what to do.
    """
    path = documents.find(name_or_path, PIPELINE_FILE, "a pipeline").resolve()
    data = documents.inlined(documents.read_document(path), OUTLINE, path)
    found = documents.validated(Document, data, DOCUMENT, str(path))
    given = read_variables(found.variables, variables or {})
    values = {**found.variables, **given}
    for at, stage in enumerate(found.stages):
        _check_stage(stage, f"{path}: stages[{at}].")
    documents.refuse(complaints(found), str(path))
    return Pipeline(
        name=found.name,
        description=found.description,
        folder=str(path.parent),
        file=name_or_path if name_or_path in shipped_pipelines() else str(path),
        input=_input(found, path.parent, input_file),
        is_input_given=input_file is not None,
        variables=values,
        given=given,
        stages=[_prepared(found, at, values, path) for at in range(len(found.stages))],
    )


def shipped_pipelines() -> dict[str, str]:
    """Description by name of the pipelines that come with Maestrale."""
    return documents.shipped(PIPELINE_FILE)


def place_of(folder: str | Path, file: str) -> str:
    """A file of rows, as it is named in a pipeline that lies in `folder`."""
    there = Path(folder) / file
    return str(there) if there.exists() else file


def _input(found: Document, folder: Path, given: str | None) -> str | None:
    if given is not None:
        return str(Path(given).resolve()) if given != "-" else given
    return found.input and place_of(folder, found.input)


def _check_stage(stage: Mapping[str, Any], where: str) -> None:
    kind, named = stage.get("kind"), stage.get("name", "?")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(KINDS)
        raise RecipeError(f"{where}kind: there is no kind {kind!r} of stages; there are: {known}")
    try:
        KINDS[kind].model_validate(stage)
    except ValidationError as error:
        told = documents.in_words(error, SHAPES[StageKind(kind)])
        raise RecipeError(f"{where}{told} (stage {named!r}, {kind})") from None


def _prepared(found: Document, at: int, values: Mapping[str, Variable], path: Path) -> Prepared:
    stage = found.stages[at]
    where = f"{path}: stages[{at}] (stage {stage['name']!r})"
    return Prepared(
        name=stage["name"],
        kind=StageKind(stage["kind"]),
        needs=needs_of(found, stage),
        reads=reads_of(found, stage),
        asked=stage,
        **_named(stage, values, path.parent, where),
    )


def _named(
    stage: Mapping[str, Any], values: Mapping[str, Variable], folder: Path, where: str
) -> dict[str, Any]:
    """The recipe and the suite that a stage names, as snapshots."""
    known = with_vars(values)
    match stage["kind"]:
        case StageKind.GENERATE:
            told = stage.get("recipe", Generate.model_fields["recipe"].default)
            with _complaining(f"{where}: recipe"):
                recipe = load_recipe(_beside(folder, str(rendered(told, known, "recipe"))))
            with _complaining(f"{where}: set"):
                _check_names(recipe, stage.get("set", {}))
            return {"recipe": recipe.model_dump(mode="json")}
        case StageKind.EVALUATE:
            return _suite(str(stage.get("suite", "suite.toml")), known, folder, f"{where}: suite")
        case StageKind.TRAIN:
            suite, colon, _figure = str(stage.get("rank_by", "")).rpartition(":")
            return _suite(suite, known, folder, f"{where}: rank_by") if colon else {}
        case _:
            return {}


def _check_names(recipe: Recipe, names: Mapping[str, Variable]) -> None:
    """Their values may be templates; their names are known."""
    for name in names:
        if name not in recipe.variables:
            recipe.with_variables({name: ""})


def _suite(told: str, known: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    named = _beside(folder, str(rendered(told, known, "suite")))
    with _complaining(where):
        suite, data = load_suite(named)
    return {
        "suite": suite.model_dump(mode="json"),
        "suite_data": str(data.resolve()) if data else None,
        "suite_file": named if named in shipped_suites() else str(Path(named).resolve()),
    }


def _beside(folder: Path, named: str) -> str:
    return str(folder / named) if (folder / named).exists() else named


@contextmanager
def _complaining(where: str) -> Iterator[None]:
    try:
        yield
    except BadInputError as error:
        raise RecipeError(f"{where}: {error}") from None
