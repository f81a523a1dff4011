"""Any row -> a row of a dataset: a conversation, or a text with labels. Pure."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from jinja2 import TemplateSyntaxError

from models.errors import BadInputError
from models.recipes.problems import RowProblem
from models.recipes.templates import compile_text
from models.words import printable
from producers.datasets.manifest import Kind, Shape
from producers.readers.rejects import listed

Row = dict[str, Any]
_OWN = ("id", "messages", "text", "labels", "meta")
_SHORT_BYTES = 300
"""Fields of a templated row longer than this (as JSON) are not kept: the prompt has them."""


class NotARowError(Exception):
    """A row that cannot become one of a dataset; `code` counts it among those left out."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Shaper:
    """Makes rows of one shape. Raises `BadInputError` for templates that do not parse."""

    def __init__(self, shape: Shape) -> None:
        if bool(shape.prompt) != bool(shape.answer):
            raise BadInputError("--prompt and --answer go together: give both, or neither")
        if shape.system and not shape.prompt:
            raise BadInputError("--system goes with --prompt and --answer: rows come as they are")
        self._templates = [
            (role, _compiled(text, f"--{name}"))
            for role, name, text in (
                ("system", "system", shape.system),
                ("user", "prompt", shape.prompt),
                ("assistant", "answer", shape.answer),
            )
            if text
        ]
        self._split_field = shape.split_field

    def shaped(self, data: Mapping[str, Any], origin: Mapping[str, Any]) -> Row:
        """A dataset's row, with a provisional id; what `origin` says goes into its `meta`.

        Raises `NotARowError` if the row has neither messages nor labels and no template applies.
        """
        row = self._rendered(data) if self._templates else _as_it_is(data)
        meta = {**row.pop("meta", {}), **origin}
        row_id = str(row.pop("id", None) or origin.get("row") or content_id(row))
        return {"id": row_id, **row, **({"meta": meta} if meta else {})}

    def _rendered(self, data: Mapping[str, Any]) -> Row:
        try:
            messages = [
                {"role": role, "content": render({"row": dict(data)})}
                for role, render in self._templates
            ]
        except RowProblem as problem:
            raise NotARowError("template", problem.detail) from problem
        meta = {name: value for name, value in data.items() if name != "id" and is_short(value)}
        return {"id": data.get("id"), "messages": messages, "meta": meta}

    def part_of(self, data: Mapping[str, Any]) -> str:
        """The part that the row names in its split field; `rows` where there is no such field.

        Raises `BadInputError` if the row names no part: leaving it out would unbalance the others.
        """
        if not self._split_field:
            return "rows"
        value = data.get(self._split_field)
        if (part := PART_NAMES.get(str(value).lower())) is None:
            raise BadInputError(
                f"`{printable(self._split_field, 40)}` of the row {printable(str(data.get('id')))} "
                f"is {printable(repr(value), 60)}: it must be one of {', '.join(PART_NAMES)}; or "
                "leave --split-field out, and divide the dataset with `maestrale dataset split`"
            )
        return part


PART_NAMES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
}


def _compiled(source: str, where: str) -> Callable[[Mapping[str, Any]], str]:
    try:
        return compile_text(source, where)
    except TemplateSyntaxError as error:
        raise BadInputError(f"{where} does not parse: {error}") from error


def _as_it_is(data: Mapping[str, Any]) -> Row:
    if "labels" not in data and "messages" not in data:
        raise NotARowError(
            "shape",
            f"the row has neither `messages` nor `labels`, but {listed(data)}: say with --prompt "
            "and --answer how it becomes a conversation",
        )
    row = {name: data[name] for name in _OWN if data.get(name) is not None}
    meta = row.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {} if meta is None else {"meta": meta}
    row["meta"] = {**meta, **{name: data[name] for name in data if name not in _OWN}}
    return row


def is_short(value: object) -> bool:
    """Whether a value is kept beside a row that does not need it: not null, and not long."""
    if value is None or isinstance(value, bool | int | float):
        return value is not None
    return len(orjson.dumps(value)) <= _SHORT_BYTES


def kind_of_row(row: Mapping[str, Any]) -> Kind:
    """Whether a row is a conversation to learn from, or an input with labels."""
    return "labels" if "labels" in row else "chat"


def content_id(row: Mapping[str, Any]) -> str:
    """An id made of what a row says; the same wherever the row stands."""
    said = [row.get("messages"), row.get("text"), row.get("labels")]
    canonical = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return "sha-" + hashlib.sha256(canonical).hexdigest()[:16]


def asked_and_answered(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a row asks, and what it answers (all of the assistant's words, or the labels)."""
    asked: list[str] = [str(row.get("text") or "")]
    answered: list[str] = []
    for message in _messages(row):
        side = answered if message.get("role") == "assistant" else asked
        side += texts_of(message)
    if "labels" in row:
        asked, answered = asked + answered, [_json(row["labels"])]
    return "\n".join(asked), "\n".join(answered)


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """A message's texts: its content, its text chunks, and its tool calls as JSON."""
    content = message.get("content")
    texts = [content] if isinstance(content, str) else []
    if isinstance(content, list):
        texts += [str(chunk.get("text", "")) for chunk in content if isinstance(chunk, dict)]
    if calls := message.get("tool_calls"):
        texts.append(_json(calls))
    return texts


def _messages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = row.get("messages")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
