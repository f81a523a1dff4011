"""What a recipe's types cannot say: names lead somewhere, templates parse, schemas are schemas.

Each check yields `(key, complaint)` pairs; `loading` puts the file before the first and raises.
"""

import re
from collections.abc import Collection, Iterator

from jinja2 import TemplateSyntaxError
from jsonschema import Draft202012Validator, SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from models.recipes.fields import fields_read, names_read
from models.recipes.schema import Asking, Loop, Recipe, Step
from models.recipes.strict_json import Json
from models.recipes.templates import compile_tree

Complaints = Iterator[tuple[str, str]]
RESERVED = frozenset({"row", "vars", "number", "loop", "range", "item_name", "self"})


def complaints(recipe: Recipe) -> Complaints:
    """Everything wrong with a recipe, as key and sentence, in the order of the file."""
    for at, step in enumerate(recipe.steps):
        for key, complaint in _step_complaints(recipe, at, step):
            yield f"steps[{at}].{key} (step {step.name!r})", complaint
    for key, complaint in _output_complaints(recipe):
        yield f"output.{key}", complaint


def _step_complaints(recipe: Recipe, at: int, step: Step) -> Complaints:
    earlier = recipe.steps[:at]
    yield from _names(earlier, step)
    yield from shape_complaints(step)
    yield from _loop(recipe, earlier, step)
    known = _known_names(recipe, earlier, step)
    for key, _, source in step.templates():
        yield from template_complaints(key, source, known, recipe.variables)


def _output_complaints(recipe: Recipe) -> Complaints:
    if not recipe.output.record:
        yield "record", "it is empty; say what a record is made of, e.g. text = '{{ row.text }}'"
    yield from _loop(recipe, recipe.steps, recipe.output)
    known = _known_names(recipe, recipe.steps, recipe.output)
    for key, source in recipe.output.templates():
        yield from template_complaints(key, source, known, recipe.variables)


def _names(earlier: list[Step], step: Step) -> Complaints:
    if step.name in RESERVED:
        yield "name", f"{step.name!r} means something else in templates; choose another name"
    if step.name in {other.name for other in earlier}:
        yield "name", "another step has this name; each needs its own"


def shape_complaints(step: Asking) -> Complaints:
    """What is wrong with what is asked, whatever its templates read."""
    yield from _shape(step)
    yield from _schema(step)
    yield from _checks(step)


def _shape(step: Asking) -> Complaints:
    if not step.prompt and not (step.messages and step.messages[-1].role == "user"):
        yield "prompt", "it is missing; give prompt or prompt_file, or end messages with a user's"
    if step.function and step.answer_schema:
        yield "schema", "the step has a function as well; keep one of them"
    if step.answer_definition and (step.checks.min_chars or step.checks.max_chars):
        yield (
            "checks",
            "min_chars and max_chars are for text; use minLength, maxLength in the schema",
        )


def _schema(step: Asking) -> Complaints:
    definition = step.answer_definition
    if definition is None:
        return
    key = "function.parameters" if step.function else "schema.schema"
    try:
        Draft202012Validator.check_schema(definition)
    except SchemaError as error:
        yield f"{key}{error.json_path[1:]}", f"not a JSON schema: {error.message}"
        return
    if definition.get("type") != "object":
        yield f"{key}.type", "it must be 'object'; wrap other values into one"
    for ref in _refs(definition):
        if not _leads_somewhere(definition, ref):
            yield key, f"$ref {ref!r} leads nowhere in this schema; only '#/...' is followed"


def _refs(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (str(value[key]) for key in ("$ref", "$dynamicRef") if key in value)
        for part in value.values():
            yield from _refs(part)
    elif isinstance(value, list):
        for part in value:
            yield from _refs(part)


def _leads_somewhere(definition: dict[str, Json], ref: str) -> bool:
    root = DRAFT202012.create_resource(definition)
    try:
        Registry().resolver_with_root(root).lookup(ref)
    except Unresolvable:
        return False
    return ref.startswith("#")


def _checks(step: Asking) -> Complaints:
    for at, rule in enumerate(step.checks.forbid):
        try:
            re.compile(rule)
        except re.error as error:
            yield f"checks.forbid[{at}]", f"not a regular expression: {error}"
    low, high = step.checks.min_chars, step.checks.max_chars
    if low and high and low > high:
        yield "checks.min_chars", f"it is {low}, above max_chars {high}; no answer fits both"


def _loop(recipe: Recipe, earlier: list[Step], loop: Loop) -> Complaints:
    if loop.for_each is None:
        return
    root, *path = loop.for_each.split(".")
    if root == "row":
        if not path or not all(path):
            yield "for_each", "say which field of the row holds the list, e.g. row.questions"
    elif not (source := next((step for step in earlier if step.name == root), None)):
        names = ", ".join(["row", *(step.name for step in earlier)])
        yield "for_each", f"{root!r} is no earlier step; there are: {names}"
    elif complaint := _no_list(source, path):
        yield "for_each", f"{loop.for_each!r} {complaint}"
    if loop.item_name in _known_names(recipe, earlier, loop, own=False) | RESERVED:
        yield "as", f"{loop.item_name!r} is a name already; choose another with as = '...'"


def _no_list(source: Step, path: list[str]) -> str | None:
    if source.for_each:
        return "goes below a fan-out step; loop over the step itself" if path else None
    if source.answer_definition is None:
        return "is text; only a list of a function's or schema's answer can be looped over"
    part = _below(source.answer_definition, path)
    if part is None:
        return f"is not in the schema of the step {source.name!r}"
    kind = part.get("type", "array")
    return None if kind == "array" else f"is of type {kind} by its schema, not array"


def _below(definition: dict[str, Json], path: list[str]) -> dict[str, Json] | None:
    """The schema at `path`; `{}` (anything) where it cannot be followed; None if not there."""
    part: Json = definition
    for key in path:
        if not isinstance(part, dict) or "properties" not in part:
            is_closed = isinstance(part, dict) and part.get("type", "object") != "object"
            return None if is_closed else {}
        part = part["properties"].get(key)
        if part is None:
            return None
    return part if isinstance(part, dict) else {}


def _known_names(recipe: Recipe, earlier: list[Step], loop: Loop, *, own: bool = True) -> set[str]:
    names = {"row", "vars", "range", *(step.name for step in earlier)}
    if loop.for_each is None:
        return names
    if own:
        names |= {loop.item_name, "number"}
    source = recipe.step(loop.for_each)
    if source in earlier and source.for_each:
        names |= _known_names(recipe, earlier, source)
    return names


def template_complaints(
    key: str, source: str, known: set[str], variables: Collection[str]
) -> Complaints:
    """What is wrong with a template that may read the names `known`, and `vars`."""
    try:
        compile_tree(source, key)
        unknown = names_read(source) - known
        unset = fields_read(source, "vars") - set(variables)
    except TemplateSyntaxError as error:
        yield key, f"line {error.lineno} of the template: {error.message}"
        return
    for name in sorted(unknown):
        there = ", ".join(sorted(known))
        yield key, f"{name!r} is not known here; there are: {there}. A row's field is row.{name}"
    for name in sorted(unset):
        yield key, f"vars.{name} has no default; add {name} = '...' to [variables]"
