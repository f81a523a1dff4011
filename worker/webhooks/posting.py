"""One POST to one endpoint, and what came of it in our own words."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter

import aiohttp
from yarl import URL

from models.addresses import Rules, check_url
from models.errors import BadInputError
from worker.gateway.bodies import read_body
from worker.webhooks.dialling import RefusedAddressError

MOST_BYTES = 64 * 1024
"""Of an answer; a connection that brings more is closed."""
BODY_S = 2.0
"""How long an answer's body is waited for: its head has decided, the rest is for the log."""
EXCERPT = 1024
_SECRET_LENGTH = 8
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "User-Agent": "maestrale-webhooks/1",
}
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Controls, terminal sequences and marks that turn text around."""
_BELOW_HTTP = (aiohttp.ClientError, OSError, ValueError, EOFError)


class Trouble(StrEnum):
    """Why an attempt failed. These words are shown to users, and stable."""

    NONE = ""
    REFUSED_URL = "refused_url"
    """The rules changed since the endpoint was added."""
    REFUSED_ADDRESS = "refused_address"
    """The name stands for an address that is not public (MAESTRALE_WEBHOOK_NETWORKS)."""
    UNKNOWN_HOST = "unknown_host"
    """The name stands for nothing."""
    TIMEOUT = "timeout"
    TLS = "tls"
    """The certificate is not trusted, or no secure connection came about."""
    CONNECTION = "connection"
    """No connection, or it broke before an answer."""
    GARBLED = "garbled"
    """What came back is not HTTP, or its head is too large."""
    REDIRECTED = "redirected"
    """3xx: redirects are not followed; give the endpoint its final URL."""
    GONE = "gone"
    """410: the endpoint asks to be disabled."""
    REJECTED = "rejected"
    """Another 4xx."""
    SERVER_ERROR = "server_error"
    """5xx, or a status beyond all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a POST. `status` None: no answer came."""

    status: int | None
    ms: int
    trouble: Trouble
    excerpt: str = field(default="", repr=False)
    """Safe text: the beginning of the answer, without controls and without our secrets."""
    retry_after: str | None = None


async def post(
    session: aiohttp.ClientSession,
    rules: Rules,
    url: str,
    body: bytes,
    signed: Mapping[str, str],
) -> Outcome:
    """Sends the bytes once. Raises nothing but `CancelledError`; the head of the answer decides."""
    started = perf_counter()
    try:
        check_url(url, rules)
        sending = session.post(
            URL(url, encoded=True), data=body, headers={**_HEADERS, **signed}, allow_redirects=False
        )
        async with sending as response:
            excerpt = await _beginning(response)
            return Outcome(
                response.status,
                _ms_since(started),
                trouble_of(response.status),
                safe_text(excerpt, url, signed),
                response.headers.get("Retry-After"),
            )
    except BadInputError:
        return Outcome(None, 0, Trouble.REFUSED_URL)
    except _BELOW_HTTP as error:
        return Outcome(None, _ms_since(started), named(error))


def trouble_of(status: int) -> Trouble:
    """What a status says; nothing for success."""
    if status == 410:
        return Trouble.GONE
    families = {2: Trouble.NONE, 3: Trouble.REDIRECTED, 4: Trouble.REJECTED}
    return families.get(status // 100, Trouble.SERVER_ERROR)


def named(error: Exception) -> Trouble:
    """aiohttp's and the system's errors in our words; their texts are never kept."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Trouble.UNKNOWN_HOST
        case aiohttp.ClientSSLError():
            return Trouble.TLS
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, RefusedAddressError):
            return Trouble.REFUSED_ADDRESS
        case TimeoutError():
            return Trouble.TIMEOUT
        case aiohttp.ClientConnectionError() | OSError():
            return Trouble.CONNECTION
        case _:
            return Trouble.GARBLED


def safe_text(answer: bytes, url: str, signed: Mapping[str, str]) -> str:
    """The first KiB as text that can be stored and shown: no controls, and nothing of ours that
    an endpoint might echo (its URL's long parts, the signature)."""
    parsed = URL(url, encoded=True)
    pieces = {*parsed.raw_parts, *parsed.parts, *parsed.query.values(), parsed.raw_query_string}
    pieces.update(signed.get("webhook-signature", "").split())
    secret = sorted((p for p in pieces if len(p) >= _SECRET_LENGTH), key=len, reverse=True)
    longest = len(secret[0]) if secret else 0
    window = 2 * EXCERPT + longest
    text = _NOT_TEXT.sub("", answer[:window].decode("utf-8", "replace"))
    for piece in secret:
        text = text.replace(piece, "***")
    if longest and len(answer) > window:  # the last of it may be the first part of a piece
        text = text[:-longest]
    return text.encode()[:EXCERPT].decode("utf-8", "ignore")


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """What there is of the body after a moment; nothing that goes wrong here matters."""
    with suppress(*_BELOW_HTTP):
        async with asyncio.timeout(BODY_S):
            return await read_body(response, MOST_BYTES)
    response.close()
    return b""


def _ms_since(started: float) -> int:
    return round((perf_counter() - started) * 1000)
