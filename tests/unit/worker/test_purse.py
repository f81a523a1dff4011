"""A job's money in one process, with a stand-in for the database: what is out is never too much."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from builders import FakeClock

from models.errors import StoreBusyError
from models.payloads import Usage
from models.store.money import Grant
from worker import money
from worker.caution import Caution
from worker.money import NO_STAKE, Purse, Purses, Stake


class Bank:
    """A budget and what its owners hold, as `models/store/money.py` reckons."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.spent = 0
        self.held: dict[str, int] = {}
        self.questions = 0
        self.reached: list[str] = []
        self.is_away = False

    def holding(self, owner: str) -> Callable[[int, int, int], Any]:
        async def hold(kept: int, wanted: int, needed: int) -> Grant:
            self.questions += 1
            await asyncio.sleep(0)
            if self.is_away:
                raise StoreBusyError("away")
            others = sum(held for name, held in self.held.items() if name != owner)
            left = self.budget - self.spent - others - kept
            fits = left > 0 and left >= needed
            granted = min(wanted, max(left // 4, needed)) if fits else 0
            self.held[owner] = kept + granted
            return Grant(granted, others)

        return hold

    def reaching(self, owner: str) -> Callable[[int], Any]:
        async def reach(needed: int) -> bool:
            await asyncio.sleep(0)
            others = sum(held for name, held in self.held.items() if name != owner)
            if others or self.budget - self.spent >= needed:
                return False
            self.reached.append(owner)
            return True

        return reach


def priced(nano: int) -> Callable[[], int]:
    """A price that stays."""
    return lambda: nano


class Calling:
    """One process's purse and the calls it pays."""

    def __init__(self, bank: Bank, owner: str = "a") -> None:
        self.clock = FakeClock()
        self.bank = bank
        self.waits: list[asyncio.Task[Any]] = []
        self.is_stopped = False
        hold, reach = bank.holding(owner), bank.reaching(owner)
        self.purse = Purse(hold, reach, self.stop, clock=self.clock)

    def stop(self) -> None:
        self.is_stopped = True
        for task in self.waits:
            task.cancel()

    def stored(self, cost: int) -> "asyncio.Future[bool]":
        """A commit that is yet to come: set its result."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self._book(cost))
        return future

    def _book(self, cost: int) -> None:
        self.bank.spent += cost


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking again takes no time here."""
    monkeypatch.setattr(money, "RETRY_S", 0.001)


async def test_many_calls_are_one_question() -> None:
    """Money is held ahead: a hundred calls do not ask a hundred times."""
    bank = Bank(10**9)
    here = Calling(bank)
    for _ in range(100):
        stake = await here.purse.stake(priced(1_000))
        stake.spend(900, None)
        here.clock.advance(0.01)
    assert bank.questions < 20
    assert here.purse.out + here.purse.free == here.purse.held == bank.held["a"]


async def test_what_a_call_did_not_cost_is_free_again() -> None:
    """Staked 1,000, cost 300: out until its commit, then the database's; a refused call is free."""
    here = Calling(Bank(1_000))
    stored = here.stored(300)
    (await here.purse.stake(priced(1_000))).spend(300, stored)
    assert (here.purse.out, here.purse.free) == (300, 700)
    stored.set_result(True)
    await asyncio.sleep(0)
    assert (here.purse.out, here.purse.free) == (0, 700)
    (await here.purse.stake(priced(600))).void()
    assert (here.purse.out, here.purse.free) == (0, 700)


async def test_a_commit_that_lags_still_counts() -> None:
    """Paid and not committed: nobody is granted that money again, and the budget is not reached."""
    bank = Bank(1_000)
    here = Calling(bank)
    stored = here.stored(700)
    (await here.purse.stake(priced(700))).spend(700, stored)
    waiting = asyncio.create_task(here.purse.stake(priced(700)))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not waiting.done()
    assert not bank.reached
    here.waits.append(waiting)
    stored.set_result(True)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (bank.reached, here.is_stopped) == (["a"], True)


async def test_an_answer_left_to_the_spool_stays_out() -> None:
    """The writer closed first: an adopter will commit it, so we must not give it back."""
    here = Calling(Bank(1_000))
    stored = here.stored(0)
    (await here.purse.stake(priced(700))).spend(700, stored)
    stored.cancel()
    await asyncio.sleep(0)
    assert here.purse.out == 700


async def test_two_processes_do_not_starve_each_other() -> None:
    """Each holds half of what a call needs: both give it up, one of them goes on."""
    bank = Bank(1_000)
    one, two = Calling(bank, "a"), Calling(bank, "b")
    for here, owner in ((one, "a"), (two, "b")):
        here.purse.free = here.purse.held = bank.held[owner] = 500
        here.purse._granted_at = here.clock()
    both = [asyncio.create_task(here.purse.stake(priced(800))) for here in (one, two)]
    done, _ = await asyncio.wait(both, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert not bank.reached
    for task in both:
        task.cancel()


async def test_rows_under_way_are_served_first() -> None:
    """Second steps before first ones, else in the order of asking."""
    bank = Bank(0)
    here = Calling(bank)
    served: list[str] = []

    async def ask(name: str, turn: int) -> None:
        stake = await here.purse.stake(priced(100), turn)
        served.append(name)
        stake.spend(100, None)

    bank.is_away = True
    tasks = [asyncio.create_task(ask(name, turn)) for name, turn in (("x", 1), ("y", 1), ("z", 0))]
    await asyncio.sleep(0.005)
    bank.is_away, bank.budget = False, 10_000
    await asyncio.gather(*tasks)
    assert served == ["z", "x", "y"]


async def test_those_who_wait_are_served_at_the_price_of_the_day() -> None:
    """Nothing was known when they began to wait; what was learnt meanwhile lets more of them go."""
    here = Calling(Bank(1_000))
    price = 1_000
    first = await here.purse.stake(lambda: price)
    tasks = [asyncio.create_task(here.purse.stake(lambda: price)) for _ in range(9)]
    await asyncio.sleep(0.005)
    price = 100
    first.spend(100, None)
    stakes = await asyncio.gather(*tasks)
    assert (len(stakes), here.purse.out) == (9, 1_000)


async def test_money_granted_long_ago_is_not_spent() -> None:
    """A process that was asleep asks first: its hold has run out, others may have the money."""
    bank = Bank(100_000)
    here = Calling(bank)
    (await here.purse.stake(priced(1_000))).void()
    here.clock.advance(money.TTL_S * money.LAPSE + 1)
    bank.held["a"], bank.spent = 0, 100_000  # others had it all
    here.waits.append(asyncio.create_task(here.purse.stake(priced(1_000))))
    with pytest.raises(asyncio.CancelledError):
        await here.waits[0]
    assert bank.reached == ["a"]


async def test_a_stopped_wait_leaves_nothing_behind() -> None:
    """Cancelled while it waits: the next is served."""
    bank = Bank(0)
    here = Calling(bank)
    bank.is_away = True
    first, second = (asyncio.create_task(here.purse.stake(priced(100))) for _ in range(2))
    await asyncio.sleep(0.005)
    first.cancel()
    bank.is_away, bank.budget = False, 400
    stake = await second
    assert here.purse.out == 100
    stake.void()
    assert here.purse.out == 0
    assert first.cancelled()


async def test_an_error_nobody_foresaw_leaves_nobody_waiting() -> None:
    """Whatever the question for money failed with, it is asked again."""
    here = Calling(Bank(400))
    hold, errors = here.purse._hold, [RuntimeError("unforeseen")]

    async def failing_once(*asked: int) -> Grant:
        if errors:
            raise errors.pop()
        return await hold(*asked)

    here.purse._hold = failing_once
    stake = await asyncio.wait_for(here.purse.stake(priced(100)), 5)
    stake.void()
    assert not errors


async def test_a_wait_stopped_in_the_moment_it_is_served_gives_the_money_back() -> None:
    """The stake was made, and nobody is left to end it."""
    here = Calling(Bank(0))
    here.bank.is_away = True
    task = asyncio.create_task(here.purse.stake(priced(100)))
    await asyncio.sleep(0.005)
    here.purse.free, here.purse._granted_at = 100, here.clock()
    here.purse._serve()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (here.purse.out, here.purse.free) == (0, 100)
    here.purse._asking.cancel()


async def test_an_idle_process_gives_back_and_is_forgotten() -> None:
    """Only what is out stays held, and the purse goes with the last of it."""
    bank = Bank(10_000)

    async def write(function: Any, job_id: str, owner: str, *asked: Any, **named: Any) -> Any:
        return await bank.holding(owner)(asked[0], asked[1], named["needed_nano"])

    purses = Purses(write, lambda *_: None, "a")
    purse = purses.of("job_x")
    stake = await purse.stake(priced(1_000))
    await purses.close()
    assert (bank.held["a"], purses.of("job_x")) == (1_000, purse)
    stake.void()
    await purses.close()
    assert bank.held["a"] == 0
    assert purses.of("job_x") is not purse
    bank.is_away = True
    await purses.close()


@pytest.mark.parametrize("seed", range(5))
async def test_random_spending_never_passes_the_budget(seed: int) -> None:
    """Three processes, late commits, refusals, cheap answers: all is spent, and no more."""
    dice, bank = Random(seed), Bank(200_000)
    here = [Calling(bank, name) for name in "abc"]
    paid = 0

    async def row(process: Calling) -> None:
        nonlocal paid
        stake = await process.purse.stake(priced(dice.choice([1_000, 1_500])))
        await asyncio.sleep(dice.random() / 1_000)
        if dice.random() < 0.2:
            stake.void()
            return
        cost = dice.randrange(100, 1_000)
        paid += cost
        assert paid <= bank.budget
        stored = process.stored(cost)
        stake.spend(cost, stored)
        asyncio.get_running_loop().call_later(dice.random() / 100, stored.set_result, True)

    async def work(process: Calling) -> None:
        process.waits = [asyncio.create_task(row(process)) for _ in range(400)]
        await asyncio.gather(*process.waits, return_exceptions=True)
        while process.purse.out:
            await asyncio.sleep(0.001)
        await process.purse.renew(is_idle=True)

    async with asyncio.timeout(20):
        await asyncio.gather(*map(work, here))
    assert bank.reached
    assert 200_000 - 1_500 < paid <= 200_000


def test_a_stake_of_nobody_is_nothing() -> None:
    """Jobs without a budget share it."""
    NO_STAKE.void()
    NO_STAKE.spend(5, None)
    assert isinstance(NO_STAKE, Stake)


def test_caution_takes_the_longest_answer_seen_unless_told() -> None:
    """`max_tokens` bounds an answer; else what was seen does, with a margin, once it was enough."""
    caution = Caution()
    body = {"model": "m", "messages": [{"role": "user", "content": "word " * 100}]}
    assert caution.usage({**body, "max_tokens": 77}).completion_tokens == 77
    assert caution.usage(body).completion_tokens == Caution.UNKNOWN_ANSWER
    for _ in range(Caution.ENOUGH):
        caution.learn(body, Usage(120, 200, 0))
    assert caution.usage(body).completion_tokens == 250
    assert caution.usage({**body, "model": "n"}).completion_tokens == Caution.UNKNOWN_ANSWER
    assert caution.usage({"model": "m", "input": ["a"]}).completion_tokens == 0


def test_caution_learns_how_dense_prompts_are() -> None:
    """Never less than a third of the bytes; more once a prompt took more."""
    caution = Caution()
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 3_000}]}
    first = caution.usage(body).prompt_tokens
    assert first > 1_000
    caution.learn(body, Usage(3_000, 1, 0))
    assert caution.usage(body).prompt_tokens == pytest.approx(3_000, abs=3)
    caution.learn(body, Usage(10, 1, 0))
    assert caution.usage(body).prompt_tokens == pytest.approx(3_000, abs=3)
