"""One exchange with a slow route, or a list of them: a value or a `Fault`. Nothing retries."""

from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

import aiohttp
import orjson
from pydantic import SecretStr

from worker.gateway.bodies import MOST_BYTES, MOST_ERROR_BYTES, is_answer, parse, read_body
from worker.gateway.connecting import (
    CONNECT_S,
    checked_key,
    checked_root,
    headers_with,
    open_session,
)
from worker.gateway.dropped import BELOW_HTTP, cut
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.normalising import normalise
from worker.gateway.remote_faults import Call, judged, keys_in, not_json, unreadable
from worker.gateway.remote_shapes import read_list
from worker.gateway.scrubbing import HIDDEN, scrub

PAGE_SIZE = 100
MOST_PAGES = 500
"""A list that does not end by then is a fault: what was not seen may stand further down."""
PIECE_BYTES = 1024 * 1024
"""What is read of a file at once."""


class Named(Protocol):
    """A thing of a list."""

    @property
    def id(self) -> str:
        """By which repeats are known."""


_Told = TypeVar("_Told")
_Thing = TypeVar("_Thing", bound=Named)
_Reader = Callable[[object], _Told | None]


class Exchanges:
    """HTTP behind one key, opened on the loop that uses it. Raises nothing but `CancelledError`
    (and what a `take` raises of its own) once open.

    `transfer_s`: for a whole file; `read_s`: for the next bytes of one; `timeout_s`: the rest.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        timeout_s: float,
        transfer_s: float,
        read_s: float,
    ) -> None:
        self._root = checked_root(base_url)
        self._key = checked_key(api_key)
        self._brief = aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_S)
        self._long = aiohttp.ClientTimeout(total=transfer_s, connect=CONNECT_S, sock_read=read_s)
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the connection pool."""
        self._session = open_session(headers_with(self._key), self._brief)

    async def close(self) -> None:
        """Close the pool, and cut what is under way; harmless when it is not open."""
        if self._session:
            await self._session.close()
        self._session = None

    async def ask(
        self, call: Call, read: _Reader[_Told], form: aiohttp.FormData | None = None
    ) -> _Told | Fault:
        """One exchange whose answer is JSON that `read` knows (None: it does not)."""

        async def take(response: aiohttp.ClientResponse) -> _Told | Fault:
            body = await read_body(response, MOST_BYTES)
            return _understood(call, response.status, body, read)

        return await self.exchange(call, take, form)

    async def list_all(
        self, call: Call, read: _Reader[_Thing], is_wanted: Callable[[_Thing], bool]
    ) -> list[_Thing] | Fault:
        """The wanted things of all pages, as the server orders them. The list ends with a page
        that holds nothing new: a server that counts no pages repeats its first."""
        seen: set[str] = set()
        wanted: list[_Thing] = []
        for page in range(MOST_PAGES):
            query = {**call.query, "page": str(page), "page_size": str(PAGE_SIZE)}
            things = await self.ask(Call("GET", call.path, query), partial(read_list, read=read))
            if isinstance(things, Fault):
                return things
            fresh = [thing for thing in things if thing.id not in seen]
            if not fresh:
                return wanted
            seen.update(thing.id for thing in fresh)
            wanted += filter(is_wanted, fresh)
        return Fault(FaultKind.UNREADABLE, f"the list does not end within {MOST_PAGES} pages")

    async def exchange(
        self,
        call: Call,
        take: Callable[[aiohttp.ClientResponse], Awaitable[_Told | Fault]],
        form: aiohttp.FormData | None = None,
        *,
        is_transfer: bool = False,
    ) -> _Told | Fault:
        """One exchange; `take` reads a 2xx. A file comes (`is_transfer`) or goes with `form`."""
        assert self._session, "the remote API is not open"
        started = perf_counter()
        response: aiohttp.ClientResponse | None = None
        body = b""
        try:
            sent = None if call.body is None else orjson.dumps(call.body)
        except TypeError:
            return not_json()
        try:
            async with self._session.request(
                call.method,
                self._root.joinpath(*call.path),
                params=call.query,
                data=sent if form is None else form,
                headers=None if sent is None else {"Content-Type": "application/json"},
                timeout=self._long if is_transfer or form is not None else self._brief,
                allow_redirects=False,
                read_bufsize=PIECE_BYTES,
            ) as response:
                if is_answer(response.status):
                    return await take(response)
                body = await read_body(response, MOST_ERROR_BYTES)
        except BELOW_HTTP as error:
            if response is None or is_answer(response.status):
                return judged(cut(error, response, perf_counter() - started), call)
        clean = partial(self._clean, call)
        return judged(normalise(response.status, response.headers, body, clean), call)

    def _clean(self, call: Call, text: str) -> str:
        for key in keys_in(call.body):
            text = text.replace(key, HIDDEN)
        return scrub(text, key=self._key)


def _understood(call: Call, status: int, body: bytes, read: _Reader[_Told]) -> _Told | Fault:
    if len(body) > MOST_BYTES:
        return unreadable(call, status, f"larger than {MOST_BYTES >> 20} MiB")
    told = read(parse(body))
    return unreadable(call, status, "not of the shape asked for") if told is None else told
