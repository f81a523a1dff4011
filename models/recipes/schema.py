"""A recipe as data: what its TOML may say, and what can be derived from it.

A `Recipe` is a snapshot: every file it names is inlined, so its JSON is all a worker needs. What
the types cannot say (templates parse, paths lead to lists, ...) is checked by `checking`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from models.errors import RecipeError
from models.recipes.fields import fields_read
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
    """What is sent with a request as it is; names and ranges are the API's."""

    temperature: float | None = Field(None, ge=0, le=1.5)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    random_seed: int | None = Field(None, ge=0)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    safe_prompt: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    prompt_mode: Literal["reasoning"] | None = None
    service_tier: Text | None = None
    metadata: dict[str, JsonValue] | None = None


class Function(Part):
    """A function the model has to call exactly once; its arguments are the answer."""

    name: ApiName
    description: str = ""
    strict: bool | None = None
    parameters: dict[str, JsonValue]


class AnswerSchema(Part):
    """A JSON schema the answer has to fit (`response_format` json_schema)."""

    name: ApiName = "answer"
    description: str | None = None
    strict: bool = True
    definition: dict[str, JsonValue] = Field(alias="schema")


class Checks(Part):
    """Rules an answer has to keep; a broken one is told to the model in the one re-ask."""

    forbid: list[Text] = []
    """Regular expressions, case ignored; none may match any text of the answer."""
    min_chars: int | None = Field(None, ge=1)
    max_chars: int | None = Field(None, ge=1)
    refusals: bool = True
    """Whether an answer that starts like a refusal is one (`refusals.PHRASES`)."""


class Message(Part):
    """One message of an example conversation before the prompt."""

    role: Literal["user", "assistant"]
    content: Text


class Loop(Part):
    """Something done once, or once per item of a list."""

    for_each: Text | None = None
    """`step`, `step.path.to.list` or `row.path.to.list`."""
    item_name: Name = Field("item", alias="as")
    """What templates call the item; `number` counts from 1."""
    max_items: int = Field(50, ge=1, le=1000)
    """A longer list is an invalid answer (or a bad row)."""


class Asking(Part):
    """What is said to a model, and what its answer has to be."""

    system: Text | None = None
    messages: list[Message] = []
    prompt: Text | None = None
    parameters: Parameters = Parameters()
    function: Function | None = None
    answer_schema: AnswerSchema | None = Field(None, alias="schema")
    checks: Checks = Checks()
    expected_tokens: int | None = Field(None, ge=1)
    """Length of a typical answer, for estimates only."""

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
    """One request to a model per row, or per item of the fan-out."""

    name: Name
    model: Text


class Output(Loop):
    """The records a row ends as: texts are templates, `provenance` goes to a side file."""

    record: dict[str, JsonValue]
    provenance: dict[str, JsonValue] = {}

    def templates(self) -> Iterator[tuple[str, str]]:
        """Key and source of every template."""
        yield from _leaves(self.record, "record")
        yield from _leaves(self.provenance, "provenance")


class Recipe(Part):
    """How rows become records: the snapshot that a job carries."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: str = ""
    input: Input = Input()
    variables: dict[Name, Variable] = {}
    steps: list[Step] = Field(min_length=1)
    output: Output

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
        steps = [step.model_copy(update={"model": model}) for step in self.steps]
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
