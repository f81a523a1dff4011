"""An HTTP error (status, headers, body) told as a `Fault`. Pure; one table, first rule that fits.

The body is read before the status: the same 429 is our quota, the provider's capacity, or money.
Servers other than Mistral's (`{"error": {...}}`) use codes of their own: only their status counts.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.gateway.headers import read_limits, read_retry_after
from worker.gateway.scrubbing import LONGEST_MESSAGE

MAYBE_PAID = frozenset({408, 499, 504, 520, 522, 524, 598})
"""Statuses by which a proxy gives up on a server that may still be working on the request, or may
have done it: for money's sake these count as perhaps paid. 500, 502, 503, 521, 525, 529 and so on
say that no answer was made, and usage is charged with the answer."""
_SHOWN_DETAILS = 5


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error body says; `words` is what rules may look at (empty: the status alone)."""

    message: str = ""
    code: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Fits when every given condition does; `advice` is our part of the message."""

    kind: FaultKind
    advice: str
    statuses: Collection[int] = ()
    codes: Collection[str] = ()
    words: Collection[str] = ()
    zero_limit: bool = False

    def fits(self, status: int, said: _Said, *, zero_limit: bool) -> bool:
        """Whether this rule speaks of such an answer."""
        return (
            (not self.statuses or status in self.statuses)
            and (not self.codes or said.code in self.codes)
            and (not self.words or any(word in said.words for word in self.words))
            and (not self.zero_limit or zero_limit)
        )


_NO_MODEL = (
    "the model or route does not exist, or not for this key: "
    "check the recipe's model and MISTRAL_BASE_URL, then resume the job"
)
_RULES = (
    _Rule(
        FaultKind.MONEY,
        "the spending limit is reached: raise it in the console, then resume the job",
        codes={"2300"},
    ),
    _Rule(
        FaultKind.MONEY,
        "payment is required: check the account's spending limit, then resume the job",
        statuses={402},
    ),
    _Rule(FaultKind.CAPACITY, "the provider is out of capacity", codes={"3505", "3810"}),
    _Rule(
        FaultKind.CAPACITY,
        "the provider is out of capacity",
        statuses={429, 503},
        words={"capacity"},
    ),
    _Rule(
        FaultKind.ACCOUNT,
        "the model is not on this account's plan (its limit is 0): "
        "choose another model or plan, then resume the job",
        statuses={429},
        zero_limit=True,
    ),
    _Rule(FaultKind.QUOTA, "the rate limit is reached", statuses={429}),
    _Rule(
        FaultKind.ACCOUNT,
        "the API key was refused: set MISTRAL_API_KEY to a valid key, restart the workers "
        "(`maestrale down && maestrale up`), then resume the job",
        statuses={401},
    ),
    _Rule(
        FaultKind.REJECTED,
        "the provider's guardrail refused the request",
        statuses={400, 403, 422},
        words={"guardrail", "moderation"},
    ),
    _Rule(
        FaultKind.ACCOUNT,
        "the API key may not do this: check its workspace, plan and rights, then resume the job",
        statuses={403},
    ),
    _Rule(FaultKind.ACCOUNT, _NO_MODEL, codes={"1500", "invalid_model"}),
    _Rule(FaultKind.ACCOUNT, _NO_MODEL, statuses={404}, words={"model"}),
    _Rule(
        FaultKind.REJECTED,
        "the request names something that does not exist",
        statuses={404},
        words={"file", "document", "agent", "library", "conversation"},
    ),
    _Rule(FaultKind.ACCOUNT, _NO_MODEL, statuses={404, 405, 410}),
    _Rule(
        FaultKind.ACCOUNT,
        "the proxy asks for a password: check the proxy settings, then resume the job",
        statuses={407},
    ),
    _Rule(
        FaultKind.ACCOUNT,
        "the server redirects elsewhere: set MISTRAL_BASE_URL to the API itself, then resume",
        statuses=range(300, 400),
    ),
    _Rule(FaultKind.TRANSIENT, "the server did not answer in time", statuses={408, 499, 504, 524}),
    _Rule(FaultKind.TRANSIENT, "the server asked to try later", statuses={409, 425}),
    _Rule(FaultKind.REJECTED, "the API rejected the request", statuses=range(400, 500)),
)
_OTHERWISE = _Rule(FaultKind.TRANSIENT, "the server failed")


def normalise(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    scrub: Callable[[str], str] = str,
) -> Fault:
    """The `Fault` of a response that is not 2xx; `scrub` makes the server's words safe to keep."""
    said, limits = _read(body), read_limits(headers)
    rule = _rule_for(status, said, zero_limit=_is_zero(limits))
    words = f": {scrub(said.message)}" if said.message else ""
    return Fault(
        kind=rule.kind,
        message=f"{rule.advice} (HTTP {status}){words}"[:LONGEST_MESSAGE],
        status=status,
        code="guardrail" if "guardrail" in rule.advice else scrub(said.code)[:40],
        retry_after_s=read_retry_after(headers),
        maybe_paid=status in MAYBE_PAID,
        limits=limits,
    )


def _rule_for(status: int, said: _Said, *, zero_limit: bool) -> _Rule:
    fitting = (rule for rule in _RULES if rule.fits(status, said, zero_limit=zero_limit))
    return next(fitting, _OTHERWISE)


def _is_zero(limits: LimitHeaders | None) -> bool:
    return limits is not None and 0 in (limits.limit_requests_minute, limits.limit_tokens_minute)


def _read(body: bytes) -> _Said:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _read_text(body)
    if not isinstance(payload, dict):
        return _Said(message=payload if isinstance(payload, str) else "")
    if "error" in payload:
        return _Said(message=_foreign_message(payload["error"]))
    return _read_flat(payload)


def _read_text(body: bytes) -> _Said:
    text = body[:2000].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return _Said(message="an HTML page, not the API's JSON")
    return _Said(message=text)


def _read_flat(payload: dict[str, Any]) -> _Said:
    message = _message(payload.get("message")) or _message(payload.get("detail"))
    code, kind = payload.get("code"), payload.get("type")
    return _Said(
        message=message,
        code=str(code or kind or "") if isinstance(code or kind, (str, int)) else "",
        words=f"{kind} {message}".casefold(),
    )


def _foreign_message(error: object) -> str:
    said = error.get("message") if isinstance(error, dict) else error
    return said if isinstance(said, str) else ""


def _message(said: object) -> str:
    """`message` and `detail` come as a text, as `{"detail": [...]}` or as a list of details."""
    if isinstance(said, dict):
        return _message(said.get("detail"))
    if isinstance(said, list):
        return "; ".join(_detail(item) for item in said[:_SHOWN_DETAILS])
    return said if isinstance(said, str) else ""


def _detail(item: object) -> str:
    """`loc: msg (type)` and no more: `input` and `ctx` would echo the prompt."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    loc = item.get("loc")
    where = ".".join(str(part) for part in loc) if isinstance(loc, list) else ""
    return f"{where}: {item.get('msg', '')} ({item.get('type', '')})".removeprefix(": ")
