"""A recipe ready to run: templates, schemas and rules compiled once per job and process."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from models.recipes.answers import Choice, Read, Reader
from models.recipes.estimates import (
    CHARS_PER_TOKEN,
    TYPICAL_TEXT,
    expected_output_tokens,
    filler,
    typical_answer,
    typical_rounds,
)
from models.recipes.loops import Scope, rounds
from models.recipes.problems import Problem, RowProblem
from models.recipes.repairing import repaired
from models.recipes.schema import Part, Recipe, Step
from models.recipes.strict_json import Json
from models.recipes.templates import Render, compile_text, compile_tree
from models.states import FailureCode

Body = dict[str, Json]


@dataclass(frozen=True, slots=True)
class StepPreview:
    """One request of a step for a row, and how many like it will be sent."""

    step: Step
    body: Body
    count: int
    is_exact: bool
    """False when answers of earlier steps had to be made up."""
    expected_output_tokens: int


class Compiled:
    """Turns rows into requests, answers into values, and values into records; no I/O, no state."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.prompt_hashes = {step.name: cache_key(recipe, step) for step in recipe.steps}
        """By step, for the provenance of each row."""
        self._steps = {step.name: _CompiledStep(recipe, step) for step in recipe.steps}
        self._record = compile_tree(recipe.output.record, "output.record")
        self._provenance = compile_tree(recipe.output.provenance, "output.provenance")

    def requests(self, step: Step, scope: Scope) -> list[Body]:
        """One chat body, or one per item of the step's fan-out; `RowProblem` if the row cannot."""
        make = self._steps[step.name].body
        base = self._names(scope)
        return [make({**base, **names}) for names in rounds(self.recipe, step, scope)]

    def read(self, step: Step, choice: Choice) -> Read | Problem:
        """The answer's value, or the named reason why it has none."""
        return self._steps[step.name].reader.read(choice)

    def repair(self, step: Step, body: Body, choice: Choice, problem: Problem) -> Body:
        """The one re-ask after a repairable problem."""
        return repaired(step, body, choice, problem)

    def records(self, scope: Scope) -> list[Body]:
        """The row's output records, in order."""
        return self._made(self._record, scope)

    def provenance(self, scope: Scope) -> list[Body]:
        """What the recipe says beside each record, one for one (for the side file)."""
        return self._made(self._provenance, scope)

    def preview(self, row: Body) -> list[StepPreview]:
        """The row's requests, later steps with made-up answers; `RowProblem` if the row cannot."""
        return self._previewed(Scope(row))

    def likely_records(self, row: Body) -> list[Body]:
        """Records of made-up answers; `RowProblem` where these have not all that records read."""
        scope = Scope(row)
        self._previewed(scope)
        return self.records(scope)

    def _previewed(self, scope: Scope) -> list[StepPreview]:
        found: list[StepPreview] = []
        for step in self.recipe.steps:
            bodies = self._likely_requests(step, scope)
            if bodies:
                size = expected_output_tokens(step)
                found.append(StepPreview(step, bodies[0], len(bodies), not scope.answers, size))
            answer = typical_answer(step)
            scope.answers[step.name] = [answer] * len(bodies) if step.for_each else answer
        return found

    def _likely_requests(self, step: Step, scope: Scope) -> list[Body]:
        """The requests; filler where a made-up answer lacks what the templates read."""
        try:
            return self.requests(step, scope)
        except RowProblem:
            if not scope.answers:
                raise
            body = self._steps[step.name].filled()
            return [body] * typical_rounds(self.recipe, step)

    def _made(self, render: Render, scope: Scope) -> list[Body]:
        base = self._names(scope)
        found = rounds(self.recipe, self.recipe.output, scope)
        return [render({**base, **names}) for names in found]

    def _names(self, scope: Scope) -> dict[str, Json]:
        return {**scope.answers, "row": scope.row, "vars": self.recipe.variables}


class _CompiledStep:
    """The parts of a body that never change, and the templates that do."""

    def __init__(self, recipe: Recipe, step: Step) -> None:
        self.reader = Reader(recipe, step)
        self._fixed = _fixed_part(recipe, step)
        self._messages = [
            (role, key, compile_text(source, f"step {step.name}, {key}"))
            for key, role, source in step.templates()
        ]
        self._step = step

    def body(self, variables: dict[str, Json]) -> Body:
        """The chat request for one set of variables."""
        messages = [
            {"role": role, "content": self._text(key, render, variables)}
            for role, key, render in self._messages
        ]
        return {**self._fixed, "messages": messages}

    def filled(self) -> Body:
        """A request about as long as one with its variables filled in, for estimates."""
        sources = [source for _, _, source in self._step.templates()]
        length = sum(map(len, sources)) + TYPICAL_TEXT * CHARS_PER_TOKEN
        return {**self._fixed, "messages": [{"role": "user", "content": filler(length)}]}

    def _text(
        self, key: str, render: Callable[[dict[str, Json]], str], variables: dict[str, Json]
    ) -> str:
        text = render(variables).strip()
        if not text:
            raise RowProblem(
                FailureCode.BAD_ROW, f"step {self._step.name}, {key}: the text is empty"
            )
        return text


def _fixed_part(recipe: Recipe, step: Step) -> Body:
    return {
        "model": step.model,
        **_set(step.parameters),
        **_answer_part(step),
        "prompt_cache_key": cache_key(recipe, step),
    }


def _answer_part(step: Step) -> Body:
    if step.function:
        return {
            "tools": [{"type": "function", "function": _set(step.function)}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        }
    if step.answer_schema:
        schema = _set(step.answer_schema)
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


def _set(part: Part) -> Body:
    """The keys that have a value; nulls deeper down (in a JSON schema) mean something and stay."""
    return {key: value for key, value in part.model_dump().items() if value is not None}


def cache_key(recipe: Recipe, step: Step) -> str:
    """Names the step's template to the provider's prompt cache: 16 hex digits, no data."""
    parts = [recipe.variables, list(step.templates()), _answer_part(step)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
