"""Errors below HTTP told as faults, and what each says about money."""

import asyncio
import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from worker.gateway.dropped import dropped
from worker.gateway.faults import FaultKind

URL_ = URL("https://api.example/v1/chat/completions")
KEY = ConnectionKey("api.example", 443, True, True, None, None, None)
HEADERS = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer canary-key-0123456789"}))
INFO = RequestInfo(URL_, "POST", HEADERS, URL_)
RESET = ConnectionResetError(errno.ECONNRESET, "canary")


def chained(error: Exception, cause: BaseException) -> Exception:
    """As aiohttp raises it."""
    error.__cause__ = cause
    return error


CLOSING = chained(
    aiohttp.ClientOSError(None, "Can not write request body for https://api.example"),
    aiohttp.ClientConnectionResetError("Cannot write to closing transport"),
)
LOST = chained(
    aiohttp.ClientOSError(None, "Can not write request body for https://api.example"),
    aiohttp.ClientConnectionResetError("Connection lost"),
)
CASES = [
    (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "x")), "transient", False),
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "canary")), "transient", False),
    (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "canary")), "transient", False),
    (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("canary")),
        "account",
        False,
    ),
    (aiohttp.ConnectionTimeoutError("canary"), "transient", False),
    (aiohttp.ClientHttpProxyError(INFO, (), status=502, headers=HEADERS), "transient", False),
    (CLOSING, "transient", False),
    (LOST, "transient", True),
    (aiohttp.ServerDisconnectedError("canary"), "transient", True),
    (aiohttp.ClientOSError(errno.ECONNRESET, "canary"), "transient", True),
    (RESET, "transient", True),
    (TimeoutError(), "timeout", True),
    (aiohttp.SocketTimeoutError("canary"), "timeout", True),
    (aiohttp.ClientPayloadError("canary"), "unreadable", True),
    (aiohttp.ClientResponseError(INFO, (), status=400, message="canary"), "unreadable", True),
    (ValueError("canary"), "unreadable", True),
    (asyncio.IncompleteReadError(b"canary", 10), "unreadable", True),
]


@pytest.mark.parametrize(("error", "kind", "maybe_paid"), CASES)
def test_each_error_is_told_with_its_doubt(error: Exception, kind: str, maybe_paid: bool) -> None:
    """Only what provably never left us whole is free of doubt; no text of the error is kept."""
    fault = dropped(error, answering=False, after_s=3.0)
    assert (fault.kind, fault.maybe_paid) == (kind, maybe_paid)
    assert fault.status is None
    assert "canary" not in repr(fault)


@pytest.mark.parametrize("error", [RESET, aiohttp.ServerDisconnectedError()])
def test_a_break_within_the_answer_is_an_unreadable_answer(error: Exception) -> None:
    """A 2xx head says that the answer was made."""
    fault = dropped(error, answering=True, after_s=3.0)
    assert (fault.kind, fault.maybe_paid) == (FaultKind.UNREADABLE, True)


def test_the_kind_of_error_is_named() -> None:
    """For whoever has to find out why."""
    fault = dropped(aiohttp.ClientOSError(errno.ECONNRESET, "x"), answering=False, after_s=3.0)
    assert "ClientOSError, ECONNRESET" in fault.message
