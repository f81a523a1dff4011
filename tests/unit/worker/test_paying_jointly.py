"""Texts of rows, paid for together: each has its own key, intent, share and ending."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from builders import eventually_on_loop
from test_joint_calls import FakeGateway
from test_paying import World

from models.embedding import Embedding, request
from models.payloads import CallRecord, Failed, JobSpec, RowInHand, Snoozed, Succeeded, Usage
from models.requests import call_key
from models.states import FailureCode, JobKind
from models.vectors import from_text, unpack
from worker.embedding.asking import vector
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.replies import Reply
from worker.jobs import JobInHand
from worker.kinds import embed
from worker.paying import Answered
from worker.rows import RowRun

MODEL = "mistral-embed"


class Texts(World):
    """An asker over fakes that knows embeddings, and an embedding job."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.vectors = FakeGateway()
        self.gateway.embed = self.vectors.embed  # type: ignore[attr-defined] # a fake
        told = Embedding(model=MODEL, text="{{ row.text }}", store="docs")
        job = JobInHand("job_e", JobKind.EMBED, JobSpec(embedding=told), 5, lambda *_: None)
        self.job = job
        self.shard = job.take()

    def run(self, seq: int, **data: Any) -> RowRun:
        """A row in hand."""
        return RowRun(self.shard, RowInHand(seq, f"r{seq}", data), self.asker)

    async def rows(self, *texts: str) -> list[Any]:
        """What rows with these texts become, all at the same time."""
        runs = [self.run(seq, text=text) for seq, text in enumerate(texts)]
        return await asyncio.gather(*map(embed.run_row, runs))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Back-off takes no time here."""
    really = asyncio.sleep

    async def at_once(_seconds: float) -> None:
        await really(0)

    monkeypatch.setattr("worker.paying.asyncio.sleep", at_once)
    return


async def test_rows_texts_are_one_request_and_each_is_a_call_of_its_own() -> None:
    """Ten rows, one request; ten answers in the ledger that add up; asked again, no request."""
    world = Texts()
    texts = [f"text {'x' * number}" for number in range(10)]
    first = await world.rows(*texts)
    assert all(isinstance(one, Succeeded) for one in first)
    (asked,) = world.vectors.asked
    used = sum(map(len, asked)) + 1
    calls = world.ledger.calls.values()
    assert sum(call.usage.prompt_tokens for call in calls) == used
    assert sum(call.cost_nano or 0 for call in calls) == used * 100
    assert (world.ends(), world.ledger.endings) == (["settled"], ["paid"] * 10)
    again = await world.rows(*texts)
    assert [one.records for one in again] == [one.records for one in first]
    assert len(world.vectors.asked) == 1


async def test_a_record_holds_its_vector_compactly() -> None:
    """Base64 of float32, which is what the store is written from."""
    (done,) = await Texts().rows("four")
    (record,) = done.records
    assert unpack(from_text(record["vector"])) == [4.0, 1.0]
    assert record["dimensions"] == 2


async def test_the_same_text_in_many_rows_is_paid_once() -> None:
    """One place in one request; the others find it."""
    world = Texts()
    await world.rows(*["same"] * 5, "other")
    assert world.vectors.asked == [["same", "other"]]


async def test_only_the_bad_text_fails_by_name() -> None:
    """Refused groups cost nothing and leave no doubt; all other rows are done."""
    world = Texts()
    became = await world.rows("a", "b", "bad", "c", "d")
    codes = [one.code if isinstance(one, Failed) else None for one in became]
    assert codes == [None, None, FailureCode.REQUEST_REJECTED, None, None]
    assert world.ledger.endings.count("paid") == 4
    assert set(world.ledger.endings) == {"paid", "ended"}
    assert world.ledger.intents == len(world.ledger.endings)
    assert world.ends().count("settled") == len(world.limiter.permits) - 3


async def test_rows_without_text_fail_before_anything_is_asked() -> None:
    """A missing field is named, and nothing is sent for blanks."""
    world = Texts()
    (blank,) = await world.rows("  \n ")
    missing = await embed.run_row(world.run(7, title="no text"))
    assert isinstance(missing, Failed) and isinstance(blank, Failed)
    assert (missing.code, blank.code) == (FailureCode.BAD_ROW, FailureCode.BAD_ROW)
    assert "text" in missing.detail and "title" in missing.detail
    assert world.vectors.asked == []


async def test_a_group_that_may_have_been_paid_is_a_doubt_for_each() -> None:
    """And is asked again, as the retry policy has it for single calls."""
    world = Texts()
    world.vectors.script = [Fault(FaultKind.TIMEOUT, "late", maybe_paid=True)]
    became = await world.rows("a", "b", "c")
    assert all(isinstance(one, Succeeded) for one in became)
    assert world.ledger.endings.count("doubtful: timeout") == 3
    assert world.ledger.endings.count("paid") == 3


async def test_a_stopped_job_leaves_its_rows_open_and_its_permit_free() -> None:
    """While the permit is waited for; nothing was noted, nothing is sent."""
    world = Texts()
    world.limiter.blocked = True
    rows = asyncio.create_task(world.rows("a", "b"))
    await eventually_on_loop(lambda: world.limiter.turns, "the group waits")
    world.job.stop("paused by the user")
    assert all(isinstance(one, Snoozed) for one in await rows)
    assert (world.limiter.permits, world.ledger.intents) == ([], 0)
    await eventually_on_loop(lambda: len(asyncio.all_tasks()) == 1, "the group has ended")


async def test_cut_by_the_drain_time_each_text_is_a_doubt() -> None:
    """The request is cut, its permit given back once, its rows stay open."""
    world = Texts()
    world.vectors.hangs = True
    rows = asyncio.create_task(world.rows("a", "b", "c"))
    await eventually_on_loop(lambda: world.vectors.asked, "the request is under way")
    world.job.stop("the worker is stopping")
    world.asker.cut()
    assert all(isinstance(one, Snoozed) for one in await rows)
    assert world.ledger.endings == ["doubtful: crash"] * 3
    await eventually_on_loop(lambda: world.vectors.cut == 1, "the request is cut")
    assert world.ends() == ["abandoned"]


async def test_a_full_disk_takes_a_text_out_of_its_group() -> None:
    """Its intent could not be noted: the others are sent, and it goes with the next group."""
    world = Texts()
    world.ledger.full_disks = 1
    became = await world.rows("a", "b", "c")
    assert all(isinstance(one, Succeeded) for one in became)
    assert sorted(map(len, world.vectors.asked)) == [1, 2]
    assert world.ends() == ["settled", "settled"]


async def test_rows_of_any_kind_ask_for_vectors() -> None:
    """Numbers as they are read from the ledger, float32 or what a batch brought as JSON."""
    world = Texts()
    run = world.run(0)
    assert await vector(run, MODEL, "four") == [4.0, 1.0]
    assert [(step, call.from_ledger) for step, call in run.calls] == [("embed", False)]
    key = call_key("http://api", "embeddings", request(MODEL, "from a batch"))
    answer = '{"data": [{"index": 0, "embedding": [0.5, -1]}], "usage": {}}'
    record = CallRecord(key, "embeddings", MODEL, answer, Usage(3), 300, 1, "job_b")
    world.ledger.calls[key] = record
    assert await vector(run, MODEL, "from a batch") == [0.5, -1.0]
    assert isinstance(run.calls[1][1], Answered)
    failed = await vector(run, MODEL, "bad")
    assert isinstance(failed, Failed)
    assert failed.code == FailureCode.REQUEST_REJECTED


async def test_a_vector_of_no_use_fails_its_row_by_name() -> None:
    """Numbers that float32 does not have; it was paid for, and its neighbour is done."""
    world = Texts()
    data = [{"index": 0, "embedding": [1e308, 1.0]}, {"index": 1, "embedding": [1.0, 1.0]}]
    world.vectors.script = [Reply({"data": data}, Usage(4), MODEL, None, 0.1)]
    wild, tame = await world.rows("a", "b")
    assert isinstance(wild, Failed) and isinstance(tame, Succeeded)
    assert wild.code == FailureCode.INVALID_ANSWER
    assert world.ledger.endings == ["paid", "paid"]


async def test_each_text_stakes_its_own_price() -> None:
    """A job with a budget: what is set aside for a group is what its texts may cost, each alone."""
    world = Texts()
    world.job.has_budget = True
    world.bank.left = 10**9
    became = await world.rows("a", "b", "bad", "c")
    assert [type(one) for one in became] == [Succeeded, Succeeded, Failed, Succeeded]
    paid = sum(call.cost_nano or 0 for call in world.ledger.calls.values())
    purse = world.purses.of("job_e")
    assert purse.free + purse.out + world.bank.left == 10**9
    assert purse.out == paid, "the rest is free again"
