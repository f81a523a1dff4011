"""Steps of remote operations: what each answer of a handler leads to. No network, no database."""

import asyncio
from random import Random
from typing import Any

import pytest

from models.errors import StoreBusyError
from models.payloads import JobSpec
from models.states import JobState, RemoteState
from models.store import jobs, remote
from models.store.remote import InHand
from models.tables import RemoteOperation
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import RemoteJob
from worker.remote.operations import TOO_MANY_FAILURES, Operations
from worker.remote.outcomes import Fetched, Later, Refused, Seen, Sent
from worker.remote.statuses import Standing

JOB = RemoteJob("r-1", "QUEUED", {"id": "r-1"})
TROUBLE = Fault(FaultKind.TRANSIENT, "502", retry_after_s=7.0)


class Written:
    """A database that notes what it is asked to write, and hands out one operation."""

    def __init__(self, hand: InHand) -> None:
        self.hand = hand
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.trouble: Exception | None = None

    async def write(self, function: Any, *args: Any, **named: Any) -> Any:
        """As `Shards.write`."""
        if function is remote.claim_due:
            return [self.hand]
        if self.trouble:
            raise self.trouble
        self.calls.append((function.__name__, {**named, "args": args[1:]}))
        return True

    async def read(self, function: Any, *_: Any) -> Any:
        """As `Shards.read`."""
        return 120.0 if function is remote.age_s else (False, True)


class Script:
    """A handler that answers what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.ended: Fetched | None = None

    async def send(self, _hand: InHand) -> Any:
        """SENDING."""
        self.asked.append("send")
        return self.answer

    async def look(self, _hand: InHand) -> Any:
        """RUNNING."""
        self.asked.append("look")
        return self.answer

    async def cancel(self, _hand: InHand) -> Fault | None:
        """Its job was cancelled."""
        self.asked.append("cancel")
        return TROUBLE

    async def fetch(self, _hand: InHand) -> Any:
        """FETCHING."""
        self.asked.append("fetch")
        return self.answer

    async def end(self, _hand: InHand, fetched: Fetched) -> None:
        """Over."""
        self.ended = fetched


def in_hand(state: RemoteState, job_state: JobState = JobState.WAITING, **changes: Any) -> InHand:
    """An operation as it is claimed."""
    values = {"id": "op_1", "job_id": "job_1", "kind": "batch", "model": "m", "remote_id": "r-1"}
    times = {"next_check_at": 0.0, "created_at": 0.0}
    op = RemoteOperation(**{**values, **times, "state": state, **changes})
    return InHand(op, job_state, JobSpec().model_dump_json())


async def step(hand: InHand, answer: Any) -> tuple[Written, Script]:
    """One turn of the clock with one operation due."""
    written, script = Written(hand), Script(answer)
    operations = Operations(
        write=written.write,
        read=written.read,
        ring_for=written.write,
        handlers={"batch": script},
        random=Random(1),
    )
    await operations.turn()
    await asyncio.gather(*operations._in_hand.values())
    return written, script


async def test_what_was_sent_runs() -> None:
    """From then on it is looked at, by its id."""
    written, _ = await step(in_hand(RemoteState.SENDING), Sent(JOB))
    assert [(name, how["remote_id"]) for name, how in written.calls] == [("sent", "r-1")]


async def test_a_paused_job_sends_nothing() -> None:
    """It is put off, and the handler is not asked."""
    written, script = await step(in_hand(RemoteState.SENDING, JobState.PAUSED), Sent(JOB))
    assert ([name for name, _ in written.calls], script.asked) == (["put_off"], [])


async def test_later_is_no_failure() -> None:
    """It waits as long as it was told."""
    written, _ = await step(in_hand(RemoteState.SENDING), Later(10.0, "not listed yet"))
    assert written.calls == [("put_off", {"next_s": 10.0, "reason": "not listed yet", "args": ()})]


async def test_a_refusal_ends_it() -> None:
    """With its reason."""
    _, script = await step(in_hand(RemoteState.SENDING), Refused("no such model"))
    assert script.ended == Fetched(RemoteState.FAILED, "no such model")


@pytest.mark.parametrize("state", [RemoteState.SENDING, RemoteState.RUNNING, RemoteState.FETCHING])
async def test_a_fault_is_counted_and_tried_again(state: RemoteState) -> None:
    """Not before the provider's `Retry-After`; the job goes on."""
    written, _ = await step(in_hand(state), TROUBLE)
    ((name, how),) = written.calls
    assert name == "failed_look"
    assert how["next_s"] >= 5.9


@pytest.mark.parametrize(
    ("fault", "failures"),
    [(Fault(FaultKind.ACCOUNT, "401"), 0), (TROUBLE, TOO_MANY_FAILURES - 1)],
)
async def test_the_job_pauses_when_asking_again_does_not_help(fault: Fault, failures: int) -> None:
    """A refused key at once, an unreachable provider after many looks; the operation stays."""
    hand = in_hand(RemoteState.RUNNING, check_failures=failures)
    written, _ = await step(hand, fault)
    assert [name for name, _ in written.calls] == ["failed_look", jobs.pause.__name__]


async def test_an_unknown_word_is_neither_success_nor_failure() -> None:
    """It is shown, and asked again."""
    odd = RemoteJob("r-1", "NAPPING", {})
    written, script = await step(in_hand(RemoteState.RUNNING), Seen(odd, Standing.UNKNOWN))
    ((name, how),) = written.calls
    assert (name, how["is_over"], how["status"]) == ("seen", False, "NAPPING")
    assert "NAPPING" in how["reason"]
    assert how["next_s"] > 5, "by its age"
    assert script.ended is None


async def test_what_is_over_is_fetched_at_once() -> None:
    """And ends as the handler says."""
    over = Seen(RemoteJob("r-1", "SUCCESS", {}), Standing.SUCCEEDED)
    written, _ = await step(in_hand(RemoteState.RUNNING), over)
    assert (written.calls[0][1]["is_over"], written.calls[0][1]["next_s"]) == (True, 0.0)
    _, script = await step(in_hand(RemoteState.FETCHING), Fetched(RemoteState.SUCCEEDED))
    assert script.ended == Fetched(RemoteState.SUCCEEDED)


async def test_a_cancelled_job_is_cancelled_over_there_and_looked_at() -> None:
    """A provider that refuses to cancel is no failure: the look says how it ends."""
    hand = in_hand(RemoteState.RUNNING, JobState.CANCELLED)
    _, script = await step(hand, Seen(JOB, Standing.RUNNING))
    assert script.asked == ["cancel", "look"]


@pytest.mark.parametrize("state", [RemoteState.RUNNING, RemoteState.FETCHING])
async def test_what_the_provider_forgot_ends_it(state: RemoteState) -> None:
    """An old operation that is unknown there will never end by itself: it may have been paid."""
    gone = Fault(FaultKind.REJECTED, "no such job", 404)
    written, script = await step(in_hand(state), gone)
    assert script.ended is not None
    assert (script.ended.state, script.ended.is_lost) == (RemoteState.FAILED, True)
    assert written.calls == [], "nobody has to mend anything: the job goes on"


async def test_a_busy_database_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The claim runs out, and the step is made again."""
    written, script = Written(in_hand(RemoteState.SENDING)), Script(Sent(JOB))
    written.trouble = StoreBusyError("busy")
    operations = Operations(
        write=written.write,
        read=written.read,
        ring_for=written.write,
        handlers={"batch": script},
        random=Random(1),
    )
    await operations.turn()
    await asyncio.gather(*operations._in_hand.values())
    assert "waits for its next turn" in caplog.text
