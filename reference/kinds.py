"""Types as people read them: `whole number, 1 to 64`, `list of texts`, `table`."""

import types
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from models.bounds import MOST_COUNT
from reference.markdown import either

PLAIN: Mapping[Any, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "text",
}
_MANY = {"text": "texts", "whole number": "whole numbers", "number": "numbers", "table": "tables"}
Bound = float | None


def kind_of(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """A type with its bounds, in words."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return kind_of(inner, [*_unfolded(more), *metadata])
    marks = list(metadata)
    words = _words(annotation)
    bounds = _bounds(marks, whole=annotation is int)
    if words == PLAIN[bool]:
        return words
    return f"{words}, {bounds}" if bounds else words


def _unfolded(marks: Iterable[Any]) -> Iterable[Any]:
    """What a `Field(ge=1)` within an annotation holds, beside other marks."""
    for mark in marks:
        yield from mark.metadata if isinstance(mark, FieldInfo) else [mark]


def _words(annotation: Any) -> str:
    if annotation in PLAIN:
        return PLAIN[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (types.UnionType, Union):
        return _of_union(parts)
    if origin is Literal:
        return either(map(str, parts))
    if origin is list:
        return _of_list(parts[0])
    return _of_class(annotation) if origin is None else _of_table(parts[-1])


def _of_class(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return either(str(member.value) for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return "any value"


def _of_union(parts: Iterable[Any]) -> str:
    told = [kind_of(part) for part in parts if part is not type(None)]
    return " or ".join(dict.fromkeys(told))


def _of_list(part: Any) -> str:
    words = kind_of(part)
    return f"list of {_MANY[words]}" if words in _MANY else "list"


def _of_table(part: Any) -> str:
    words = kind_of(part)
    return f"table of {_MANY[words]}" if words in _MANY else "table"


def _bounds(marks: Iterable[Any], *, whole: bool) -> str:
    least: Bound = None
    most: Bound = None
    above = ""
    for mark in marks:
        match mark:
            case Ge():
                least = mark.ge  # type: ignore[assignment] # ours are numbers
            case Gt():
                above = f"above {plain(mark.gt)}"
            case Le() | Lt():
                most = mark.le if isinstance(mark, Le) else mark.lt  # type: ignore[assignment] # as above
            case MinLen():
                return f"{mark.min_length} or more" if mark.min_length > 1 else "at least one"
            case _:
                pass
    return span(least, most, above)


def span(least: Bound, most: Bound, above: str = "") -> str:
    """`1 to 64`, `0 or more`, `above 0, at most 1`; the largest count of all is not told."""
    if most is not None and most >= MOST_COUNT:
        most = None
    low = above or ("" if least is None else plain(least))
    match (low, most):
        case ("", None):
            return ""
        case ("", _):
            return f"at most {plain(most)}"
        case (_, None):
            return low if above else f"{low} or more"
        case _:
            return f"{low}, at most {plain(most)}" if above else f"{low} to {plain(most)}"


def plain(value: Any) -> str:
    """A number without a needless `.0`, thousands divided."""
    number = float(value)
    if number.is_integer():
        return f"{int(number):,}"
    return f"{number:g}"
