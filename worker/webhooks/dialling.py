"""Connections that cannot be led astray: what is forbidden is refused while it is being dialled.

A resolver that checks is not enough: addresses in URLs skip it, and a name may stand for another
address a moment later. The socket is made for the very address that is dialled, so it is there
that we look.
"""

import asyncio
import errno
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from models.addresses import Rules, is_forbidden

TOTAL_S = 20.0
"""From the first look at a name to the end of the answer's head."""
IDLE_S = 4.0
LOOKUPS_AT_ONCE = 32
"""Threads for names; a hostile name server can hold each for some ten seconds."""
_Dialled = tuple[Any, Any, int, str, tuple[Any, ...]]


class RefusedAddressError(OSError):
    """The address that was about to be dialled is forbidden."""

    def __init__(self) -> None:
        # one text for all: what an inner network looks like is nobody's business
        super().__init__(errno.EACCES, os.strerror(errno.EACCES))


class Names(AbstractResolver):
    """Looks names up in threads of its own: slow name servers hold up nobody but webhooks."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of a name; what they are is looked at when they are dialled."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, _look_up, host, port, family
        )
        return [_result(host, *one) for one in found]

    async def close(self) -> None:
        """Waits for no name server."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def open_session(rules: Rules, *, total_s: float = TOTAL_S) -> aiohttp.ClientSession:
    """A session that dials nothing but what `rules` allow: no proxies, no cookies, no inflating.

    How many may be under way is its user's business (`lanes.py`): a bound here would let
    one slow endpoint hold up its neighbours.
    """

    def dial(address: _Dialled) -> socket.socket:
        family, kind, protocol, _, (host, port, *_rest) = address
        if is_forbidden(host.partition("%")[0], rules) or not rules.allows_port(port):
            raise RefusedAddressError
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        resolver=Names(),
        socket_factory=dial,
        limit=0,
        ttl_dns_cache=10,
        keepalive_timeout=IDLE_S,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=total_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


def _look_up(host: str, port: int, family: int) -> list[Any]:
    return socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )


def _result(
    host: str, family: int, _kind: int, protocol: int, _name: str, at: tuple[Any, ...]
) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(at[0]),
        port=int(at[1]),
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
