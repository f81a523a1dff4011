"""What the lists of files, batches and fine-tuning jobs share: pages and filters of a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from multidict import MultiMapping
from pydantic import TypeAdapter, ValidationError

from models.errors import BadInputError

Item = TypeVar("Item")
_PAGE_SIZE = 100
_FLAG = TypeAdapter(bool)
_PARAMETERS = {
    "page", "page_size", "model", "agent_id", "created_after", "created_before", "created_by_me",
    "status", "order_by", "wandb_project", "wandb_name", "suffix", "metadata",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for; pages count from 0."""

    number: int
    size: int

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items on this page."""
        return items[self.number * self.size : (self.number + 1) * self.size]


def page_of(query: Mapping[str, str]) -> Page:
    """The page a query asks for. Raises `BadInputError`."""
    try:
        page = Page(int(query.get("page", 0)), int(query.get("page_size", _PAGE_SIZE)))
    except ValueError:
        raise BadInputError("page and page_size are whole numbers") from None
    if page.number < 0 or page.size < 1:
        raise BadInputError("page is at least 0 and page_size at least 1")
    return page


def metadata_of(query: Mapping[str, str]) -> dict[str, str]:
    """The metadata a list is narrowed to. Raises `BadInputError`.

    Written as the specification's object may be sent: `metadata={"a":"b"}`, `metadata[a]=b`, or
    as the official SDK 3.7 does it, `a=b` beside the other parameters.
    """
    wanted = {name: text for name, text in query.items() if name not in _PARAMETERS}
    bracketed = {
        name.removeprefix("metadata[").removesuffix("]"): text for name, text in wanted.items()
    }
    return bracketed | _written(query.get("metadata"))


def _written(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    try:
        return dict(orjson.loads(text))
    except (ValueError, TypeError):
        raise BadInputError("metadata is a JSON object") from None


def moment_of(query: Mapping[str, str], name: str) -> float | None:
    """A date and time as seconds since 1970; UTC if it does not say. Raises `BadInputError`."""
    text = query.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"{name} is a date and time, as 2026-08-01T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def flag_of(query: Mapping[str, str], name: str, *, usual: bool = False) -> bool:
    """A yes or no as FastAPI reads it. Raises `BadInputError`."""
    try:
        return _FLAG.validate_python(query.get(name, usual))
    except ValidationError:
        raise BadInputError(f"{name} is true or false") from None


def words_of(query: MultiMapping[str], name: str) -> set[str]:
    """All words given for `name`: repeated, or separated by commas."""
    return {word for text in query.getall(name, []) for word in text.split(",") if word}


def holds(metadata: Mapping[str, Any] | None, wanted: Mapping[str, str]) -> bool:
    """Whether all of `wanted` is among the metadata."""
    return all((metadata or {}).get(name) == value for name, value in wanted.items())
