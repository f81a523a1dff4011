"""What a row will cost, before anything is paid: how often each step calls, how much it says."""

from collections.abc import Callable
from dataclasses import dataclass

from models.recipes.loops import dig
from models.recipes.schema import Loop, Recipe, Step
from models.recipes.strict_json import Json

CHARS_PER_TOKEN = 4
TYPICAL_TEXT = 300
"""Tokens of a text answer when the recipe does not say (`expected_tokens`)."""
TYPICAL_LIST = 3
"""Items of a list when its schema does not say."""
_DEEPEST = 8
Make = Callable[[Json], Json]
_TYPICAL_STRING = "An answer of about the usual length, which stands in for a real one here."


@dataclass(frozen=True, slots=True)
class StepPlan:
    """How often a step calls its model per row, and how long an answer is, in tokens."""

    name: str
    model: str
    calls_per_row: int
    expected_output_tokens: int


@dataclass(frozen=True, slots=True)
class CallPlan:
    """The steps' plans, in order."""

    steps: tuple[StepPlan, ...]

    @property
    def calls_per_row(self) -> int:
        """Calls of all steps together."""
        return sum(step.calls_per_row for step in self.steps)


def typical_calls(recipe: Recipe) -> CallPlan:
    """Calls per row by the recipe's schemas alone; lists of rows count as `TYPICAL_LIST` items."""
    plans = (
        StepPlan(step.name, step.model, typical_rounds(recipe, step), expected_output_tokens(step))
        for step in recipe.steps
    )
    return CallPlan(tuple(plans))


def expected_output_tokens(step: Step) -> int:
    """`expected_tokens`, or a guess from the schema (or `TYPICAL_TEXT`), at most max_tokens."""
    answer = _made_up(step)
    size = TYPICAL_TEXT if answer is None else _chars(answer) // CHARS_PER_TOKEN + 8
    return min(step.expected_tokens or size, step.parameters.max_tokens or size)


def typical_answer(step: Step) -> Json:
    """An answer made up from the schema, or filler text as long as a typical one."""
    made_up = _made_up(step)
    if made_up is not None:
        return made_up
    return filler(expected_output_tokens(step) * CHARS_PER_TOKEN)


def filler(length: int) -> str:
    """`length` characters of text."""
    return (_TYPICAL_STRING + " ") * (length // (len(_TYPICAL_STRING) + 1)) or _TYPICAL_STRING


def _made_up(step: Step) -> Json:
    definition = step.answer_definition
    return None if definition is None else example(definition)


def example(schema: Json, root: Json = None, depth: int = 0) -> Json:
    """A value shaped as the schema says; sizes are guessed where it leaves them open.

    `root` is where `$ref` leads to (the schema itself if not given), `depth` stops circles.
    """
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return _TYPICAL_STRING
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    make = _EXAMPLES.get(kind, _string) if isinstance(kind, str) else _string
    return make(schema, lambda part: example(part, root, depth + 1))


def _resolved(schema: Json, root: Json) -> Json:
    """The schema behind a chain of local references and of first choices."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            break
        if "$ref" in schema:
            schema = dig(root, str(schema["$ref"]).split("/")[1:])
        elif choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            schema = choices[0]
        else:
            break
    return schema


def _object(schema: dict[str, Json], make: Make) -> Json:
    return {key: make(part) for key, part in schema.get("properties", {}).items()}


def _array(schema: dict[str, Json], make: Make) -> Json:
    least = int(schema.get("minItems", 1))
    length = max(min(TYPICAL_LIST, int(schema.get("maxItems", TYPICAL_LIST))), least)
    return [make(schema.get("items", {}))] * length


def _number(schema: dict[str, Json], make: Make) -> Json:
    return schema.get("minimum", 1)


def _string(schema: dict[str, Json], make: Make) -> Json:
    return filler(max(schema.get("minLength", 0), len(_TYPICAL_STRING)))


_EXAMPLES: dict[str, Callable[[dict[str, Json], Make], Json]] = {
    "object": _object,
    "array": _array,
    "integer": _number,
    "number": _number,
    "boolean": lambda schema, make: True,
    "null": lambda schema, make: None,
}


def typical_rounds(recipe: Recipe, loop: Loop) -> int:
    """How often a loop goes round, by its schema alone."""
    if loop.for_each is None:
        return 1
    root, *path = loop.for_each.split(".")
    source = recipe.step(root)
    if source is None or not source.answer_definition:
        return typical_rounds(recipe, source) if source else TYPICAL_LIST
    if source.for_each:
        return typical_rounds(recipe, source)
    value = dig(example(source.answer_definition), path)
    return min(len(value), loop.max_items) if isinstance(value, list) else TYPICAL_LIST


def _chars(value: Json) -> int:
    if isinstance(value, dict):
        return sum(len(key) + 6 + _chars(part) for key, part in value.items())
    if isinstance(value, list):
        return sum(_chars(part) + 2 for part in value)
    return len(str(value)) + 2
