"""The filters a recipe's template may use; all others do not exist there.

Text filters take text and numbers only, so printing a list by accident is a named failure instead
of Python's notation in a prompt, and no result is longer than `MAX_TEXT`.
"""

from collections.abc import Callable, Iterable, Iterator

import orjson
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from models.recipes.strict_json import Json

MAX_TEXT = 4_000_000
"""Characters a rendered text, or any text on the way to it, may have."""
MAX_ITEMS = 100_000
"""Items that lists made by a template may have, and rounds that all loops of a render may take."""
BUDGET = "_rounds_left"
"""Where a render keeps the rounds its loops may still take (a list of one number)."""

_FROM_JINJA = (
    *("abs", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items"),
    *("last", "length", "list", "map", "max", "min", "reject", "rejectattr", "reverse", "select"),
    *("selectattr", "sort", "sum", "unique"),
)


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


def capped(text: str) -> str:
    """`text`, or `SecurityError` when it is longer than `MAX_TEXT`."""
    return text if check_length(len(text)) else ""


def check_length(length: int, limit: int = MAX_TEXT) -> bool:
    """True, or `SecurityError` when `length` is above `limit`."""
    if length > limit:
        raise SecurityError(f"the template makes {length} characters or items; the cap is {limit}")
    return True


def join(items: Iterable[Json], separator: str = "") -> str:
    """The items' texts with `separator` between them."""
    texts = [as_text(item, "an item of a list") for item in items]
    check_length(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def concat(first: Json, *others: Json) -> str:
    """What the operator `~` does."""
    return join((first, *others))


def replace(value: Json, old: str, new: str) -> str:
    """Every `old` in the text replaced by `new`."""
    text = as_text(value)
    check_length(len(text) + (text.count(old) + 1) * len(new))
    return text.replace(old, new)


def truncate(value: Json, length: int = 255, end: str = "…") -> str:
    """At most `length` characters of the text, cut at a space, with `end` if it was cut."""
    text = as_text(value)
    if len(text) <= length:
        return text
    return text[: max(length - len(end), 0)].rsplit(" ", 1)[0] + end


def indent(value: Json, width: int = 4) -> str:
    """Every line but the first moved `width` (at most 40) spaces to the right."""
    return replace(value, "\n", "\n" + " " * min(width, 40))


def trim(value: Json, characters: str | None = None) -> str:
    """The text without white space (or `characters`) around it."""
    return as_text(value).strip(characters)


def tojson(value: Json) -> str:
    """The value as JSON with characters as they are (nothing is escaped for HTML)."""
    check_size(value)
    return capped(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode())


def round_number(value: float, digits: int = 0) -> float:
    """The number rounded to `digits` decimals."""
    return round(float(value), digits)


def check_size(value: Json, limit: int = MAX_ITEMS) -> None:
    """`SecurityError` for a value of more than `limit` parts (`[a, a]` 30 times: a billion)."""
    left = limit
    open_values = [value]
    while open_values:
        part = open_values.pop()
        left -= 1
        if left < 0:
            check_length(limit + 1, limit)
        if isinstance(part, dict):
            open_values.extend(part.values())
        elif isinstance(part, (list, tuple)):
            open_values.extend(part)


def _on_text(method: Callable[[str], Json]) -> Callable[[Json], Json]:
    return lambda value: method(as_text(value))


@pass_context
def counted(context: Context, items: Iterable[Json]) -> Iterator[Json]:
    """The items of a `for`, taking one round each from the render's budget."""
    budget = context.parent[BUDGET]
    for item in items:
        budget[0] -= 1
        if budget[0] < 0:
            raise SecurityError(f"the template's loops take more than {MAX_ITEMS} rounds")
        yield item


def shown(value: Json, label: str) -> str:
    """What `{{ ... }}` prints."""
    return as_text(value, label)


PUBLIC: dict[str, Callable[..., Json]] = {
    **{name: JINJA_FILTERS[name] for name in _FROM_JINJA},
    **{name: _on_text(getattr(str, name)) for name in ("capitalize", "lower", "title", "upper")},
    "indent": indent,
    "join": join,
    "replace": replace,
    "round": round_number,
    "string": _on_text(str),
    "tojson": tojson,
    "trim": trim,
    "truncate": truncate,
    "wordcount": _on_text(lambda text: len(text.split())),
}
"""The filters by name."""
INTERNAL: dict[str, Callable[..., Json]] = {"_concat": concat, "_counted": counted, "_shown": shown}
"""Filters that `templates` weaves in; a recipe cannot name them."""
