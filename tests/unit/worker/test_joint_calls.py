"""Texts that travel together, over a fake limiter and gateway: who travels with whom, who gets
what, and one permit per request, given back once on every path."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from builders import eventually_on_loop

from models.embedding import MOST_TEXTS, MOST_TOKENS
from models.payloads import Usage
from models.vectors import from_text, unpack
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.replies import Reply
from worker.joint import Apart, Joint, Member
from worker.joint.parts import divided
from worker.limiter import Flow

JOB = Flow("job_a")


@dataclass
class FakePermit:
    """Remembers how it was given back."""

    tokens: int
    endings: list[str] = field(default_factory=list)

    def settle(self, *, tokens: int, limits: Any) -> None:
        self.endings.append(f"settled {tokens}")

    def refused(self, fault: Fault) -> None:
        self.endings.append(f"refused: {fault.kind}")

    def abandon(self) -> None:
        self.endings.append("abandoned")


class FakeLimiter:
    """Grants one permit per `open`; all at once while `is_free`."""

    def __init__(self) -> None:
        self.is_free = True
        self.permits: list[FakePermit] = []
        self.waiting = 0
        self._opened = asyncio.Semaphore(0)

    def open(self) -> None:
        """One permit for who is first in line."""
        self._opened.release()

    async def acquire(self, _model: str, tokens: int, *, priority: int, flow: Flow) -> FakePermit:
        self.waiting += 1
        try:
            if not self.is_free:
                await self._opened.acquire()
        finally:
            self.waiting -= 1
        self.permits.append(FakePermit(tokens))
        return self.permits[-1]

    def ends(self) -> list[str]:
        """How each was given back, each exactly once."""
        assert all(len(permit.endings) == 1 for permit in self.permits), self.permits
        return [permit.endings[0] for permit in self.permits]


class FakeGateway:
    """Vectors that tell their text's length; refuses `bad` texts, or answers by script."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.script: list[Any] = []
        self.hangs = False
        self.released = asyncio.Event()
        self.cut = 0

    async def embed(self, body: dict[str, Any]) -> Any:
        self.asked.append(body["input"])
        self.bodies.append(body)
        try:
            await (self.released.wait() if self.hangs else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.cut += 1
            raise
        if self.script:
            said = self.script.pop(0)
            if isinstance(said, BaseException):
                raise said
            return said
        if any("bad" in text for text in body["input"]):
            return Fault(FaultKind.REJECTED, "no", status=400)
        data = [
            {"object": "embedding", "index": at, "embedding": [float(len(text)), 1.0]}
            for at, text in enumerate(body["input"])
        ][::-1]
        used = sum(map(len, body["input"])) + 1
        return Reply({"id": "x", "data": data}, Usage(used), body["model"], None, 0.1)


class World:
    """A joint way, and texts sent by it."""

    def __init__(self) -> None:
        self.limiter = FakeLimiter()
        self.gateway = FakeGateway()
        self.joint = Joint(self.limiter, self.gateway)  # type: ignore[arg-type] # fakes
        self.members: dict[str, Member] = {}

    async def ask(self, text: str, *, flow: Flow = JOB, **more: Any) -> Any:
        """One call as its payer makes it, once."""
        body = {"model": "m", "input": [text], **more}
        member = self.members.setdefault(text, self.joint.member(body))
        place = await member.acquire("m", 1, priority=1, flow=flow)
        try:
            told = await member.embed(body)
        except BaseException:
            place.abandon()
            raise
        if isinstance(told, Reply):
            place.settle(tokens=1, limits=None)
        elif isinstance(told, Fault):
            place.refused(told)
        return told

    async def insist(self, text: str) -> Any:
        """Until it is told something that is its own."""
        while isinstance(told := await self.ask(text), Apart):
            pass
        return told

    def start(self, *texts: str, **more: Any) -> list["asyncio.Task[Any]"]:
        """Calls at the same time."""
        return [asyncio.create_task(self.ask(text, **more)) for text in texts]

    async def waits(self, count: int) -> None:
        """So many groups wait for their permits."""
        await eventually_on_loop(lambda: self.limiter.waiting == count, f"{count} groups wait")


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """The world, where nobody's patience ends; nothing of it may be left running."""
    monkeypatch.setattr("worker.joint.groups.ARRIVE_S", 3_600.0)
    yield World()
    await eventually_on_loop(lambda: len(asyncio.all_tasks()) == 1, "all tasks have ended")


def vector(told: Any) -> list[float]:
    """The vector in a member's answer."""
    assert isinstance(told, Reply)
    (item,) = told.answer["data"]
    return unpack(from_text(item["embedding"]))


async def test_who_comes_while_the_permit_is_waited_for_travels_along(world: World) -> None:
    """One permit, one request, and each gets its own vector whatever the order of the answer."""
    world.limiter.is_free = False
    first = world.start("a", "bb")
    await world.waits(1)
    later = world.start("ccc")
    await asyncio.sleep(0)
    world.limiter.open()
    told = await asyncio.gather(*first, *later)
    assert world.gateway.asked == [["a", "bb", "ccc"]]
    assert [vector(one)[0] for one in told] == [1.0, 2.0, 3.0]
    assert [one.answer["data"][0]["index"] for one in told] == [0, 0, 0]
    assert world.limiter.ends() == ["settled 7"]


async def test_the_shares_of_the_usage_add_up(world: World) -> None:
    """Every token of the request is somebody's, and nobody's twice."""
    texts = [f"{'x' * (7 * number % 90)}{number}" for number in range(1, 41)]
    told = await asyncio.gather(*world.start(*texts))
    (asked,) = world.gateway.asked
    used = sum(map(len, asked)) + 1
    assert sum(one.usage.prompt_tokens for one in told) == used
    assert [one.answer["usage"]["total_tokens"] for one in told] == [o.usage.total for o in told]
    longest = max(range(len(texts)), key=lambda at: len(texts[at]))
    most = max(one.usage.prompt_tokens for one in told)
    assert told[longest].usage.prompt_tokens >= most - 1, "longer texts take more"


@pytest.mark.parametrize("usage", [Usage(), Usage(1), Usage(7, 3, 2), Usage(10**9, 1, 10**9)])
@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [5, 1, 1_000_000], list(range(1, 65))])
def test_usage_is_divided_to_the_token(usage: Usage, weights: list[int]) -> None:
    """Whole numbers, none negative, that add up."""
    shares = divided(usage, weights)
    for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        parts = [getattr(share, name) for share in shares]
        assert sum(parts) == getattr(usage, name)
        assert min(parts) >= 0


async def test_a_group_is_full_at_so_many_texts_or_tokens(world: World) -> None:
    """Then another begins, and both wait at the same time; a long text goes all the same."""
    world.limiter.is_free = False
    many = world.start(*(f"t{number}" for number in range(MOST_TEXTS + 1)))
    long = world.start("y" * (3 * MOST_TOKENS + 300), flow=Flow("job_b"))
    await world.waits(3)
    for _ in range(3):
        world.limiter.open()
    await asyncio.gather(*many, *long)
    assert sorted(map(len, world.gateway.asked)) == [1, 1, MOST_TEXTS]


async def test_texts_of_other_jobs_and_other_parameters_travel_apart(world: World) -> None:
    """A job's share of the limit is its own, and so is what it asks for."""
    tasks = [
        *world.start("a", "b"),
        *world.start("c", flow=Flow("job_b")),
        *world.start("d", output_dimension=8),
    ]
    await asyncio.gather(*tasks)
    assert sorted(map(sorted, world.gateway.asked)) == [["a", "b"], ["c"], ["d"]]
    small = next(body for body in world.gateway.bodies if body["input"] == ["d"])
    assert small["output_dimension"] == 8


async def test_one_bad_text_fails_alone(world: World) -> None:
    """The others of a refused group are asked again in halves, with nobody from outside."""
    texts = [f"t{number}" for number in range(31)] + ["bad"]
    tasks = [asyncio.create_task(world.insist(text)) for text in texts]
    told = await asyncio.gather(*tasks)
    assert [isinstance(one, Reply) for one in told] == [True] * 31 + [False]
    assert told[-1].kind is FaultKind.REJECTED
    assert len(world.gateway.asked) == 1 + 2 * 5, "a search by halves"
    assert world.gateway.asked[-1] == ["bad"] or ["bad"] in world.gateway.asked
    ends = world.limiter.ends()
    assert ends.count("refused: rejected") == 6
    assert len(ends) == 11


async def test_a_fault_is_everybodys_and_its_usage_is_shared(world: World) -> None:
    """A refusal by quota is told once to the limiter; what an unusable answer cost is divided."""
    world.gateway.script = [
        Fault(FaultKind.QUOTA, "wait", status=429),
        Fault(FaultKind.UNREADABLE, "cut", maybe_paid=True, usage=Usage(11)),
    ]
    told = await asyncio.gather(*world.start("a", "b", "c"))
    assert [one.kind for one in told] == [FaultKind.QUOTA] * 3
    told = await asyncio.gather(*world.start("a", "b", "c"))
    assert sum(one.usage.total for one in told) == 11
    assert all(one.maybe_paid for one in told)
    assert world.limiter.ends() == ["refused: quota", "refused: unreadable"]
    await asyncio.gather(*world.start("a", "b", "c"))
    assert len(world.gateway.asked) == 4, "what could not be read is asked again in halves"


async def test_who_is_stopped_while_waiting_is_not_sent(world: World) -> None:
    """The others go on without it."""
    world.limiter.is_free = False
    gone, stays = world.start("gone", "stays")
    await world.waits(1)
    gone.cancel()
    world.limiter.open()
    assert vector(await stays)[0] == 5.0
    assert gone.cancelled() or await asyncio.wait([gone])
    assert world.gateway.asked == [["stays"]]
    assert world.limiter.ends() == ["settled 6"]


async def test_when_all_are_stopped_the_group_leaves_the_queue(world: World) -> None:
    """No permit is taken for nobody, and the next text begins a group of its own."""
    world.limiter.is_free = False
    tasks = world.start("a", "b")
    await world.waits(1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await world.waits(0)
    world.limiter.is_free = True
    assert vector(await world.ask("c"))[0] == 1.0
    assert world.limiter.ends() == ["settled 2"]


@pytest.mark.parametrize("steps", range(6))
async def test_stopped_at_any_moment_the_permit_is_given_back(world: World, steps: int) -> None:
    """All members are cancelled some turns of the loop after the permit came."""
    world.limiter.is_free = False
    tasks = world.start("a", "b")
    await world.waits(1)
    world.limiter.open()
    for _ in range(steps):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await eventually_on_loop(lambda: len(asyncio.all_tasks()) == 1, "the group has ended")
    assert all(len(permit.endings) == 1 for permit in world.limiter.permits)


async def test_cut_off_while_it_is_sent_the_request_is_cut_with_the_last(world: World) -> None:
    """One that leaves takes its answer with it; the last one ends the request."""
    world.gateway.hangs = True
    first, last = world.start("a", "b")
    await eventually_on_loop(lambda: world.gateway.asked, "it is sent")
    first.cancel()
    await asyncio.wait([first])
    assert world.gateway.cut == 0
    last.cancel()
    await asyncio.wait([last])
    await eventually_on_loop(lambda: world.gateway.cut == 1, "the request is cut")
    assert world.limiter.ends() == ["abandoned"]


async def test_who_leaves_while_it_is_sent_takes_nothing_from_the_others(world: World) -> None:
    """The answer comes all the same, with everybody's share of the usage."""
    world.gateway.hangs = True
    first, last = world.start("a", "bb")
    await eventually_on_loop(lambda: world.gateway.asked, "it is sent")
    first.cancel()
    await asyncio.wait([first])
    world.gateway.released.set()
    told = await asyncio.wait_for(last, 5)
    assert vector(told)[0] == 2.0
    assert told.usage.prompt_tokens < 4
    assert world.limiter.ends() == ["settled 4"]


async def test_who_was_let_in_and_gives_up_is_not_waited_for(world: World) -> None:
    """A full disk, say: its permit is abandoned before it is sent."""
    world.limiter.is_free = False
    member = world.joint.member({"model": "m", "input": ["gives up"]})
    entering = asyncio.create_task(member.acquire("m", 1, priority=1, flow=JOB))
    (other,) = world.start("other")
    await world.waits(1)
    world.limiter.open()
    (await entering).abandon()
    assert vector(await other)[0] == 5.0
    assert world.gateway.asked == [["other"]]
    assert world.limiter.ends() == ["settled 6"]


async def test_who_neither_comes_nor_leaves_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the group goes without it; should it come then, it is asked to come again."""
    monkeypatch.setattr("worker.joint.groups.ARRIVE_S", 0.01)
    world.limiter.is_free = False
    member = world.joint.member({"model": "m", "input": ["late"]})
    entering = asyncio.create_task(member.acquire("m", 1, priority=1, flow=JOB))
    (other,) = world.start("other")
    await world.waits(1)
    world.limiter.open()
    await entering
    assert vector(await other)[0] == 5.0
    assert isinstance(await member.embed({}), Apart)
    assert world.limiter.ends() == ["settled 6"]


async def test_a_group_to_which_nobody_comes_is_not_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one was locked out: its permit is given back, and it may come again."""
    monkeypatch.setattr("worker.joint.groups.ARRIVE_S", 0.01)
    member = world.joint.member({"model": "m", "input": ["late"]})
    await member.acquire("m", 1, priority=1, flow=JOB)
    await eventually_on_loop(lambda: world.limiter.permits[0].endings, "the group has ended")
    assert isinstance(await member.embed({}), Apart)
    assert world.gateway.asked == []
    assert world.limiter.ends() == ["abandoned"]


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), asyncio.CancelledError()], ids=["bug", "closing"]
)
async def test_what_the_gateway_raises_is_raised_to_each(
    world: World, error: BaseException
) -> None:
    """As a single call would have it; the permit is given back."""
    world.gateway.script = [error]
    told = await asyncio.gather(*world.start("a", "b"), return_exceptions=True)
    assert [type(one) for one in told] == [type(error)] * 2
    assert world.limiter.ends() == ["abandoned"]


async def test_a_limiter_that_closes_ends_the_waits(world: World) -> None:
    """Its waiters are cancelled, and so are all members, quietly."""
    closing: Callable[..., Any] = world.limiter.acquire

    async def closes(*asked: Any, **named: Any) -> Any:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    world.limiter.acquire = closes  # type: ignore[method-assign]
    told = await asyncio.gather(*world.start("a", "b"), return_exceptions=True)
    assert [type(one) for one in told] == [asyncio.CancelledError] * 2
    world.limiter.acquire = closing  # type: ignore[method-assign]
    assert world.gateway.asked == []


async def test_an_answer_that_cannot_be_divided_is_raised_to_each(world: World) -> None:
    """Nobody waits for ever, and the permit is given back."""
    world.gateway.script = [Reply({"data": []}, Usage(3), "m", None, 0.1)]
    told = await asyncio.gather(*world.start("a", "b"), return_exceptions=True)
    assert [type(one) for one in told] == [ValueError] * 2
    assert world.limiter.ends() == ["abandoned"]


async def test_numbers_beyond_float32_stay_as_they_are(world: World) -> None:
    """Whoever reads the vector names the row it is of; the others are not harmed."""
    data = [{"index": 0, "embedding": [1e308, 1.0]}, {"index": 1, "embedding": [1.0, 1.0]}]
    world.gateway.script = [Reply({"data": data}, Usage(3), "m", None, 0.1)]
    wild, tame = await asyncio.gather(*world.start("a", "b"))
    assert wild.answer["data"][0]["embedding"] == [1e308, 1.0]
    assert vector(tame) == [1.0, 1.0]
