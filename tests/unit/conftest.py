"""The unit tier: no sockets (but the event loop's own pair), no servers, no waiting."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_socket
from builders import FakeClock

from proving.servers import keys_that_live_for_ever


@pytest.fixture(autouse=True)
def _sockets_off() -> Iterator[None]:
    """Whoever opens a socket here belongs to another tier (unix sockets: asyncio's wake-up)."""
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture
def clock() -> FakeClock:
    """Time that passes only when told."""
    return FakeClock()


@pytest.fixture
async def fake_redis() -> AsyncIterator[Any]:
    """An asyncio client of a fake server with Lua; fails the test that leaves a key for ever."""
    from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer  # noqa: PLC0415 # slow to import

    server = FakeServer()
    client = FakeAsyncRedis(server=server)
    yield client
    await client.aclose()
    leaked = keys_that_live_for_ever(FakeRedis(server=server))
    assert not leaked, f"keys without a TTL: {leaked}"
