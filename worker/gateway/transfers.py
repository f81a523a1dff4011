"""A file off the wire onto our disk: whole or not at all."""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import aiohttp

from worker.gateway.exchanges import PIECE_BYTES

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class DiskError(Exception):
    """Our disk refused while the network was being read; no `OSError`, as that would be taken
    for the network's. `error` is the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(type(error).__name__)
        self.error = error


async def store_body(response: aiohttp.ClientResponse, to: Path) -> int:
    """The body into `to`, by way of a `.part` beside it of a name that no second fetch has; how
    many bytes. Raises `DiskError`, and what aiohttp raises for a body that is cut."""
    part = to.with_name(f"{to.name}.{secrets.token_hex(4)}.part")
    try:
        written = await _write(response, part)
        await _on_disk(part.replace, to)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return written


async def _write(response: aiohttp.ClientResponse, part: Path) -> int:
    written = 0
    with await _on_disk(_create, part) as file:
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            written += await _on_disk(file.write, piece)
        await _on_disk(_sync, file)
    return written


def _create(path: Path) -> BinaryIO:
    return path.open("xb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _on_disk(
    act: Callable[_Given, _Made], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Made:
    try:
        return await asyncio.to_thread(act, *args, **kwargs)
    except OSError as error:
        raise DiskError(error) from error
