"""What a `for_each` runs over, and the names each round gives to templates."""

from dataclasses import dataclass, field

from models.recipes.problems import RowProblem
from models.recipes.schema import Loop, Recipe
from models.recipes.strict_json import Json
from models.states import FailureCode


@dataclass(slots=True)
class Scope:
    """One row under way: its data and the answers so far, by step (a list for a fan-out step)."""

    row: dict[str, Json]
    answers: dict[str, Json] = field(default_factory=dict)


def rounds(recipe: Recipe, loop: Loop, scope: Scope) -> list[dict[str, Json]]:
    """The loop's own variables, round by round; one empty round where there is no `for_each`.

    Over a fan-out step the rounds carry that step's variables too: an answer comes with its item.
    Raises `RowProblem` when the list is missing, no list, or too long.
    """
    if loop.for_each is None:
        return [{}]
    root, *path = loop.for_each.split(".")
    source = recipe.step(root)
    items = _find(scope, root, path)
    problem = problem_with(items, loop)
    if problem:
        raise RowProblem(_blame(root), f"for_each {loop.for_each}: {problem}")
    outer = rounds(recipe, source, scope) if source and source.for_each else [{}] * len(items)
    return [
        {**names, loop.item_name: item, "number": number}
        for number, (names, item) in enumerate(zip(outer, items, strict=True), start=1)
    ]


def problem_with(items: object, loop: Loop) -> str | None:
    """Why `items` cannot be looped over, in words."""
    if not isinstance(items, list):
        return f"is a {type(items).__name__}, not a list" if items is not None else "is missing"
    if len(items) > loop.max_items:
        return f"has {len(items)} items, and max_items is {loop.max_items}"
    return None


def dig(value: Json, path: list[str]) -> Json:
    """What lies below `value` at `path`; None when there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _find(scope: Scope, root: str, path: list[str]) -> Json:
    return dig(scope.row if root == "row" else scope.answers.get(root), path)


def _blame(root: str) -> FailureCode:
    return FailureCode.BAD_ROW if root == "row" else FailureCode.INVALID_ANSWER
