"""A suite ready to run: every prompt compiled once per job and process. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from models.recipes.answers import Choice, Read
from models.recipes.compiled import Body, Compiled
from models.recipes.estimates import expected_output_tokens
from models.recipes.loops import Scope
from models.recipes.problems import Problem
from models.recipes.schema import AnswerSchema, Asking, Output, Recipe, Step
from models.recipes.strict_json import Json
from models.recipes.templates import compile_text
from models.suites.schema import Contestant, Criterion, Evaluation

VERDICT = "verdict"
_NOBODY = "-"
_NO_OUTPUT = Output(record={"none": "none"})


class Asked:
    """Turns a row and what was found for it into requests, and answers into values.

    All prompts of the suite are steps of one made-up recipe, so that they render, are repaired and
    are read as a recipe's are.
    """

    def __init__(self, evaluation: Evaluation, more: Mapping[str, Asking] | None = None) -> None:
        """`more`: prompts of our own besides the suite's, by step."""
        self.evaluation = evaluation
        self.suite = evaluation.suite
        asked = {_step_name(name): asking for name, asking in self.suite.prompts.items()}
        if self.suite.judge is not None:
            asked[VERDICT] = _judging(self.suite.judge.ask, self.suite.judge.criteria)
        steps = [_step(name, asking) for name, asking in {**asked, **(more or {})}.items()]
        recipe = Recipe(
            name=self.suite.name,
            variables=self.suite.variables,
            steps=steps or [_step(VERDICT, Asking(prompt="none"))],
            output=_NO_OUTPUT,
        )
        self._compiled = Compiled(recipe)
        self._steps = {step.name: step for step in recipe.steps}
        self._texts: dict[str, Callable[[dict[str, Json]], str]] = {}

    def question(self, contestant: Contestant, row: Body, names: Mapping[str, Json]) -> Body:
        """What the contestant is asked about the row; `names`: what its prompt may read besides.

        Raises `RowProblem` if the row cannot be asked.
        """
        step = _step_name(contestant.prompt or self.suite.default_prompt)
        return self.request(step, contestant.model, row, names)

    def answer(self, contestant: Contestant, choice: Choice) -> Read | Problem:
        """The contestant's answer: text, or the value of its prompt's schema or function."""
        return self.read(_step_name(contestant.prompt or self.suite.default_prompt), choice)

    def expected_tokens(self, contestant: Contestant) -> int:
        """Length of a typical answer, for estimates."""
        step = _step_name(contestant.prompt or self.suite.default_prompt)
        return expected_output_tokens(self._steps[step])

    def request(self, step: str, model: str, row: Body, names: Mapping[str, Json]) -> Body:
        """The request of any step; `RowProblem` if the row cannot be asked."""
        body = self._compiled.requests(self._steps[step], Scope(row, dict(names)))[0]
        return {**body, "model": model}

    def read(self, step: str, choice: Choice) -> Read | Problem:
        """The value of an answer to that step."""
        return self._compiled.read(self._steps[step], choice)

    def repair(self, step: str, body: Body, choice: Choice, problem: Problem) -> Body:
        """The one re-ask after a repairable problem."""
        return self._compiled.repair(self._steps[step], body, choice, problem)

    def text(self, source: str, row: Body, *, name: str = "row") -> str:
        """A template of the suite's rendered over a row (or, by `name`, over a document)."""
        render = self._texts.get(source)
        if render is None:
            render = self._texts[source] = compile_text(source, "a template of the suite's")
        return render({name: row, "vars": self.suite.variables}).strip()


def verdict_schema(criteria: list[Criterion]) -> dict[str, Any]:
    """What a verdict looks like: points for both answers on every criterion, and why."""
    points = {
        criterion.name: {"type": "integer", "minimum": 0, "maximum": criterion.points}
        for criterion in criteria
    }
    side = {
        "type": "object",
        "properties": points,
        "required": list(points),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "first": side, "second": side},
        "required": ["first", "second"],
        "additionalProperties": False,
    }


def _step_name(prompt: str) -> str:
    return f"ask_{prompt}"


def _step(name: str, asking: Asking) -> Step:
    told = {key: getattr(asking, key) for key in Asking.model_fields}
    return Step(name=name, model=_NOBODY, **told)


def _judging(ask: Asking, criteria: list[Criterion]) -> Asking:
    schema = AnswerSchema(name=VERDICT, definition=verdict_schema(criteria))
    return ask.model_copy(update={"answer_schema": schema})
