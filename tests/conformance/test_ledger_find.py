"""Finding what is paid: grouped lookups, waiting for another process, a database that is away."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders import a_call, a_doubt, a_key, a_stored_job, eventually_on_loop, the_job
from redis.asyncio import Redis
from sqlalchemy import Connection

from models.errors import SetupError
from models.payloads import CallRecord
from models.store import calls
from models.store.engine import Store
from worker.ledger import ledger as ledgers
from worker.ledger import lookups as looking
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.ledger.lookups import Lookups


class Watched:
    """A store that counts its readings, and fails them while `error` is set."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.readings = 0
        self.error: Exception | None = None
        self.may_write = threading.Event()
        self.may_write.set()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.readings += 1
        if self.error is not None:
            raise self.error
        with self._store.read() as connection:
            yield connection

    def write(self) -> object:
        assert self.may_write.wait(30)
        return self._store.write()


@pytest.fixture
def watched(store: Store) -> Watched:
    return Watched(store)


@pytest.fixture
async def lookups(watched: Watched) -> AsyncIterator[Lookups]:
    made = Lookups(watched, Claims(None, "me"))  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
async def make_ledger(
    store: Store, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Ledger]]:
    """Makes the ledger of one process of many, over real claims."""
    monkeypatch.setattr(ledgers, "HELD_ELSEWHERE_S", 0.02)
    client = Redis.from_url(redis_url)
    opened: list[Ledger] = []

    def make(owner: str, over: object = store) -> Ledger:
        ledger = Ledger(over, tmp_path / "spool", Claims(client, owner))  # type: ignore[arg-type]
        ledger.open()
        opened.append(ledger)
        return ledger

    yield make
    for ledger in opened:
        await ledger.close()
    await client.aclose()


def _put(store: Store, *records: CallRecord) -> None:
    with store.write() as connection:
        calls.store(connection, records)


async def test_lookups_share_a_query(store: Store, watched: Watched, lookups: Lookups) -> None:
    """A hundred rows that ask together cost one query, and each gets its own answer."""
    paid = [a_call(a_key(number)) for number in range(0, 100, 2)]
    _put(store, *paid)
    found = await asyncio.gather(*(lookups.find(a_key(number)) for number in range(100)))
    assert watched.readings == 1
    assert [record for record, _ in found[::2]] == paid
    assert found[1::2] == [(None, False)] * 50


async def test_a_key_wanted_by_many_is_asked_once(
    store: Store, watched: Watched, lookups: Lookups
) -> None:
    """Waiters for one key share the answer; one that went away does not disturb the others."""
    record = a_call()
    _put(store, record)
    waiting = [asyncio.ensure_future(lookups.find(record.key)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert await asyncio.gather(*waiting[1:]) == [(record, False)] * 4
    assert watched.readings == 1


async def test_more_keys_than_a_query_takes_go_in_several(
    watched: Watched, lookups: Lookups
) -> None:
    """A full group leaves at once."""
    count = 2 * looking.MOST_KEYS + 1
    await asyncio.gather(*(lookups.find(a_key(number)) for number in range(count)))
    assert watched.readings == 3


@pytest.mark.parametrize("error", [SetupError("away"), RuntimeError("a bug")])
async def test_an_error_reaches_every_waiter(
    watched: Watched, lookups: Lookups, error: Exception
) -> None:
    """Nobody hangs, and the next group is looked up as if nothing had been."""
    watched.error = error
    finding = (lookups.find(a_key(number % 3)) for number in range(9))
    answers = await asyncio.wait_for(asyncio.gather(*finding, return_exceptions=True), 30)
    assert answers == [error] * 9
    watched.error = None
    assert await lookups.find(a_key(1)) == (None, False)


async def test_a_doubt_is_found(store: Store, lookups: Lookups) -> None:
    """Whether an earlier attempt may have been paid is known to every process."""
    with store.write() as connection:
        calls.doubt(connection, [a_doubt(a_key("doubtful"))])
    assert await lookups.is_doubtful(a_key("doubtful"))
    assert not await lookups.is_doubtful(a_key("sure"))


async def test_an_answer_is_found_before_its_commit(
    store: Store, make_ledger: Callable[..., Ledger]
) -> None:
    """The same process never pays twice in the moment between answer and group commit."""
    ledger = make_ledger("one")
    record = a_call()
    assert await ledger.find(record.key) is None
    intent = ledger.intend(record.key, record.job_id, record.model, 500)
    ledger.paid(intent, record)
    assert await ledger.find(record.key) == record
    await eventually_on_loop(lambda: not ledger.writer.backlog, "committed")
    assert await ledger.find(record.key) == record


async def test_another_process_is_waited_for(
    store: Store, make_ledger: Callable[..., Ledger]
) -> None:
    """While one process pays the other waits, and then has the answer from the ledger: one call."""
    job_id = a_stored_job(store)
    payer, waiter = make_ledger("payer"), make_ledger("waiter")
    record = a_call(job_id=job_id)
    assert await payer.find(record.key) is None
    waiting = asyncio.ensure_future(waiter.find(record.key))
    await asyncio.sleep(0.15)
    assert not waiting.done()
    payer.paid(payer.intend(record.key, job_id, record.model, 500), record)
    payer.give_up(record.key)
    assert await asyncio.wait_for(waiting, 30) == record
    assert the_job(store, job_id).calls_made == 1


async def test_a_claim_is_held_until_the_commit(
    store: Store, make_ledger: Callable[..., Ledger], redis_url: str
) -> None:
    """Paid and not yet committed, a call's claim is still refreshed: nobody pays it again."""
    watched = Watched(store)
    ledger = make_ledger("payer", watched)
    record = a_call()
    await ledger.find(record.key)
    watched.may_write.clear()
    ledger.paid(ledger.intend(record.key, record.job_id, record.model, 1), record)
    ledger.give_up(record.key)
    client = Redis.from_url(redis_url)
    await client.pexpire("maestrale:call:" + record.key, 5000)
    await ledger.refresh_claims()
    assert await client.pttl("maestrale:call:" + record.key) > 5000
    watched.may_write.set()
    await eventually_on_loop(lambda: not ledger.writer.backlog, "committed")
    await asyncio.sleep(0)
    await client.pexpire("maestrale:call:" + record.key, 300)
    await ledger.refresh_claims()
    assert await client.pttl("maestrale:call:" + record.key) <= 300
    await client.aclose()


async def test_a_call_given_up_goes_to_the_next(
    make_ledger: Callable[..., Ledger], redis_url: str
) -> None:
    """The payer failed and lets go: after the claim's end the waiter may pay."""
    payer, waiter = make_ledger("payer"), make_ledger("waiter")
    assert await payer.find(a_key("k")) is None
    waiting = asyncio.ensure_future(waiter.find(a_key("k")))
    payer.give_up(a_key("k"))
    client = Redis.from_url(redis_url)
    await client.pexpire("maestrale:call:" + a_key("k"), 50)
    await payer.refresh_claims()
    assert await asyncio.wait_for(waiting, 30) is None
    await client.aclose()


async def test_a_database_away_fails_no_row(
    watched: Watched, make_ledger: Callable[..., Ledger]
) -> None:
    """Looking up waits until the database is back instead of naming rows' failures."""
    ledger = make_ledger("one", watched)
    watched.error = SetupError("the database does not answer")
    waiting = [
        asyncio.ensure_future(ledger.find(a_key("k"))),
        asyncio.ensure_future(ledger.is_doubtful(a_key("k"))),
    ]
    await eventually_on_loop(lambda: watched.readings > 3, "it is asked again")
    watched.error = None
    assert await asyncio.wait_for(asyncio.gather(*waiting), 30) == [None, False]
