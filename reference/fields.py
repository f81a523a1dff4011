"""What a model's fields are called, take and mean. The meaning is the docstring below a field."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reference.kinds import kind_of

NEEDED = "**needed**"


@dataclass(frozen=True, slots=True)
class Told:
    """One key: how it is written, what it takes, its default as written, what it means."""

    key: str
    kind: str
    default: str
    meaning: str
    part: type[BaseModel] | None = None
    """The part that it holds, alone, in a list or by name."""


def told_of(part: type[BaseModel]) -> list[Told]:
    """Every key of a part, those that are needed first."""
    meanings = docstrings(part)
    found = [_told(name, field, meanings) for name, field in part.model_fields.items()]
    return sorted(found, key=lambda one: one.default != NEEDED)


def _told(name: str, field: FieldInfo, meanings: Mapping[str, str]) -> Told:
    kind = kind_of(field.annotation, field.metadata)
    meaning = field.description or meanings.get(name, "")
    return Told(field.alias or name, kind, _default(field), meaning, _part_in(field.annotation))


def _part_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    below = (_part_in(inner) for inner in get_args(annotation))
    return next((part for part in below if part), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return NEEDED
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", [], {}) or isinstance(value, BaseModel):
        return ""
    return f"`{written(value)}`"


def written(value: Any) -> str:
    """A value as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return json.dumps(str(value.value), ensure_ascii=False)
        case float():
            return f"{value:.10f}".rstrip("0").removesuffix(".") if value < 1 else repr(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


@cache
def docstrings(part: type[Any]) -> Mapping[str, str]:
    """The text below each attribute of a class and of what it inherits from, by name."""
    found: dict[str, str] = {}
    for parent in reversed(part.__mro__):
        if parent.__module__.split(".")[0] == part.__module__.split(".")[0]:
            found |= dict(_below_attributes(parent))
    return found


def _below_attributes(part: type[Any]) -> Iterator[tuple[str, str]]:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
    assert isinstance(node, ast.ClassDef), part
    for attribute, text in zip(node.body, node.body[1:], strict=False):
        match (attribute, text):
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(told))),
            ):
                yield name, " ".join(told.split())
            case _:
                pass
