"""What goes wrong below HTTP (aiohttp's and the system's errors) told as a `Fault`. Pure.

Only the kind of error is told, never its text: that holds request headers, and with them the key.

Whether money may have been spent: a connection that was never made cannot have cost anything. One
that broke later may have: a reset does not say whether the request was read, not even on a pooled
connection that the server had closed meanwhile. The exception is a write that never began, because
the transport was closing already; aiohttp says so, and the gateway's pool drops idle connections
before common servers do, which makes the rest of these cases rare.
"""

import errno
from collections.abc import Iterator
from dataclasses import replace

import aiohttp

from worker.gateway.faults import Fault, FaultKind
from worker.gateway.headers import read_limits

BELOW_HTTP = (aiohttp.ClientError, OSError, ValueError, EOFError)
"""All that aiohttp raises for what a network or server does; time-outs are `OSError`."""

_NEVER_WRITTEN = "Cannot write to closing transport"  # aiohttp.http_writer, before the first byte
_CERTIFICATE = (
    "the server's certificate is not trusted: check MISTRAL_BASE_URL "
    "or the machine's certificates, then resume the job"
)


NO_CONNECTION = "no connection"
"""How a fault begins whose call surely was not sent."""


def cut(error: Exception, response: aiohttp.ClientResponse | None, after_s: float) -> Fault:
    """The call ended by an exception, before the head or (`response`) within a 2xx body."""
    fault = dropped(error, answering=response is not None, after_s=after_s)
    if response is None:
        return fault
    return replace(fault, status=response.status, limits=read_limits(response.headers))


def dropped(error: Exception, *, answering: bool, after_s: float) -> Fault:
    """The `Fault` of an exception after `after_s` seconds; `answering`: a 2xx head had arrived."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Fault(FaultKind.ACCOUNT, _CERTIFICATE)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Fault(FaultKind.TRANSIENT, f"{NO_CONNECTION} within {after_s:.0f} s")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError):
        return Fault(FaultKind.TRANSIENT, f"{NO_CONNECTION} ({_name(error)})")
    if isinstance(error, TimeoutError):
        return Fault(FaultKind.TIMEOUT, f"no answer within {after_s:.0f} s", maybe_paid=True)
    if answering or not isinstance(error, OSError | aiohttp.ClientConnectionError):
        text = f"the answer was cut or garbled ({_name(error)})"
        return Fault(FaultKind.UNREADABLE, text, maybe_paid=True)
    text = f"the connection broke before an answer ({_name(error)})"
    return Fault(FaultKind.TRANSIENT, text, maybe_paid=not _never_written(error))


def _name(error: Exception) -> str:
    """`ClientOSError, ECONNRESET`: kinds, not texts."""
    number = error.errno if isinstance(error, OSError) else None
    code = errno.errorcode.get(number or 0)
    return ", ".join(filter(None, (type(error).__name__, code)))


def _never_written(error: BaseException) -> bool:
    return any(_NEVER_WRITTEN in str(link.args[:1]) for link in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
