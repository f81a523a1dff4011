"""Several deliverers at once, in one process and in many; and one that is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sinks
from builders import a_stored_job, eventually_on_loop
from delivering import delivering
from sinks import a_sink, an_endpoint, due_now, in_turn, states_of

from models.store import events
from models.store.engine import Store

SCRIPT = Path(__file__).with_name("delivering.py")
Start = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Starts processes that deliver; waits until they are ready."""
    running: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), database_url]
        paths = os.pathsep.join(map(str, SCRIPT.parents[1:3]))
        running.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": paths},
            )
        )
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def ready(process: subprocess.Popen[str]) -> None:
    """Blocks until it delivers."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def tell(store: Store, job: str, count: int) -> None:
    """Events of a job."""
    for _ in range(count):
        with store.write() as connection:
            events.write(connection, job, "job.progressed")


async def test_two_deliverers_claim_each_delivery_once(
    store: Store, open_another: Callable[[], Store]
) -> None:
    """Both work, and nothing arrives twice."""
    job = a_stored_job(store)
    async with a_sink() as sink, delivering(store), delivering(open_another()):
        ids = [an_endpoint(store, sink.url, patterns=("job.progressed",)) for _ in range(3)]
        await asyncio.to_thread(tell, store, job, 30)
        for endpoint in ids:
            await eventually_on_loop(
                lambda e=endpoint: states_of(store, e) == {"delivered": 30}, "all", within_s=60
            )
    assert len(sink.received) == 90
    assert len({received.id for received in sink.received}) == 30


async def test_two_processes_relay_and_deliver_once_and_a_killed_one_loses_nothing(
    store: Store, start: Start
) -> None:
    """kill -9 with an attempt in hand: it is due again when its claim runs out, same id."""
    job = a_stored_job(store)
    hang = in_turn(sinks.never, sinks.ok)
    async with a_sink() as well, a_sink(hang) as hanging:
        good = an_endpoint(store, well.url, patterns=("job.progressed",))
        victim, survivor = start(), start()
        await asyncio.to_thread(ready, victim)
        await asyncio.to_thread(ready, survivor)
        await asyncio.to_thread(tell, store, job, 20)
        await eventually_on_loop(
            lambda: states_of(store, good) == {"delivered": 20}, "all", within_s=60
        )
        assert len(well.received) == 20
        os.kill(survivor.pid, signal.SIGSTOP)  # the claim is to be the victim's
        bad = an_endpoint(store, hanging.url, patterns=("job.progressed",))
        await asyncio.to_thread(tell, store, job, 1)
        await eventually_on_loop(lambda: hanging.received, "an attempt", within_s=60)
        victim.kill()
        victim.wait(10)
        os.kill(survivor.pid, signal.SIGCONT)
        assert states_of(store, bad) == {"pending": 1}
        due_now(store)  # time flies: the claim runs out
        await eventually_on_loop(
            lambda: states_of(store, bad) == {"delivered": 1}, "again", within_s=60
        )
    first, second = hanging.received
    assert (first.id, first.body) == (second.id, second.body)
