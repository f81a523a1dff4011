"""One call's way through limiter, spool and gateway, with fakes: every permit and intent ends."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from models.errors import StoreBusyError
from models.payloads import CallRecord, Failed, JobSpec, Options, Snoozed, Submitted, Usage
from models.prices import PriceTable, load_prices
from models.requests import SERVED_HERE
from models.states import FailureCode, JobKind, RequestState
from models.store import money
from models.store.batches import Known
from worker.asking import Asker
from worker.call_counts import CallCounts
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.replies import Reply
from worker.jobs import Collecting, JobInHand
from worker.limiter import Flow
from worker.money import Purses
from worker.paying import Answered, Payer, Way

BODY = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hello?"}]}
ANSWER = {"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]}


def a_reply() -> Reply:
    """An answer of 7 tokens."""
    return Reply(ANSWER, Usage(5, 2), "mistral-small-latest", None, 0.1)


def a_fault(kind: FaultKind, **changes: Any) -> Fault:
    """A fault that allows an instant retry."""
    return Fault(kind, "no", **changes)


@dataclass
class FakePermit:
    """Remembers how it was given back."""

    endings: list[str] = field(default_factory=list)

    def settle(self, **_: Any) -> None:
        self.endings.append("settled")

    def refused(self, fault: Fault) -> None:
        self.endings.append(f"refused: {fault.kind}")

    def abandon(self) -> None:
        self.endings.append("abandoned")


@dataclass
class FakeLimiter:
    """Grants at once, or never."""

    blocked: bool = False
    permits: list[FakePermit] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)

    async def acquire(self, _model: str, _tokens: int, *, priority: int, flow: Flow) -> FakePermit:
        self.turns.append(priority)
        self.flows.append(flow)
        if self.blocked:
            await asyncio.Event().wait()
        self.permits.append(FakePermit())
        return self.permits[-1]


@dataclass
class FakeGateway:
    """Answers from a script; the last entry repeats."""

    script: list[Any] = field(default_factory=lambda: [a_reply()])
    asked: int = 0

    async def chat(self, _body: dict[str, Any]) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@dataclass
class FakeLocal(FakeGateway):
    """The same, for models served on this machine."""

    here: set[str] = field(default_factory=set)

    def identity(self, model: str) -> str | None:
        return SERVED_HERE if model in self.here else None


class FakeWriter:
    """Healthy, unless told."""

    def __init__(self) -> None:
        self.healthy = asyncio.Event()
        self.healthy.set()
        self.pauses = 0

    def pause_calling(self) -> None:
        self.pauses += 1


class FakeLedger:
    """Keeps calls in a dictionary and notes every intent's end."""

    def __init__(self) -> None:
        self.writer = FakeWriter()
        self.calls: dict[str, CallRecord] = {}
        self.endings: list[str] = []
        self.intents = 0
        self.full_disks = 0
        self.doubtful_keys: set[str] = set()
        self.given_up: list[str] = []
        self.freed: list[str] = []

    async def find(self, key: str) -> CallRecord | None:
        await asyncio.sleep(0)
        return self.calls.get(key)

    async def is_doubtful(self, key: str) -> bool:
        return key in self.doubtful_keys

    def intend(self, key: str, job_id: str, model: str, cost_nano: int | None) -> Any:
        if self.full_disks:
            self.full_disks -= 1
            raise OSError("no space left")
        self.intents += 1
        return type(
            "Intent", (), {"doubt": type("Doubt", (), {"model": model, "cost_nano": 10})()}
        )()

    def paid(self, _intent: Any, record: CallRecord) -> None:
        self.calls[record.key] = record
        self.endings.append("paid")

    def ended(self, _intent: Any) -> None:
        self.endings.append("ended")

    def doubtful(self, _intent: Any, reason: str) -> None:
        self.endings.append(f"doubtful: {reason}")

    def give_up(self, key: str, *, is_unsent: bool = False) -> None:
        self.given_up.append(key)
        self.freed += [key] if is_unsent else []


class FakeBank:
    """Stands in for the database's holds: grants what is wanted until it has no more."""

    def __init__(self) -> None:
        self.left = 0
        self.questions = 0

    async def answer(self, function: Any, *asked: Any, **named: Any) -> Any:
        self.questions += 1
        if function is money.reach:
            return True
        granted = min(self.left, asked[3])
        granted = granted if granted >= named["needed_nano"] else 0
        self.left -= granted
        return money.Grant(granted)


class World:
    """An asker over fakes, and a job."""

    def __init__(self, *script: Any, prices: PriceTable | None = None, **options: Any) -> None:
        self.ledger = FakeLedger()
        self.bank = FakeBank()
        self.purses = Purses(self.bank.answer, lambda job_id, reason: self.job.stop(reason), "me")
        self.limiter = FakeLimiter()
        self.gateway = FakeGateway(list(script) or [a_reply()])
        self.local = FakeLocal()
        self.seats = FakeLimiter()
        self.ours: set[str] = set()
        self.withheld: set[str] = set()
        self.registry_error: Exception | None = None
        payer = Payer(
            ledger=self.ledger,  # type: ignore[arg-type] # fakes have what is used
            limiter=self.limiter,  # type: ignore[arg-type]
            gateway=self.gateway,  # type: ignore[arg-type]
            prices=prices or load_prices(),
            purses=self.purses,
            figures=CallCounts(),
            random=random.Random(1),
            local=Way(self.seats, self.local),  # type: ignore[arg-type]
            is_ours=self.is_ours,
        )
        self.asker = Asker(
            server="http://api",
            ledger=self.ledger,  # type: ignore[arg-type]
            payer=payer,
            withholds=self.withholds,
            local=self.local,  # type: ignore[arg-type]
        )
        self.paused: list[tuple[str, str, str]] = []
        spec = JobSpec(options=Options(**options))
        self.job = self.another_job("job_a", spec)
        self.shard = self.job.take()

    def another_job(self, job_id: str, spec: JobSpec | None = None) -> JobInHand:
        """One more job in the same process."""
        pausing = lambda *told: self.paused.append(told)  # noqa: E731 # three words
        return JobInHand(job_id, JobKind.GENERATE, spec or JobSpec(), 5, pausing)

    async def is_ours(self, model: str) -> bool:
        """Whether it was trained here."""
        if self.registry_error is not None:
            raise self.registry_error
        return model in self.ours

    async def withholds(self, model: str) -> bool:
        """Whether its prompts must stay here."""
        return model in self.withheld

    def ends(self) -> list[str]:
        """How the permits were given back, each exactly once."""
        assert all(len(permit.endings) == 1 for permit in self.limiter.permits)
        return [permit.endings[0] for permit in self.limiter.permits]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off takes no time here."""
    really = asyncio.sleep

    async def at_once(_seconds: float) -> None:
        await really(0)

    monkeypatch.setattr("worker.paying.asyncio.sleep", at_once)


async def test_an_answer_is_paid_settled_and_kept() -> None:
    """The plain way: one permit settled, one intent paid, and the next ask is free."""
    world = World()
    first = await world.asker.ask(world.shard, "chat", BODY)
    again = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(first, Answered) and isinstance(again, Answered)
    assert (first.from_ledger, again.from_ledger, world.gateway.asked) == (False, True, 1)
    assert (world.ends(), world.ledger.endings) == (["settled"], ["paid"])
    assert world.ledger.calls[first.key].cost_nano == 5 * 150 + 2 * 600


async def test_equal_calls_at_once_are_one_call() -> None:
    """Ten rows with the same request share one payment; nine count as found."""
    world = World()
    asked = await asyncio.gather(*(world.asker.ask(world.shard, "chat", BODY) for _ in range(10)))
    assert world.gateway.asked == 1
    assert sum(a.from_ledger for a in asked if isinstance(a, Answered)) == 9


async def test_transient_faults_are_retried_and_every_permit_given_back() -> None:
    """Two 503s and an answer: three permits, three intents, each with its end."""
    world = World(a_fault(FaultKind.TRANSIENT), a_fault(FaultKind.QUOTA), a_reply())
    answered = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(answered, Answered)
    assert answered.retried == 2
    assert world.ends() == ["refused: transient", "refused: quota", "settled"]
    assert world.ledger.endings == ["ended", "ended", "paid"]


async def test_what_may_have_been_paid_becomes_a_doubt() -> None:
    """A cut answer is on record as doubtful, and asked again a bounded number of times."""
    world = World(a_fault(FaultKind.TRANSIENT, maybe_paid=True))
    failed = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(failed, Failed)
    assert failed.code == FailureCode.SERVER_ERROR
    assert world.ledger.endings == ["doubtful: transient"] * 3


async def test_hold_asks_neither_again_nor_after_an_earlier_doubt() -> None:
    """With `on_uncertain: hold` a doubtful call is never sent again, nor by the next worker."""
    world = World(a_fault(FaultKind.TIMEOUT, maybe_paid=True), on_uncertain="hold")
    failed = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(failed, Failed)
    assert (failed.code, world.gateway.asked) == (FailureCode.UNCERTAIN, 1)
    world.ledger.is_doubtful = _always  # type: ignore[method-assign] # as after a crash
    again = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(again, Failed)
    assert (again.code, world.gateway.asked) == (FailureCode.UNCERTAIN, 1)


async def _always(_key: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("kind", "reason"), [(FaultKind.MONEY, "money"), (FaultKind.ACCOUNT, "account")]
)
async def test_money_and_account_faults_pause_the_job_once(kind: FaultKind, reason: str) -> None:
    """Ten calls refused for money: one pause, ten rows left open, none failed."""
    world = World(a_fault(kind))
    bodies = [{**BODY, "temperature": n / 10} for n in range(10)]
    asked = await asyncio.gather(*(world.asker.ask(world.shard, "chat", b) for b in bodies))
    assert all(isinstance(one, Snoozed) for one in asked)
    assert [told[:2] for told in world.paused] == [("job_a", reason)]


async def test_stopping_a_job_ends_its_waits_and_nobody_elses() -> None:
    """A call that waits for the limiter is let go; another job that joined it asks for itself."""
    world = World()
    world.limiter.blocked = True
    other = world.another_job("job_b")
    ours = asyncio.create_task(world.asker.ask(world.shard, "chat", BODY))
    theirs = asyncio.create_task(world.asker.ask(other.take(), "chat", BODY))
    while not world.limiter.turns:
        await asyncio.sleep(0)
    world.limiter.blocked = False
    world.job.stop("paused")
    assert isinstance(await ours, Snoozed)
    answered = await theirs
    assert isinstance(answered, Answered)
    assert world.gateway.asked == 1


async def test_a_call_in_flight_outlives_the_stop_of_its_job() -> None:
    """Stopped after it was sent: the answer is paid for and kept."""
    world = World()
    task = asyncio.create_task(world.asker.ask(world.shard, "chat", BODY))
    while not world.gateway.asked:
        await asyncio.sleep(0)
    world.job.stop("paused")
    assert isinstance(await task, Answered)
    assert world.ledger.endings == ["paid"]


async def test_a_full_disk_sends_nothing_and_gives_the_slot_back() -> None:
    """No intent on record, no call: the permit is abandoned and calling pauses."""
    world = World()
    world.ledger.full_disks = 2
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Answered)
    assert world.ends() == ["abandoned", "abandoned", "settled"]
    assert (world.ledger.writer.pauses, world.gateway.asked) == (2, 1)


async def test_rows_under_way_go_before_rows_not_begun() -> None:
    """The limiter serves second steps first, within the job."""
    world = World()
    await world.asker.ask(world.shard, "chat", BODY)
    await world.asker.ask(world.shard, "chat", {**BODY, "n": 1}, continuing=True)
    assert world.limiter.turns == [1, 0]


async def test_another_sample_is_another_call() -> None:
    """A second draw of the same request is paid for anew."""
    world = World()
    await world.asker.ask(world.shard, "chat", BODY)
    await world.asker.ask(world.shard, "chat", BODY, sample="1")
    assert world.gateway.asked == 2


async def test_every_way_out_gives_the_claim_up() -> None:
    """Stopped at the lookup, held, paid or found: nobody keeps others from the call."""
    world = World(on_uncertain="hold")
    task = asyncio.create_task(world.asker.ask(world.shard, "chat", BODY))
    await asyncio.sleep(0)
    world.job.stop("paused")
    assert isinstance(await task, Snoozed)
    held = world.another_job("job_b", world.job.spec)
    world.ledger.is_doubtful = _always  # type: ignore[method-assign] # as after a crash
    assert isinstance(await world.asker.ask(held.take(), "chat", BODY), Failed)
    assert len(world.ledger.given_up) == 2
    assert world.ledger.freed == world.ledger.given_up[:1], "the stopped one is free at once"


async def test_the_end_of_the_drain_time_makes_calls_in_flight_doubts() -> None:
    """Cut off in mid-call: the permit is given back, the call in doubt, the row left open."""
    world = World()
    never = asyncio.Event()

    async def chat(_body: dict[str, Any]) -> Any:
        world.gateway.asked += 1
        await never.wait()

    world.gateway.chat = chat  # type: ignore[method-assign] # a call that hangs
    task = asyncio.create_task(world.asker.ask(world.shard, "chat", BODY))
    while not world.gateway.asked:
        await asyncio.sleep(0)
    world.asker.cut()
    assert isinstance(await task, Snoozed)
    assert (world.ends(), world.ledger.endings) == (["abandoned"], ["doubtful: crash"])


# -- batches ---------------------------------------------------------------------------------------


async def test_a_call_in_doubt_joins_no_batch_of_a_job_that_holds() -> None:
    """It fails by name and nobody waits for it; a job that may ask again collects it."""
    for wish, kind, wanted in (("hold", Failed, 0), ("retry", Submitted, 1)):
        world = World(via="batch", on_uncertain=wish)
        world.ledger.is_doubtful = _always  # type: ignore[method-assign] # as after a crash
        collecting = world.shard.collecting = Collecting({})
        asked = await world.asker.ask(world.shard, "chat", BODY)
        assert isinstance(asked, kind)
        assert (len(collecting.wanted), world.gateway.asked) == (wanted, 0)
        assert not isinstance(asked, Failed) or asked.code == FailureCode.UNCERTAIN
        assert world.ledger.freed == world.ledger.given_up, "others may look at once"


async def test_a_call_in_doubt_is_not_asked_at_once_when_its_batch_ran_out_of_time() -> None:
    """Sent the ordinary way it meets the same rule."""
    world = World(via="batch", on_uncertain="hold", on_timeout="realtime")
    collecting = world.shard.collecting = Collecting({})
    await world.asker.ask(world.shard, "chat", BODY)
    (key,) = collecting.wanted
    world.shard.collecting = Collecting({key: Known(RequestState.REALTIME, "", "")})
    world.ledger.doubtful_keys.add(key)
    failed = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(failed, Failed)
    assert (failed.code, world.gateway.asked) == (FailureCode.UNCERTAIN, 0)


# -- budgets ---------------------------------------------------------------------------------------


async def test_a_job_without_a_budget_asks_nobody_for_money() -> None:
    """No transaction, no purse."""
    world = World()
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Answered)
    assert world.bank.questions == 0


async def test_every_ending_of_a_call_ends_its_stake() -> None:
    """Refused, in doubt, a full disk, answered: what is out then is what was paid or may be."""
    faults = [a_fault(FaultKind.QUOTA), a_fault(FaultKind.TIMEOUT, maybe_paid=True)]
    world = World(*faults, a_reply())
    world.job.has_budget = True
    world.bank.left = 10**12
    world.ledger.full_disks = 1
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Answered)
    purse = world.purses.of(world.job.id)
    doubt, paid = 10, 5 * 150 + 2 * 600
    assert purse.out == doubt + paid
    assert purse.out + purse.free == purse.held


async def test_a_budget_that_is_spent_leaves_rows_open() -> None:
    """Nothing is sent that could not be paid for; a call stopped in the limiter's queue is free."""
    world = World()
    world.job.has_budget = True
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
    assert (world.gateway.asked, world.limiter.permits) == (0, [])
    rich = World()
    rich.job.has_budget, rich.bank.left, rich.limiter.blocked = True, 10**12, True
    task = asyncio.create_task(rich.asker.ask(rich.shard, "chat", BODY))
    while not rich.limiter.turns:
        await asyncio.sleep(0)
    assert rich.purses.of(rich.job.id).out > 0
    rich.job.stop("paused")
    assert isinstance(await task, Snoozed)
    assert rich.purses.of(rich.job.id).out == 0


async def test_no_price_no_call() -> None:
    """A worker whose table lacks the model pauses the job instead of spending blindly."""
    world = World(prices=PriceTable(as_of="2026-01-01", models={}))
    world.job.has_budget = True
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
    assert world.gateway.asked == 0
    assert [told[:2] for told in world.paused] == [("job_a", "price")]


async def test_a_model_served_here_is_asked_there_and_never_of_the_api() -> None:
    """Its permit is the seats', and its answer is not the API's to the same request."""
    world = World()
    bare = await world.asker.ask(world.shard, "chat", BODY)
    world.local.here.add(BODY["model"])
    here = await world.asker.ask(world.shard, "chat", BODY)
    again = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(bare, Answered) and isinstance(here, Answered)
    assert isinstance(again, Answered) and again.from_ledger
    assert bare.key != here.key
    assert (world.gateway.asked, world.local.asked, len(world.seats.permits)) == (1, 1, 1)
    assert world.seats.permits[0].endings == ["settled"]


async def test_a_call_stays_with_the_server_it_was_meant_for() -> None:
    """The server ends while the call is asked again: its key is not the API's."""
    world = World()
    world.local.here.add(BODY["model"])
    world.local.script = [a_fault(FaultKind.TRANSIENT), a_fault(FaultKind.ACCOUNT)]
    asking = asyncio.create_task(world.asker.ask(world.shard, "chat", BODY))
    await asyncio.sleep(0)
    world.local.here.clear()
    assert isinstance(await asking, Snoozed)
    assert (world.local.asked, world.gateway.asked) == (2, 0)
    assert [told[:2] for told in world.paused] == [("job_a", "account")]


async def test_a_model_served_here_is_asked_at_once_though_its_job_goes_by_batch() -> None:
    """Nobody here takes batches."""
    world = World()
    world.local.here.add(BODY["model"])
    world.shard.collecting = Collecting({})
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Answered)
    assert world.shard.collecting.wanted == {}


@pytest.mark.parametrize("status", [400, 404])
async def test_a_model_of_ours_that_the_api_does_not_know_has_to_be_served_first(
    status: int,
) -> None:
    """The pause says so; of a model that is not ours it says what the API said."""
    for ours in (set(), {BODY["model"]}):
        world = World(a_fault(FaultKind.ACCOUNT, status=status))
        world.ours = ours
        assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
        ((_, reason, detail),) = world.paused
        said = f"`maestrale models serve {BODY['model']}` first" in detail
        assert (reason, said) == ("account", bool(ours))
    world = World(a_fault(FaultKind.ACCOUNT, status=401))
    world.ours = {BODY["model"]}
    await world.asker.ask(world.shard, "chat", BODY)
    assert "serve" not in world.paused[0][2], "a key that is refused is another matter"


async def test_a_registry_that_cannot_be_read_pauses_the_job_all_the_same() -> None:
    """With the API's words alone: the row is not failed by an error of ours."""
    world = World(Fault(FaultKind.ACCOUNT, "no such model", status=404))
    world.registry_error = StoreBusyError("busy")
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
    assert world.paused == [("job_a", "account", "no such model")]


@pytest.mark.parametrize("by_batch", [False, True])
async def test_what_is_withheld_goes_to_the_api_by_neither_way(by_batch: bool) -> None:
    """Its job is paused with what to do; nothing is sent, nothing collected, the claim is free."""
    world = World(via="batch" if by_batch else "realtime")
    world.withheld.add(BODY["model"])
    collecting = Collecting({})
    world.shard.collecting = collecting if by_batch else None
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
    assert (world.gateway.asked, collecting.wanted) == (0, {})
    ((_, reason, detail),) = world.paused
    assert (reason, "maestrale models serve" in detail) == ("account", True)
    assert len(world.ledger.freed) == 1


async def test_a_batch_that_ran_out_of_time_does_not_let_a_withheld_call_out() -> None:
    """It goes the ordinary way, where the same is asked."""
    world = World(via="batch", on_timeout="realtime")
    collecting = world.shard.collecting = Collecting({})
    await world.asker.ask(world.shard, "chat", BODY)
    (key,) = collecting.wanted
    world.shard.collecting = Collecting({key: Known(RequestState.REALTIME, "", "")})
    world.withheld.add(BODY["model"])
    assert isinstance(await world.asker.ask(world.shard, "chat", BODY), Snoozed)
    assert world.gateway.asked == 0


async def test_what_the_ledger_has_or_a_server_here_answers_is_not_withheld() -> None:
    """Neither leaves this machine."""
    world = World()
    await world.asker.ask(world.shard, "chat", BODY)
    world.withheld.add(BODY["model"])
    again = await world.asker.ask(world.shard, "chat", BODY)
    world.local.here.add(BODY["model"])
    here = await world.asker.ask(world.shard, "chat", BODY)
    assert isinstance(again, Answered) and isinstance(here, Answered)
    assert (world.gateway.asked, world.local.asked, world.paused) == (1, 1, [])
