"""What a pipeline's types cannot say: names lead somewhere, templates parse, nothing is circular.

Each check yields `(key, complaint)` pairs; `loading` puts the file before the first and raises.
"""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from models.errors import BadInputError
from models.pipelines.named import OUTPUTS
from models.pipelines.rendering import NAMES, sources_of
from models.pipelines.schema import Document, StageKind, Train
from models.recipes.checking import RESERVED, template_complaints
from models.recipes.fields import fields_read, names_read
from models.training.grid import AXES

Complaints = Iterator[tuple[str, str]]
Check = Callable[[Document, int, Mapping[str, Any]], Complaints]
TAKEN = RESERVED | {"input"}


def complaints(pipeline: Document) -> Complaints:
    """Everything wrong with a pipeline, as key and sentence, in the order of the file."""
    told = list(_of_all(pipeline, _name)) or list(_of_all(pipeline, _of_stage))
    yield from told or _circles(pipeline)


def _of_all(pipeline: Document, check: Check) -> Complaints:
    for at, stage in enumerate(pipeline.stages):
        for key, complaint in check(pipeline, at, stage):
            yield f"stages[{at}].{key} (stage {stage['name']!r})", complaint


def reads_of(pipeline: Document, stage: Mapping[str, Any]) -> list[str]:
    """The stages whose outputs a stage's templates read, in the order of the file."""
    read: set[str] = set()
    for _, source in sources_of(stage["kind"], stage):
        read |= names_read(source)
    return [other["name"] for other in pipeline.stages if other["name"] in read]


def needs_of(pipeline: Document, stage: Mapping[str, Any]) -> list[str]:
    """The stages that must be done before a stage, in the order of the file."""
    needed = {*reads_of(pipeline, stage), *stage.get("after", [])}
    return [other["name"] for other in pipeline.stages if other["name"] in needed]


def _of_stage(pipeline: Document, _at: int, stage: Mapping[str, Any]) -> Complaints:
    known = {other["name"]: other["kind"] for other in pipeline.stages}
    for name in stage.get("after", []):
        if name not in known:
            yield "after", f"there is no stage {name!r}; {alike(name, known)}"
    wrong = list(_templates(pipeline, stage, known))
    yield from wrong
    if not wrong:
        yield from _needless(pipeline, stage)


def _name(pipeline: Document, at: int, stage: Mapping[str, Any]) -> Complaints:
    name = stage["name"]
    if name in TAKEN:
        yield "name", f"{name!r} means something else in templates; choose another name"
    if name in {other["name"] for other in pipeline.stages[:at]}:
        yield "name", "another stage has this name; each needs its own"


def _templates(
    pipeline: Document, stage: Mapping[str, Any], kinds: Mapping[str, str]
) -> Complaints:
    for key, source in sources_of(stage["kind"], stage):
        is_name = key.split(".")[0] in NAMES
        known = {"vars", "range"} if is_name else {"vars", "range", "input", *kinds}
        wrong = list(template_complaints(key, source, known, pipeline.variables))
        if wrong and not is_name:
            wrong = [(key, told.split(". A row's field")[0]) for key, told in wrong]
        yield from wrong
        if not wrong and not is_name:
            yield from _outputs(key, source, kinds)


def _outputs(key: str, source: str, kinds: Mapping[str, str]) -> Complaints:
    for name in sorted(names_read(source) & kinds.keys()):
        there = OUTPUTS[kinds[name]]
        for field in sorted(fields_read(source, name) - set(there)):
            yield (
                key,
                f"{name}.{field} is no output of a {kinds[name]} stage; {alike(field, there)}",
            )


def _needless(pipeline: Document, stage: Mapping[str, Any]) -> Complaints:
    """What only some stages need: rows, a grid of known axes, one way to divide."""
    read = {name for _, source in sources_of(stage["kind"], stage) for name in names_read(source)}
    kind = stage["kind"]
    if kind == StageKind.TRAIN:
        yield from _sweep(stage)
    if kind == StageKind.DATASET and stage.get("split") and stage.get("split_field"):
        yield "split_field", "the stage has split as well; keep one of them"
    if kind == StageKind.DATASET and "{{" not in (told := stage.get("split") or "1/0/0"):
        try:
            shares_of(told)
        except BadInputError as error:
            yield "split", str(error)
    if stage["name"] in read:
        yield "name", "the stage reads its own outputs; read those of an earlier one"


def _sweep(stage: Mapping[str, Any]) -> Complaints:
    for axis in stage.get("sweep", {}):
        if axis not in AXES:
            yield f"sweep.{axis}", f"no sweep varies it; {alike(axis, AXES)}"
    if len([key for key in ("steps", "epochs", "tokens_seen") if key in stage]) > 1:
        yield "steps", "take one of steps, epochs and tokens_seen: they exclude each other"
    if "rank_by" in stage and not stage.get("sweep"):
        yield "rank_by", "there is nothing to rank without a sweep; add one, or take it out"
    told = stage.get("rank_by", Train.model_fields["rank_by"].default)
    if ":" not in told and told != Train.model_fields["rank_by"].default:
        yield "rank_by", "it is neither validation_loss nor suite.toml:figure"


def shares_of(split: str) -> list[float]:
    """`80/10/10` as shares of one. Raises `BadInputError`."""
    try:
        parts = [float(part) for part in split.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or min(parts) < 0 or not parts[0] or not 0 < sum(parts) < float("inf"):
        raise BadInputError(f"{split!r} is no train/validation/test: write 80/10/10, or 80/0/20")
    return [part / sum(parts) for part in parts]


def _circles(pipeline: Document) -> Complaints:
    left = {stage["name"]: set(needs_of(pipeline, stage)) for stage in pipeline.stages}
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    if left:
        names = ", ".join(left)
        yield "stages", f"they wait for each other in a circle: {names}; take one `after` out"


def alike(name: str, known: Any) -> str:
    """Which name may have been meant, or all that there are."""
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
