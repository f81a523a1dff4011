"""A claim on an operation is renewed while its step lasts, and no longer than it is open."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from builders import a_stored_job, a_stored_operation, eventually_on_loop
from sqlalchemy import select, update

from models.errors import StoreBusyError
from models.states import RemoteState
from models.store import remote
from models.store.engine import Store
from models.store.remote import InHand
from models.tables import RemoteOperation
from worker.remote.operations import Operations
from worker.remote.outcomes import Fetched

PATIENCE_S = 10.0


class Process:
    """One process's hand for remote work, whose operation is to be fetched, and its only handler.

    Its database's writes are in threads, so that a renewal may be under way beside the step.
    """

    def __init__(self, store: Store, op_id: str) -> None:
        self.store = store
        self.op_id = op_id
        self.operations = Operations(
            write=self.write,
            read=self.read,
            ring_for=self.read,
            handlers={"batch": self},  # type: ignore[dict-item] # fetch and end are all it takes
            random=Random(1),
        )
        self.renewals: asyncio.Queue[bool] = asyncio.Queue()
        self.fetching: Callable[[InHand], Awaitable[Any]] = _at_once
        self.ending: Callable[[InHand], Awaitable[Any]] = _at_once
        self.renewing: Callable[[], Awaitable[Any]] = _at_once
        self.ended = False

    async def write(self, function: Any, *args: Any, **named: Any) -> Any:
        """As `Shards.write`; what became of renewals is noted."""
        if function is not remote.renew:
            return await asyncio.to_thread(self._written, function, *args, **named)
        await self.renewing()
        answer = await asyncio.to_thread(self._renewed, *args, **named)
        self.renewals.put_nowait(answer)
        return answer

    def _written(self, function: Any, *args: Any, **named: Any) -> Any:
        with self.store.write() as connection:
            return function(connection, *args, **named)

    def _renewed(self, op: RemoteOperation, *, hold_s: float) -> bool:
        with self.store.write() as connection:
            is_ours = remote.renew(connection, op, hold_s=hold_s)
            assert remote.claim_due(connection, hold_s=60, limit=4) == [], "nobody else gets it"
            return is_ours

    async def read(self, function: Any, *args: Any) -> Any:
        """As `Shards.read`."""
        with self.store.read() as connection:
            return function(connection, *args)

    async def fetch(self, hand: InHand) -> Fetched:
        """A download."""
        await self.fetching(hand)
        return Fetched(RemoteState.SUCCEEDED)

    async def end(self, hand: InHand, fetched: Fetched) -> None:
        """Settles it; then something else may take its time."""
        assert await self.write(remote.settle, hand.op, fetched.state, fetched.reason)
        await self.ending(hand)
        self.ended = True

    async def run(self) -> None:
        """The operation's step, to its end."""
        await self.operations.turn()
        (step,) = self.operations._in_hand.values()
        await asyncio.wait_for(step, PATIENCE_S)

    async def renewed(self, *answers: bool) -> None:
        """Waits until the claim was renewed so often, with these answers."""
        async with asyncio.timeout(PATIENCE_S):  # `wait_for` would swallow that we are cut
            assert [await self.renewals.get() for _ in answers] == list(answers)

    def seen(self) -> RemoteOperation:
        """The operation as it is stored."""
        with self.store.read() as connection:
            query = select(remote.operations).where(remote.operations.c.id == self.op_id)
            return RemoteOperation(**connection.execute(query).mappings().one())


async def _at_once(*_: Any) -> None:
    """Nothing takes time."""


@pytest.fixture
def process(store: Store, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process with an operation that is due; its claims are renewed ten times a second."""
    monkeypatch.setattr("worker.remote.operations.HOLD_S", 0.3)
    job_id = a_stored_job(store, state="waiting")
    return Process(store, a_stored_operation(store, job_id, state=RemoteState.FETCHING))


def due_again(store: Store) -> list[InHand]:
    """What another process may take in hand when all claims have run out."""
    with store.write() as connection:
        connection.execute(update(remote.operations).values(next_check_at=0.0))
        return remote.claim_due(connection, hold_s=60, limit=4)


def keepers() -> list[asyncio.Task[Any]]:
    """Tasks that renew a claim."""
    return [task for task in asyncio.all_tasks() if "Operations._keep" in repr(task)]


async def test_a_long_download_keeps_its_claim(process: Process) -> None:
    """Longer than a claim lives, and through a moment in which the database is busy."""
    troubles = [StoreBusyError("busy")]

    async def busy_at_first() -> None:
        if troubles:
            raise troubles.pop()

    async def long(hand: InHand) -> None:
        assert len(keepers()) == 1
        await process.renewed(*[True] * 5)
        assert process.seen().next_check_at > hand.op.next_check_at, "the first claim is over"

    process.renewing, process.fetching = busy_at_first, long
    await process.run()
    seen = process.seen()
    assert (seen.state, seen.claims, troubles) == (RemoteState.SUCCEEDED, 1, [])


async def test_an_operation_that_is_over_is_not_revived_while_it_is_cleaned_up(
    process: Process,
) -> None:
    """The renewal beside it finds it settled: the clean-up goes to its end, and nobody has it."""

    async def cleaned(_hand: InHand) -> None:
        before = process.seen()
        await process.renewed(False)
        assert process.seen() == before
        await eventually_on_loop(lambda: not keepers(), "nobody renews any more")

    process.ending = cleaned
    await process.run()
    seen = process.seen()
    assert (process.ended, seen.state, seen.claims) == (True, RemoteState.SUCCEEDED, 1)
    assert due_again(process.store) == []


async def test_a_renewal_under_way_when_the_operation_settles_changes_nothing(
    process: Process,
) -> None:
    """It was begun before and reaches the database after: it is not revived nor kept claimed."""
    begun, is_settled = asyncio.Event(), asyncio.Event()

    async def late() -> None:
        begun.set()
        await is_settled.wait()

    async def fetching(_hand: InHand) -> None:
        await begun.wait()

    async def settled(_hand: InHand) -> None:
        before = process.seen()
        is_settled.set()
        await process.renewed(False)
        assert process.seen() == before

    process.renewing, process.fetching, process.ending = late, fetching, settled
    await process.run()
    assert (process.ended, process.seen().state) == (True, RemoteState.SUCCEEDED)
    assert due_again(process.store) == []


async def test_a_step_whose_claim_another_process_took_is_cut(process: Process) -> None:
    """Nothing is written under the older claim: the other one has it alone."""
    taken: list[InHand] = []

    async def stuck(_hand: InHand) -> None:
        taken.extend(due_again(process.store))  # as if our process had been asleep
        await asyncio.Event().wait()

    process.fetching = stuck
    with pytest.raises(asyncio.CancelledError):
        await process.run()
    seen = process.seen()
    assert ([hand.op.claims for hand in taken], seen.claims) == ([2], 2)
    assert (seen.state, process.ended) == (RemoteState.FETCHING, False)
    assert process.operations._in_hand == {}, "it may be taken again"


async def test_a_step_that_is_over_renews_no_more(process: Process) -> None:
    """The claim of a step that failed runs out by itself."""

    async def fails(_hand: InHand) -> None:
        await process.renewed(True)
        raise StoreBusyError("busy")

    process.fetching = fails
    await process.run()
    await eventually_on_loop(lambda: not keepers(), "nobody renews any more")
    assert (process.seen().state, process.seen().claims) == (RemoteState.FETCHING, 1)
