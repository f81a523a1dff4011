"""Checking an answer: pure, and every way of failing has a name."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jsonschema import Draft202012Validator
from referencing import Registry

from models.recipes.loops import dig, problem_with
from models.recipes.problems import Problem, invalid, shorten
from models.recipes.refusals import is_refusal
from models.recipes.schema import Recipe, Step
from models.recipes.strict_json import Json, check_text, check_value, parse_json
from models.states import FailureCode

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One function call of an answer; `arguments` as the server sent them."""

    id: str
    name: str
    arguments: str | dict[str, Json]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a model, free of any SDK: the chunks of its content are joined."""

    content: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A usable answer: text, or the value that fits the function or schema."""

    value: Json


class Reader:
    """Reads the answers of one step; its schema and rules are compiled once."""

    def __init__(self, recipe: Recipe, step: Step) -> None:
        self._step = step
        self._validator = validator_of(step.answer_definition)
        self._forbidden = [re.compile(rule, re.IGNORECASE) for rule in step.checks.forbid]
        self._rules: tuple[Callable[[Json], str | None], ...] = (
            self._against_schema,
            self._against_loops,
            self._against_lengths,
            self._against_forbidden,
        )
        self._loops = [
            (loop.for_each.split(".")[1:], loop)
            for loop in (*recipe.steps, recipe.output)
            if loop.for_each and loop.for_each.split(".")[0] == step.name and not step.for_each
        ]

    def read(self, choice: Choice) -> Read | Problem:
        """The value of an answer, or the first thing wrong with it."""
        if problem := self._ended_badly(choice) or self._declined(choice):
            return problem
        try:
            value = self._value(choice)
        except ValueError as error:
            return invalid(str(error))
        for rule in self._rules:
            if complaint := rule(value):
                return invalid(complaint)
        return Read(value)

    def _ended_badly(self, choice: Choice) -> Problem | None:
        match choice.finish_reason:
            case "length" | "model_length" as reason:
                detail = f"the answer was cut off (finish_reason {reason}): raise max_tokens"
                return Problem(FailureCode.TRUNCATED, detail)
            case "error":
                return Problem(FailureCode.SERVER_ERROR, "the answer ended by finish_reason error")
            case "content_filter" as reason:
                return Problem(FailureCode.REFUSED, f"the answer ended by finish_reason {reason}")
            case _:
                return None

    def _declined(self, choice: Choice) -> Problem | None:
        if choice.refusal:
            return Problem(FailureCode.REFUSED, shorten(choice.refusal))
        if choice.tool_calls:
            return None
        content = (choice.content or "").strip()
        if not content:
            return Problem(FailureCode.EMPTY_ANSWER, "the model answered with nothing")
        if self._step.checks.refusals and is_refusal(content):
            return Problem(FailureCode.REFUSED, shorten(content))
        return None

    def _value(self, choice: Choice) -> Json:
        if self._step.function:
            return _arguments(choice, self._step.function.name)
        content = (choice.content or "").strip()
        if not content:
            raise ValueError("it is a function call, and text was asked for")
        if self._step.answer_schema:
            return parse_json(_unfenced(content))
        check_text(content)
        return content

    def _against_schema(self, value: Json) -> str | None:
        if self._validator is None:
            return None
        try:
            error = next(self._validator.iter_errors(value), None)
        except RecursionError:  # a schema that refers to itself in a circle
            return "its schema refers to itself without end"
        return error and f"{error.json_path}: {shorten(error.message, 160)}"

    def _against_loops(self, value: Json) -> str | None:
        for path, loop in self._loops:
            if complaint := problem_with(dig(value, path), loop):
                return f"{'.'.join(path) or 'the answer'} {complaint}"
        return None

    def _against_lengths(self, value: Json) -> str | None:
        checks = self._step.checks
        if not isinstance(value, str):
            return None
        if checks.min_chars and len(value) < checks.min_chars:
            return f"it has {len(value)} characters and needs at least {checks.min_chars}"
        if checks.max_chars and len(value) > checks.max_chars:
            return f"it has {len(value)} characters and may have at most {checks.max_chars}"
        return None

    def _against_forbidden(self, value: Json) -> str | None:
        if not self._forbidden:
            return None
        for text in texts_in(value):
            for rule in self._forbidden:
                if found := rule.search(text):
                    return f"it says {found.group()!r}, which is not allowed here"
        return None


def validator_of(definition: Json) -> Draft202012Validator | None:
    """A compiled validator that fetches nothing; None for no schema."""
    if definition is None:
        return None
    return Draft202012Validator(definition, registry=Registry())


def texts_in(value: Json) -> Iterator[str]:
    """Every text anywhere in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts_in(part)


def _arguments(choice: Choice, function: str) -> Json:
    calls = choice.tool_calls
    if not calls:
        raise ValueError(f"it is text, and one call of the function {function} was asked for")
    if len(calls) > 1:
        raise ValueError(f"it has {len(calls)} function calls; exactly one of {function} is needed")
    if calls[0].name != function:
        raise ValueError(f"it calls {calls[0].name!r}; the function is called {function}")
    if isinstance(calls[0].arguments, str):
        return parse_json(calls[0].arguments)
    check_value(calls[0].arguments)
    return calls[0].arguments


def _unfenced(content: str) -> str:
    fenced = _FENCED.fullmatch(content)
    return fenced.group(1) if fenced else content
