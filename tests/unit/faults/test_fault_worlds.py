"""What a world waits for before it is judged, and how it stops who is to sleep."""

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from builders import a_stored_job
from sqlalchemy import update

from faults.checker import check
from faults.findings import of
from faults.history import Log, read
from faults.scenarios.messages import stopped
from faults.sink import Sink
from faults.world import World
from models.settings import Settings
from models.states import DeliveryState
from models.store import deliveries
from producers import Maestrale
from producers.services import Services
from proving.sinks import LOOPBACK
from proving.stage import Stage

NOWHERE = "http://127.0.0.1:9"
SOON_S = 0.3
WRITING_S = 1.0
WRITER = """
import sqlite3, sys, time
from pathlib import Path
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
Path(sys.argv[2]).touch()
time.sleep(float(sys.argv[3]))
connection.execute("COMMIT")
time.sleep(60)
"""


@pytest.fixture
def world(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[World]:
    """A world in which nobody works, on a real database, with an endpoint that nobody is at."""
    settings = make_settings(**LOOPBACK)
    logs = tmp_path / "logs"
    services = Services(settings)
    with Maestrale(settings) as client:
        client.migrate()
        on = Stage(settings.home, NOWHERE, services, client, 0)
        sink = Sink(Log(logs, "sink"), NOWHERE)
        made = World(on, Log(logs, "campaign"), Log(logs, "producer"), sink, Random(1))
        made.subscribe()
        yield made
    services.stop()


def relay(world: World) -> None:
    """As a worker does it."""
    with world.on.client.store.write() as connection:
        deliveries.relay(connection)


def deliver(world: World) -> None:
    """As if an endpoint had heard all of it."""
    with world.on.client.store.write() as connection:
        delivered = {"state": DeliveryState.DELIVERED}
        connection.execute(update(deliveries.deliveries).values(**delivered))


def test_told_waits_until_events_are_relayed_and_their_deliveries_over(world: World) -> None:
    """An event that has no delivery yet may not pass for one that was delivered."""
    job = world.on.client.get(a_stored_job(world.on.client.store))
    world.conducted(job)
    for step in (lambda _: None, relay):
        step(world)
        with pytest.raises(TimeoutError, match="all deliveries are over"):
            world.told(within_s=SOON_S)
    deliver(world)
    world.told(within_s=SOON_S)
    noted = of(read(world.log.path.parent), "producer", "event")
    assert (f"{job.id}:1", "job.queued") in {(line["event"], line["type"]) for line in noted}


def test_of_a_run_its_end_and_events_are_judged(world: World) -> None:
    """One that has ended without telling so: its rows are nobody's, its events are."""
    store = world.on.client.store
    job = world.on.client.get(a_stored_job(store, state="succeeded"))
    world.conducted(job)
    relay(world)
    deliver(world)
    world.told(within_s=SOON_S)
    broken = [one for one in check(read(world.log.path.parent)) if not one.holds]
    words = [one.words for one in broken if one.name == "I4"]
    assert any("moves without one: job.succeeded" in one for one in words)
    assert "I1" not in {one.name for one in broken}


def test_nobody_is_put_to_sleep_while_it_holds_the_database(world: World, tmp_path: Path) -> None:
    """A worker in the middle of a write is let go on until it is over: others may write then."""
    file, holds = str(world.on.client.store.engine.url.database), tmp_path / "it holds the lock"
    command = [sys.executable, "-c", WRITER, file, str(holds), str(WRITING_S)]
    world.on.services.spawn("worker1", command)
    world.until(holds.exists, "it writes")
    with stopped(world, "worker1"), closing(sqlite3.connect(file, 0.1)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        asleep = Path(f"/proc/{world.on.pids('worker1')[0]}/stat").read_text()
        assert asleep.rpartition(")")[2].split()[0] == "T"
    time.sleep(0.05)
    awake = Path(f"/proc/{world.on.pids('worker1')[0]}/stat").read_text()
    assert awake.rpartition(")")[2].split()[0] != "T"
