"""The faults of the remote routes: whether a thing may exist over there, and whom a 404 means.

A job that may exist is looked for before it is created again, so doubt costs one listing, and its
absence a second batch: here every 5xx counts as doubt, unlike for calls, which are charged by
their answers. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.gateway.faults import Fault, FaultKind

NOT_TRAINABLE = "not_trainable"
"""`Fault.code`: this account may not train this model (or none) at the provider."""
DISK = "disk"
"""`Fault.code`: our own disk refused, not the provider."""
_NOT_TRAINABLE_WORDS = "available model(s)"
GONE = (404, 410)
"""Statuses by which a thing is not there, or not any more."""
_IN_DOUBT = (408, 409, 499)
"""Besides 5xx. 409: there is such a job already."""
_OURS = "the request cannot be made: "


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange. `path` in segments; `names_one`: it is about a thing whose id is in the path;
    `body` is sent as JSON, a file (if any) by whoever makes the call."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    names_one: bool = False

    @property
    def may_change(self) -> bool:
        """Whether it starts or stops something over there."""
        return self.method == "POST"


def judged(fault: Fault, call: Call) -> Fault:
    """The fault of a call with its doubt (`maybe_paid`) and its kind as these routes mean them."""
    doubt = call.may_change and (fault.maybe_paid or _leaves_doubt(fault.status))
    fault = replace(fault, maybe_paid=doubt)
    if _NOT_TRAINABLE_WORDS in fault.message.casefold():
        return replace(fault, kind=FaultKind.REJECTED, code=NOT_TRAINABLE)
    if call.names_one and fault.status in GONE:
        return replace(fault, kind=FaultKind.REJECTED, message=_unknown_thing(fault))
    return fault


def unreadable(call: Call, status: int, problem: str) -> Fault:
    """A 2xx whose body is not what was asked for."""
    message = f"the answer is unusable: {problem}"
    return Fault(FaultKind.UNREADABLE, message, status=status, maybe_paid=call.may_change)


def disk_fault(error: OSError, what: str) -> Fault:
    """Our disk is full, or a file is not there: its name and ours, and never the path."""
    return Fault(
        FaultKind.TRANSIENT, f"{what}: {error.strerror or type(error).__name__}", code=DISK
    )


def not_an_id() -> Fault:
    """An id that no provider gives, and that must not be put into a path."""
    return Fault(FaultKind.REJECTED, f"{_OURS}its id holds characters that no id has")


def not_json() -> Fault:
    """A body that cannot be written: a lone surrogate, an integer beyond 64 bits."""
    return Fault(FaultKind.REJECTED, f"{_OURS}it cannot be written as JSON")


def keys_in(body: Mapping[str, Any] | None) -> list[str]:
    """The foreign keys that a training's body carries (Weights & Biases), to keep out of faults."""
    listed = (body or {}).get("integrations")
    given: Iterable[object] = listed if isinstance(listed, list) else ()
    keys = [item.get("api_key") for item in given if isinstance(item, Mapping)]
    return [key for key in keys if isinstance(key, str) and key]


def _leaves_doubt(status: int | None) -> bool:
    return status is not None and (status >= 500 or status in _IN_DOUBT)


def _unknown_thing(fault: Fault) -> str:
    said = fault.message.partition(f"(HTTP {fault.status})")[2]
    return f"the provider knows no such thing (HTTP {fault.status}){said}"
