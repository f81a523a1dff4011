"""The filters a recipe's template may use; all others do not exist there.

Text filters take text and numbers only, so printing a list by accident is a named failure instead
of Python's notation in a prompt, and no result is longer than `MAX_TEXT` (in
records, than `Caps.beside` says).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson
from jinja2 import Environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context, pass_environment

from models.recipes.strict_json import Json

MAX_TEXT = 4_000_000
"""Characters a rendered text, or any text on the way to it, may have."""
MAX_ITEMS = 100_000
"""Items that lists made by a template may have, and rounds that all loops of a render may take."""
MAX_MADE = 100_000_000
"""Bytes, roughly, of all texts and lists that a render may make on the way to its result."""
BUDGET = "_left"
"""Where a render keeps what its loops and values may still take (`fresh_budget`)."""
CAPS = "_caps"
"""Where it keeps what it may take in all."""
_OVERHEAD = 64
_MOST_BYTES = 4
"""Of a character."""
_WIDER = 1.1
_PER_ITEM = 16

_FROM_JINJA = (
    *("abs", "count", "d", "default", "first", "float", "int", "items", "last", "length", "list"),
    *("map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr"),
)
_KEYED = ("dictsort", "groupby", "sort", "unique")
"""They make a key of every item, so they take no more than a result may hold."""


def as_text(value: Json, label: str = "a value") -> str:
    """Text and numbers as text; `SecurityError` for null, lists and objects, named by `label`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        return str(value)  # raises UndefinedError, which names the variable
    if value is None:
        raise SecurityError(f"{label} is null: give it a default with | default('...', true)")
    if isinstance(value, (int, float)):
        return str(value)
    kind = type(value).__name__
    raise SecurityError(f"{label} is a {kind}: print it with | join(', ') or | tojson")


def check_length(length: int, limit: int) -> None:
    """`SecurityError` when `length` is above `limit`."""
    if length > limit:
        raise SecurityError(f"the template makes {length} characters or items; the cap is {limit}")


@pass_context
def join(context: Context, items: Iterable[Json], separator: str = "") -> str:
    """The items' texts with `separator` between them."""
    texts = [as_text(item, "an item of a list") for item in items]
    length = sum(map(len, texts)) + len(separator) * len(texts)
    check_length(length, context.parent[CAPS].text)
    return separator.join(texts)


@pass_context
def concat(context: Context, first: Json, *others: Json) -> str:
    """What the operator `~` does."""
    return join(context, (first, *others))


@pass_context
def replace(context: Context, value: Json, old: str, new: str) -> str:
    """Every `old` in the text replaced by `new`."""
    text = as_text(value)
    check_length(len(text) + (text.count(old) + 1) * len(new), context.parent[CAPS].text)
    return text.replace(old, new)


def truncate(value: Json, length: int = 255, end: str = "…") -> str:
    """At most `length` characters of the text, cut at a space, with `end` if it was cut."""
    text = as_text(value)
    if len(text) <= length:
        return text
    return text[: max(length - len(end), 0)].rsplit(" ", 1)[0] + end


@pass_context
def indent(context: Context, value: Json, width: int = 4) -> str:
    """Every line but the first moved `width` (at most 40) spaces to the right."""
    return replace(context, value, "\n", "\n" + " " * min(width, 40))


def trim(value: Json, characters: str | None = None) -> str:
    """The text without white space (or `characters`) around it."""
    return as_text(value).strip(characters)


@pass_context
def tojson(context: Context, value: Json) -> str:
    """The value as JSON with characters as they are (nothing is escaped for HTML)."""
    caps = context.parent[CAPS]
    check_size(value, caps)
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    check_length(len(text), caps.text)
    return text


def round_number(value: float, digits: int = 0) -> float:
    """The number rounded to `digits` decimals."""
    return round(float(value), digits)


class Caps(NamedTuple):
    """What one render may take: characters of its result; parts of it, and rounds; bytes made."""

    text: int = MAX_TEXT
    items: int = MAX_ITEMS
    made: int = MAX_MADE

    def beside(self, values: Json) -> "Caps":
        """With as much again as is held already: memory grows with that, and not with templates."""
        parts = length = 0
        for part in _parts(values):
            parts += 1
            length += len(part) if isinstance(part, str) else 0
        return Caps(
            self.text + length, self.items + parts, self.made + _MOST_BYTES * length + parts
        )

    def is_wider_than(self, other: "Caps") -> bool:
        """By so much that what met the other's caps may pass these."""
        return self.text > _WIDER * other.text or self.items > _WIDER * other.items


USUAL = Caps()


def check_size(value: Json, caps: Caps) -> None:
    """`SecurityError` for a value of too many parts (`[a, a]` 30 times: a billion), or whose texts
    together are too long."""
    length = 0
    for count, part in enumerate(_parts(value), 1):
        check_length(count, caps.items)
        if isinstance(part, str):
            length += len(part)
            check_length(length, caps.text)


def _parts(value: Json) -> Iterator[Json]:
    """The value and all within it; as long as each is taken at once, in bounded memory."""
    open_values = [value]
    while open_values:
        part = open_values.pop()
        yield part
        if isinstance(part, dict):
            open_values.extend(part.values())
        elif isinstance(part, (list, tuple)):
            open_values.extend(part)


def fresh_budget(caps: Caps) -> dict[str, Json]:
    """Variables of ours: the rounds and the bytes that one render may take, and the caps."""
    return {BUDGET: [caps.items, caps.made], CAPS: caps}


def _on_text(method: Callable[[str], Json]) -> Callable[[Json], Json]:
    return lambda value: method(as_text(value))


@pass_context
def counted(context: Context, items: Iterable[Json]) -> Iterator[Json]:
    """The items of a `for`, taking one round each from the render's budget."""
    budget = context.parent[BUDGET]
    for item in items:
        budget[0] -= 1
        if budget[0] < 0:
            most = context.parent[CAPS].items
            raise SecurityError(f"the template's loops take more than {most} rounds")
        yield item


@pass_context
def charged(context: Context, value: Json) -> Json:
    """The value, taking about its size from what the render may make: memory stays bounded
    however many values, each of them small enough, are kept at once."""
    size = len(value) if isinstance(value, (str, list, tuple)) else 0
    budget = context.parent[BUDGET]
    budget[1] -= _OVERHEAD + size * (1 if isinstance(value, str) else _PER_ITEM)
    if budget[1] < 0:
        most = context.parent[CAPS].made
        raise SecurityError(f"the template makes texts and lists of more than {most} bytes")
    return value


def _keyed(name: str) -> Callable[..., Json]:
    @pass_context
    def sized(context: Context, value: Json, *args: Json, **kwargs: Json) -> Json:
        items = value if isinstance(value, Mapping) else list(value)
        check_size(items, context.parent[CAPS])
        first = () if name == "dictsort" else (context.environment,)
        return JINJA_FILTERS[name](*first, items, *args, **kwargs)

    return sized


@pass_environment
def total(
    environment: Environment,
    items: Iterable[Json],
    attribute: str | int | None = None,
    start: float = 0,
) -> Json:
    """The sum of numbers: lists would be copied once per item."""
    if not isinstance(start, (int, float)):
        raise SecurityError("sum adds numbers: its start is one")
    return JINJA_FILTERS["sum"](environment, items, attribute, start)


def shown(value: Json, label: str) -> str:
    """What `{{ ... }}` prints."""
    return as_text(value, label)


PUBLIC: dict[str, Callable[..., Json]] = {
    **{name: JINJA_FILTERS[name] for name in _FROM_JINJA},
    **{name: _on_text(getattr(str, name)) for name in ("capitalize", "lower", "title", "upper")},
    **{name: _keyed(name) for name in _KEYED},
    "indent": indent,
    "join": join,
    "replace": replace,
    "round": round_number,
    "string": _on_text(str),
    "sum": total,
    "tojson": tojson,
    "trim": trim,
    "truncate": truncate,
    "wordcount": _on_text(lambda text: len(text.split())),
}
"""The filters by name."""
INTERNAL: dict[str, Callable[..., Json]] = {
    "_charged": charged,
    "_concat": concat,
    "_counted": counted,
    "_shown": shown,
}
"""Filters that `templates` weaves in; a recipe cannot name them."""
