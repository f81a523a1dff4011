"""A suite ready to run: every prompt compiled once per job and process. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from models.recipes.answers import Choice, Read
from models.recipes.compiled import Body, Compiled
from models.recipes.estimates import expected_output_tokens, typical_answer
from models.recipes.fields import names_read
from models.recipes.loops import Scope
from models.recipes.problems import Problem
from models.recipes.schema import AnswerSchema, Asking, Output, Recipe, Step
from models.recipes.strict_json import Json
from models.recipes.templates import compile_text
from models.suites import grounding
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
        if self.suite.grounding is not None:
            asked.update(grounding.prompts(self.suite.grounding))
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
        self._reads: dict[tuple[str, str], bool] = {}

    def question(self, contestant: Contestant, row: Body, names: Mapping[str, Json]) -> Body:
        """What the contestant is asked about the row; `names`: what its prompt may read besides.

        Raises `RowProblem` if the row cannot be asked.
        """
        step = _step_name(contestant.prompt or self.suite.default_prompt)
        return self.request(step, contestant.model, row, names)

    def answer(self, contestant: Contestant, choice: Choice) -> Read | Problem:
        """The contestant's answer: text, or the value of its prompt's schema or function."""
        return self.read(_step_name(contestant.prompt or self.suite.default_prompt), choice)

    def reads(self, contestant: Contestant, name: str) -> bool:
        """Whether the contestant's prompt reads the variable: what it does not, it is not shown."""
        prompt = contestant.prompt or self.suite.default_prompt
        key = (prompt, name)
        if key not in self._reads:
            sources = [source for _, _, source in self.suite.prompts[prompt].templates()]
            self._reads[key] = any(name in names_read(source) for source in sources)
        return self._reads[key]

    def may_look_up(self, contestant: Contestant) -> bool:
        """Whether the contestant is offered the function that searches the store."""
        tool = self.suite.retrieval.tool if self.suite.retrieval else None
        prompt = contestant.prompt or self.suite.default_prompt
        return tool is not None and (not tool.prompts or prompt in tool.prompts)

    def needs_store(self, contestant: Contestant) -> bool:
        """Whether the contestant is shown documents, or may ask for them."""
        is_shown = self.suite.retrieval is not None and self.reads(contestant, "context")
        return is_shown or self.may_look_up(contestant)

    def expected_tokens(self, contestant: Contestant) -> int:
        """Length of a typical answer, for estimates."""
        return self.expected_of(_step_name(contestant.prompt or self.suite.default_prompt))

    def expected_of(self, step: str) -> int:
        """Length of a typical answer to any step."""
        return expected_output_tokens(self._steps[step])

    def typical(self, contestant: Contestant) -> Json:
        """An answer of about the usual length, made up."""
        return typical_answer(
            self._steps[_step_name(contestant.prompt or self.suite.default_prompt)]
        )

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
