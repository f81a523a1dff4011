"""The gateway on uvloop, the workers' loop, which tells of breaks in words of its own."""

import asyncio
import socket
import threading

import orjson
import pytest
import uvloop
from pydantic import SecretStr
from raw_server import ANSWER, BODY, KEY, fault_of, http, saying, told

from worker.gateway.faults import Fault, FaultKind
from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply

ANSWERED = orjson.dumps(ANSWER)


def answer_once_and_hang_up(listening: socket.socket, hung_up: threading.Event) -> None:
    """A thread's server, since the test stops the loop: closes each connection after an answer."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.recv(65536)
        connection.sendall(http(body=ANSWERED))
        connection.close()
        hung_up.set()


async def after_a_hang_up(listening: socket.socket, hung_up: threading.Event) -> Fault:
    """The fault of a call on a connection that the server closed while the loop was busy."""
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with Gateway(url, SecretStr(KEY)) as gateway:
        assert isinstance(await gateway.chat(BODY), Reply)
        assert hung_up.wait(30)  # the loop stands still meanwhile
        fault = await gateway.chat(BODY)
    assert isinstance(fault, Fault)
    return fault


def test_a_request_that_was_never_written_cost_nothing() -> None:
    """uvloop hears of the hang-up before it writes, and that proves it (asyncio's own loop often
    writes first, and then the doubt stays)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        both = (listening, threading.Event())
        threading.Thread(target=answer_once_and_hang_up, args=both, daemon=True).start()
        fault = runner.run(after_a_hang_up(*both))
        listening.shutdown(socket.SHUT_RDWR)
    assert told(fault) == (FaultKind.TRANSIENT, False, None)


SAME_ON_UVLOOP = [
    (http(body=ANSWERED[:100], length=500), FaultKind.UNREADABLE, True, 200),
    (b"", FaultKind.TRANSIENT, True, None),
    (b"HTTP/1.1 200", FaultKind.TRANSIENT, True, None),
    (b"SSH-2.0-OpenSSH_9.7\r\n\r\n", FaultKind.UNREADABLE, True, None),
    (http(520, ANSWERED[:100]), FaultKind.TRANSIENT, True, 520),
]


@pytest.mark.parametrize(("response", "kind", "maybe_paid", "status"), SAME_ON_UVLOOP)
def test_breaks_are_told_alike_on_the_workers_loop(
    response: bytes, kind: FaultKind, maybe_paid: bool, status: int | None
) -> None:
    """uvloop raises errors of its own where asyncio does not."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert told(runner.run(fault_of(saying(response)))) == (kind, maybe_paid, status)
