"""What the remote routes answer, read with tolerance: an unknown field, a missing count or a new
word must not lose a batch that is paid for. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import orjson

from worker.gateway.scrubbing import scrub

MOST_ANSWER_BYTES = 64 * 1024
"""An answer is stored at every look, whole or as `shortened` leaves it."""
LONGEST_SUFFIX = 18
"""Characters of a training's suffix that the API takes: letters, digits, `_` and `-`."""
_ENDS = 100  # items kept at either end of a long list: servers disagree on which end is new
_LONGEST_WORD = 512
_NEEDED = frozenset(
    {"id", "status", "errors", "output_file", "error_file", "succeeded_requests"}
    | {"completed_requests", "fine_tuned_model", "suffix", "metadata"}
)
"""What is read of an answer, but for lists: kept in short however much else there is."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_NO_SUFFIX = re.compile(r"[^A-Za-z0-9_-]")
Json = dict[str, Any]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file over there; `created_at` in seconds since the epoch, 0 if unsaid."""

    id: str
    name: str
    bytes: int
    created_at: float

    @classmethod
    def read(cls, answer: object) -> Self | None:
        """From an answer; None if that is no object with an id."""
        if not isinstance(answer, dict) or not is_id(answer.get("id")):
            return None
        name, made = _text(answer.get("filename")), _number(answer.get("created_at"))
        return cls(answer["id"], name or "", _count(answer.get("bytes")), made or 0.0)


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A batch or a training over there. `status`: the provider's word (see
    `worker.remote.statuses`), as it came but for what cannot be stored or shown, empty if unsaid;
    `answer`: what it said, at most 64 KiB of JSON and without keys."""

    id: str
    status: str
    answer: Json

    @classmethod
    def read(cls, answer: object, *, known_id: str = "") -> Self | None:
        """From an answer; None if it is no object, or (without `known_id`) has no id."""
        if not isinstance(answer, dict):
            return None
        job_id = known_id or _text(answer.get("id")) or ""
        if not is_id(job_id):
            return None
        return cls(job_id, scrub(_text(answer.get("status")) or ""), shortened(answer))

    @property
    def succeeded(self) -> int:
        """Requests with an answer; 0 while unsaid."""
        return _count(self.answer.get("succeeded_requests"))

    @property
    def output_file(self) -> str | None:
        """Id of the file of answers; may be there before the end, and at a time-out."""
        return _text(self.answer.get("output_file"))

    @property
    def error_file(self) -> str | None:
        """Id of the file of errors, if any."""
        return _text(self.answer.get("error_file"))

    @property
    def fine_tuned_model(self) -> str | None:
        """The trained model's id, once there is one."""
        return _text(self.answer.get("fine_tuned_model"))

    @property
    def suffix(self) -> str | None:
        """The suffix that a training was created with."""
        return _text(self.answer.get("suffix"))

    @property
    def metadata(self) -> dict[str, str]:
        """What we sent with a batch; texts only."""
        said = self.answer.get("metadata")
        given = said if isinstance(said, dict) else {}
        return {name: value for name, value in given.items() if isinstance(value, str)}

    @property
    def checkpoints(self) -> list[Json]:
        """A training's `{step_number, metrics{...}, created_at}`, in the provider's order."""
        said = self.answer.get("checkpoints")
        return (
            [point for point in said if isinstance(point, dict)] if isinstance(said, list) else []
        )

    @property
    def errors(self) -> str:
        """What it says went wrong, safe to store and to show; empty if nothing."""
        return _went_wrong(self.answer)


def is_id(value: object) -> bool:
    """Whether this may be put into a path: no slash, no dots that lead elsewhere, not endless."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def training_suffix(op_id: str) -> str:
    """The end of an operation's id, which is its random part, as a training's suffix.

    Trainings have no metadata: by this (and by its file) one is found again after a crash.
    """
    return _NO_SUFFIX.sub("", op_id)[-LONGEST_SUFFIX:]


def read_list(answer: object, read: Callable[[object], _Item | None]) -> list[_Item] | None:
    """The items of one page (`{"data": [...]}` or a bare list); None if one of them is unreadable:
    whoever looks for a job and overlooks it starts it twice."""
    listed = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        return None
    items = [read(item) for item in listed]
    known = [item for item in items if item is not None]
    return known if len(known) == len(items) else None


def shortened(answer: Json) -> Json:
    """`answer` without inlined results and keys, cut to `MOST_ANSWER_BYTES` of JSON: first the
    middles of its lists go, then everything but short values, and at last what nobody reads. What
    it says went wrong stays, as people are shown it."""
    kept = {name: value for name, value in answer.items() if name != "outputs"}
    if isinstance(kept.get("integrations"), list):
        kept["integrations"] = [_without_key(item) for item in kept["integrations"]]
    if _size(kept) > MOST_ANSWER_BYTES:
        kept = {name: _ends(value) for name, value in kept.items()}
    if _size(kept) > MOST_ANSWER_BYTES:
        kept = _brief(kept)
    if _size(kept) > MOST_ANSWER_BYTES:
        kept = {name: value for name, value in kept.items() if name in _NEEDED}
    return kept


def _brief(answer: Json) -> Json:
    short = {name: value for name, value in answer.items() if _size(value) <= _LONGEST_WORD}
    said = _went_wrong(answer)
    return short if _went_wrong(short) == said else {**short, "errors": [said]}


def _went_wrong(answer: Mapping[str, Any]) -> str:
    return scrub("; ".join(dict.fromkeys(filter(None, _complaints(answer)))))


def _complaints(answer: Mapping[str, Any]) -> Iterable[str]:
    """From a batch's `errors`, from the events of a training, which have no agreed shape, and
    from the `message` of servers that know no other place."""
    errors, events = answer.get("errors"), answer.get("events")
    for item in errors if isinstance(errors, list) else []:
        yield _complaint(item)
    for event in events if isinstance(events, list) else []:
        data = event.get("data") if isinstance(event, dict) else None
        if isinstance(data, dict):
            yield _text(data.get("error")) or ""
    yield _text(answer.get("message")) or ""


def _complaint(item: object) -> str:
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    count, message = _count(item.get("count")), _text(item.get("message")) or ""
    return f"{message} ({count} times)" if message and count > 1 else message


def _without_key(item: object) -> object:
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name != "api_key"}


def _ends(value: object) -> object:
    if isinstance(value, list) and len(value) > 2 * _ENDS:
        return value[:_ENDS] + value[-_ENDS:]
    return value


def _size(value: object) -> int:
    return len(orjson.dumps(value))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    return int(_number(value) or 0)


def _number(value: object) -> float | None:
    """A positive one; `true` is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 < value < 2**53 else None
