"""What can go wrong with a call, as data: a name, and whether the call is paid all the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.replies import ERRORS, Reply

Choice = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Instead:
    """Answered with this reply; the call is not executed."""

    name: str
    reply: Reply
    executed: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before the request is read, or (`executed`) instead of the answer."""

    name: str
    executed: bool


@dataclass(frozen=True, slots=True)
class Hang:
    """Silence until the client gives up; `executed`: the call ran all the same."""

    name: str
    executed: bool


@dataclass(frozen=True, slots=True)
class Damaged:
    """The call is executed, and the answer's bytes do not arrive whole: `kept` of them do.

    `announced`: Content-Length tells of the whole, and the connection is cut.
    """

    name: str
    kept: float
    announced: bool
    executed: bool = True


@dataclass(frozen=True, slots=True)
class Malformed:
    """The call is executed, and every choice of its (chat) answer is changed by `spoil`."""

    name: str
    spoil: Callable[[Choice], None]
    executed: bool = True


Fault = Instead | Reset | Hang | Damaged | Malformed


def _set_structure(choice: Choice, change: Callable[[str], str]) -> None:
    """Change the function arguments, or the content where it is JSON; other text is left alone."""
    message = choice["message"]
    for call in message["tool_calls"] or ():
        call["function"]["arguments"] = change(call["function"]["arguments"])
    content = message["content"]
    if content.startswith(("{", "[")):
        message["content"] = change(content)


def _break_json(choice: Choice) -> None:
    _set_structure(choice, lambda text: text[: max(1, len(text) * 2 // 3)].rstrip("}]"))


def _fit_no_schema(choice: Choice) -> None:
    _set_structure(choice, lambda _: '{"unexpected":[1,2]}')


def _say(choice: Choice, content: str) -> None:
    choice["message"].update(content=content, tool_calls=None)
    choice["finish_reason"] = "stop"


def _say_nothing(choice: Choice) -> None:
    _say(choice, "")


def _refuse(choice: Choice) -> None:
    _say(choice, "I'm sorry, but I can't help with that request.")


def _cut_short(choice: Choice) -> None:
    message = choice["message"]
    message["content"] = message["content"][: len(message["content"]) // 2]
    _set_structure(choice, lambda text: text[: len(text) // 2])
    choice["finish_reason"] = "length"


_OTHERS: tuple[Fault, ...] = (
    Reset("reset_before", executed=False),
    Reset("reset_after", executed=True),
    Hang("hang", executed=False),
    Hang("hang_paid", executed=True),
    Damaged("half_body", kept=0.5, announced=True),
    Damaged("cut_body", kept=0.5, announced=False),
    Damaged("empty_answer", kept=0.0, announced=False),
    Malformed("invalid_json", _break_json),
    Malformed("wrong_shape", _fit_no_schema),
    Malformed("empty_content", _say_nothing),
    Malformed("refusal", _refuse),
    Malformed("cut_short", _cut_short),
)

FAULTS: Mapping[str, Fault] = {
    **{name: Instead(name, reply) for name, reply in ERRORS.items()},
    **{fault.name: fault for fault in _OTHERS},
}
"""All faults by name."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "brownout": (
        "rate_limited",
        "server_error",
        "brownout_503",
        "html_520",
        "hang",
        "half_body",
        "reset_before",
        "reset_after",
    ),
    "retry_after": (
        "retry_after_day",
        "retry_after_negative",
        "retry_after_date",
        "retry_after_garbage",
    ),
    "malformed": ("invalid_json", "wrong_shape", "empty_content", "refusal", "cut_short"),
}
"""Names that stand for one of several faults, drawn anew each time."""
