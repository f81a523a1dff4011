"""Any row -> a row of a dataset: a conversation, or a text with labels. Pure."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import orjson
from jinja2 import TemplateSyntaxError

from models.errors import BadInputError
from models.recipes.fields import fields_read, names_read
from models.recipes.problems import RowProblem
from models.recipes.sandbox import SANDBOX
from models.recipes.templates import compile_text
from models.words import printable
from producers.datasets.manifest import Kind, Shape
from producers.readers.rejects import listed

Row = dict[str, Any]
_OWN = ("id", "messages", "tools", "text", "labels", "meta")
_SHORT_BYTES = 300
"""Fields of a templated row longer than this (as JSON) are not kept: the prompt has them."""


class NotARowError(Exception):
    """A row that does not become one of a dataset; `code` counts it among those left out."""

    def __init__(self, code: str, message: str, advice: str = "") -> None:
        super().__init__(f"{message}: {advice}" if advice else message)
        self.code, self.message, self.advice = code, message, advice


class BrokenRowError(NotARowError):
    """A row that nobody could learn from, unlike one that is left out by choice."""


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
        self._sources = [shape.system, shape.prompt, shape.answer]
        self._split_field = shape.split_field

    def shaped(self, data: Mapping[str, Any], origin: Mapping[str, Any]) -> Row:
        """A dataset's row, with a provisional id; what `origin` says goes into its `meta`.

        Raises `BrokenRowError` if the row has neither messages nor labels and no template applies,
        or if they are not what they are called.
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
            raise self._unrendered(data, problem.detail) from problem
        meta = {name: value for name, value in data.items() if name != "id" and is_short(value)}
        return {"id": data.get("id"), "messages": messages, "meta": meta}

    def _unrendered(self, data: Mapping[str, Any], detail: str) -> BrokenRowError:
        """Why the templates fail for a row, in its fields' names where it lacks one."""
        has = f"the row has {listed(data)}"
        for source in self._sources:
            if missing := sorted(fields_read(source, "row") - data.keys()):
                told = f"the field `{printable(missing[0], 40)}` is missing; {has}"
                return BrokenRowError("template", told, "name one of these, or give it a default")
            if unknown := sorted(names_read(source) - {"row"} - SANDBOX.globals.keys()):
                name = printable(unknown[0], 40)
                told = f"there is no variable `{name}`; {has}"
                advice = f"write {{{{ row.{name if name in data else 'FIELD'} }}}}"
                return BrokenRowError("template", told, advice)
        return BrokenRowError("template", f"{detail}; {has}", "mend the template, or the row")

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
    if data.get("labels") is None and data.get("messages") is None:
        raise BrokenRowError(
            "shape",
            f"the row has neither `messages` nor `labels`, but {listed(data)}",
            "--prompt and --answer make a conversation of it, from its fields: '{{ row.FIELD }}'",
        )
    row = {name: data[name] for name in _OWN if data.get(name) is not None}
    if row.get("tools") == []:
        del row["tools"]
    if why := misshapen(row):
        raise BrokenRowError("shape", why, "write it as the trainers take it, or leave the row out")
    meta = row.get("meta")
    meta = dict(meta) if isinstance(meta, dict) else {} if meta is None else {"meta": meta}
    row["meta"] = {**meta, **{name: data[name] for name in data if name not in _OWN}}
    return row


def misshapen(row: Mapping[str, Any]) -> str:
    """Why a row's messages, tools or calls of tools cannot be read, in words; empty if they can.

    What they say is not judged here: that is `rules`.
    """
    for name in ("messages", "tools"):
        if row.get(name) is not None and not is_objects(row[name]):
            return f"`{name}` is not a list of objects"
    for place, message in enumerate(row.get("messages") or ()):
        if not isinstance(message.get("tool_calls"), list | None):
            return f"`messages[{place}].tool_calls` is not a list"
    return ""


def is_objects(value: object) -> TypeGuard[list[dict[str, Any]]]:
    """Whether a value is a list with nothing but objects."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


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
    said += [tools] if (tools := row.get("tools")) else []
    canonical = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return "sha-" + hashlib.sha256(canonical).hexdigest()[:16]


def asked_and_answered(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a row asks (its tools too), and what it answers (the assistant's words, or labels)."""
    asked: list[str] = [str(row.get("text") or "")]
    asked += [_json(row["tools"])] if row.get("tools") else []
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
