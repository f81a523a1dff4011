"""A recipe as data: what its TOML may say, and what can be derived from it.

A `Recipe` is a snapshot: every file it names is inlined, so its JSON is all a worker needs. What
the types cannot say (templates parse, paths lead to lists, ...) is checked by `checking`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from models.errors import RecipeError
from models.recipes.fields import fields_printed, fields_read
from models.recipes.strict_json import Json
from models.recipes.variables import Variable, read_variables

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ApiName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class Part(BaseModel):
    """What all parts of a recipe share: unchangeable, no unknown keys, no types guessed."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # errors end in logs, prompts must not
    )


class Input(Part):
    """What a row must have."""

    id: Text = "id"
    """The field that names a row."""
    required: list[Text] = []
    """Fields a row must have besides those the templates read."""


class Parameters(Part):
    """What is sent with a request as it is; names and ranges are the API's, and what is not written
    is not sent."""

    temperature: float | None = Field(None, ge=0, le=1.5)
    """How much chance there is in an answer; 0: as little as can be."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Only the likeliest tokens that make up this share are drawn from."""
    max_tokens: int | None = Field(None, ge=1)
    """Tokens of an answer at most; a longer one is cut, and fails as `truncated`."""
    stop: str | list[str] | None = None
    """Texts before which an answer ends."""
    random_seed: int | None = Field(None, ge=0)
    """The same seed asks for the same answer."""
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    """Above 0: what was said once is less likely to be said again."""
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    """The same, the more the oftener it was said."""
    safe_prompt: bool | None = None
    """Whether the API puts its safety prompt before the conversation."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    """How long a model that reasons may do so."""
    prompt_mode: Literal["reasoning"] | None = None
    """The API's own prompt for reasoning."""
    service_tier: Text | None = None
    """Which of the provider's tiers answers."""
    metadata: dict[str, JsonValue] | None = None
    """What the provider shall note with the call."""


class Function(Part):
    """A function the model has to call exactly once; its arguments are the answer."""

    name: ApiName
    """What the model calls it: letters, digits, `-`, `_`; at most 64."""
    description: str = ""
    """What the model is told of it."""
    strict: bool | None = None
    """Whether the API holds the arguments to the schema."""
    parameters: dict[str, JsonValue]
    """A JSON schema of type object."""


class AnswerSchema(Part):
    """A JSON schema the answer has to fit (`response_format` json_schema)."""

    name: ApiName = "answer"
    """What the model is told it is called: letters, digits, `-`, `_`; at most 64."""
    description: str | None = None
    """What the model is told of it."""
    strict: bool = True
    """Whether the API holds the answer to the schema."""
    definition: dict[str, JsonValue] = Field(alias="schema")
    """A JSON schema of type object."""


class Checks(Part):
    """Rules an answer has to keep; a broken one is told to the model in the one re-ask."""

    forbid: list[Text] = []
    """Regular expressions, case ignored; none may match any text of the answer."""
    min_chars: int | None = Field(None, ge=1)
    """A shorter text is none; for a `function` or `schema` use `minLength` in it."""
    max_chars: int | None = Field(None, ge=1)
    """A longer text is none; for a `function` or `schema` use `maxLength` in it."""
    refusals: bool = True
    """Whether an answer that starts like a refusal ("I'm sorry, but I can't ...") is one."""


class Message(Part):
    """One message of an example conversation before the prompt."""

    role: Literal["user", "assistant"]
    """Who says it."""
    content: Text
    """What is said: a template."""


class Loop(Part):
    """Something done once, or once per item of a list."""

    for_each: Text | None = None
    """Once per item of this list: `step.path.to.list` of an earlier answer, all answers of a
    fan-out `step`, or `row.path.to.list`."""
    item_name: Name = Field("item", alias="as")
    """What templates call the item; `number` counts them from 1."""
    max_items: int = Field(50, ge=1, le=1000)
    """A longer list is an invalid answer (or a bad row)."""


class Asking(Part):
    """What is said to a model, and what its answer has to be."""

    system: Text | None = None
    """Template of the system message."""
    messages: list[Message] = []
    """Examples between the system message and the prompt."""
    prompt: Text | None = None
    """Template of the last message, the user's. May be left out where `messages` end with one of
    the user's."""
    parameters: Parameters = Parameters()
    """Sent as they are: `temperature`, `max_tokens` and the like."""
    function: Function | None = None
    """The model must call it exactly once, and its arguments are the answer."""
    answer_schema: AnswerSchema | None = Field(None, alias="schema")
    """The answer is JSON of this shape. A `function` or a `schema`, not both; without them the
    answer is text."""
    checks: Checks = Checks()
    """Rules for the answer."""
    expected_tokens: int | None = Field(None, ge=1)
    """Length of a typical answer; only estimates use it."""

    @property
    def answer_definition(self) -> dict[str, JsonValue] | None:
        """The JSON schema an answer has to fit; None for text."""
        if self.function:
            return self.function.parameters
        return self.answer_schema.definition if self.answer_schema else None

    def templates(self) -> Iterator[tuple[str, str, str]]:
        """Key, role and source of every template, in the order of the messages."""
        if self.system:
            yield "system", "system", self.system
        for at, message in enumerate(self.messages):
            yield f"messages[{at}].content", message.role, message.content
        if self.prompt:
            yield "prompt", "user", self.prompt


class Step(Asking, Loop):
    """One request to a model per row, or, with `for_each`, per item of a list (a fan-out)."""

    name: Name
    """An identifier (small letters, digits, `_`); later templates know the answer by it, a list of
    them for a fan-out."""
    model: Text
    """The model that is asked; `--model` overrides all."""


class Output(Loop):
    """The records a row ends as: one, or, with `for_each`, one per item of a list; over a fan-out
    step each answer comes with its item."""

    record: dict[str, JsonValue]
    """The shape of a record; every text in it is a template, and one that is a single
    `{{ expression }}` keeps its type."""
    provenance: dict[str, JsonValue] = {}
    """The same for the side file, one for each record."""

    def templates(self) -> Iterator[tuple[str, str]]:
        """Key and source of every template."""
        yield from _leaves(self.record, "record")
        yield from _leaves(self.provenance, "provenance")

    def spoken(self) -> Iterator[str]:
        """Templates of the role and text of each message, where a record is a conversation: one
        with an empty message cannot be exported as one."""
        messages = self.record.get("messages")
        for message in messages if isinstance(messages, list) else []:
            if isinstance(message, dict) and not message.get("tool_calls"):
                said = (message.get("role"), message.get("content"))
                yield from (source for source in said if isinstance(source, str))


class Recipe(Part):
    """How rows become records.

    As it is loaded, with its files inlined, it is the snapshot that a job carries.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    """Small letters, digits, `-`, `_`; at most 64. Jobs are listed by it."""
    description: str = ""
    """One line, shown where recipes are listed."""
    input: Input = Input()
    """What a row must have."""
    variables: dict[Name, Variable] = {}
    """Texts, numbers, true or false that templates read as `vars.x`; `--set x=...` sets others,
    read as the default's type."""
    steps: list[Step] = Field(min_length=1)
    """The requests, in order."""
    output: Output
    """What is written out."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the recipe's canonical JSON, in hex."""
        data = self.model_dump(mode="json")
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def required_fields(self) -> frozenset[str]:
        """Fields a row must have: those listed, and those the templates read without a default."""
        sources = [source for step in self.steps for _, _, source in step.templates()]
        sources += [source for _, source in self.output.templates()]
        read = (fields_read(source, "row") for source in sources)
        return frozenset(self.input.required).union(*read, self._fields_looped())

    @cached_property
    def filled_fields(self) -> frozenset[str]:
        """Those of them that may not be empty: those listed or looped over, and those that a prompt
        or a conversation's message prints whatever the row says. What else is only carried into
        records may be."""
        sources = [source for step in self.steps for _, _, source in step.templates()]
        sources += self.output.spoken()
        printed = (fields_printed(source, "row") for source in sources)
        return frozenset(self.input.required).union(*printed, self._fields_looped())

    def _fields_looped(self) -> set[str]:
        paths = [loop.for_each.split(".") for loop in (*self.steps, self.output) if loop.for_each]
        return {path[1] for path in paths if path[0] == "row" and len(path) > 1}

    def step(self, name: str) -> Step | None:
        """The step of that name."""
        return next((step for step in self.steps if step.name == name), None)

    def with_model(self, model: str) -> "Recipe":
        """The same recipe asking `model` in every step; `RecipeError` for an empty name."""
        if not model.strip():
            raise RecipeError("the model's name is empty: give one, e.g. mistral-small-latest")
        return self.with_names(lambda _name: model)

    def with_names(self, called: Callable[[str], str]) -> "Recipe":
        """The same recipe with each model under the name that `called` gives it."""
        steps = [step.model_copy(update={"model": called(step.model)}) for step in self.steps]
        return self._changed(steps=steps)

    def with_variables(self, values: Mapping[str, Variable]) -> "Recipe":
        """The same recipe with some `[variables]` set; texts are read as the default's type.

        Raises `RecipeError` for an unknown name or a text that is not of that type.
        """
        read = read_variables(self.variables, values)
        return self._changed(variables={**self.variables, **read})

    def _changed(self, **changes: Json) -> "Recipe":
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Recipe(**{**fields, **changes})


def _leaves(value: JsonValue, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}")
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from _leaves(part, f"{key}[{at}]")
