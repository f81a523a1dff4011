"""Pays for one call: a permit, a note of the intent, the request, and its ending on record."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, assert_never

import orjson

from models.crashing import crash_point
from models.payloads import CallRecord, Failed, Snoozed, Usage
from models.prices import PriceTable
from models.store.batches import Wanted
from worker.call_counts import CallCounts
from worker.gateway.faults import Fault
from worker.gateway.gateway import Gateway
from worker.gateway.local import LocalGateway, serve_first
from worker.gateway.replies import Reply
from worker.jobs import JobInHand, ShardInHand
from worker.joint import Apart, Joint, Member, Place, is_single
from worker.ledger.ledger import Intent, Ledger
from worker.limiter import Limiter, Permit
from worker.money import NO_STAKE, Purses, Stake
from worker.retrying import Again, Decision, GiveUp, PauseJob, Tries, decide
from worker.seats import Seated, Seats

Endpoint = Literal["chat", "embeddings"]
CHARACTERS_PER_TOKEN = 4.0
"""A guess for the limiter, which settles the difference, and for the price of a doubt."""
USUAL_ANSWER_TOKENS = 200.0
UNKNOWN_MODEL = (400, 404, 405, 410, 422)
"""Statuses of a refusal that concerns the account: that it does not know the model."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One call that somebody wants. `turn`: of a job's calls, lower ones get slots first.
    `is_local`: it goes to a server of this machine, as its key has it."""

    shard: ShardInHand
    endpoint: Endpoint
    key: str
    body: dict[str, Any]
    turn: int
    is_local: bool = False

    @property
    def job(self) -> JobInHand:
        """The job that pays."""
        return self.shard.job

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.body["model"])


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, fresh or from the ledger, and how often it had to be asked again."""

    key: str
    answer: dict[str, Any]
    model: str
    usage: Usage
    from_ledger: bool
    retried: int = 0
    latency_ms: int = 0
    cost_nano: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """Who lets calls go, and who takes them."""

    limiter: Limiter | Seats
    gateway: Gateway | LocalGateway


@dataclass(frozen=True, slots=True)
class _Path:
    """A call's way to its endpoint: who lets it go, and who takes it."""

    limiter: Limiter | Seats | Member
    send: Callable[[Mapping[str, Any]], Awaitable[Reply | Fault | Apart]]


IsOurs = Callable[[str], Awaitable[bool]]
"""Whether a model was trained here, and so is nobody's but ours to serve."""


async def _none_is(_model: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Sent:
    """One attempt on its way; permit, stake and intent end on every path."""

    permit: Permit | Seated | Place
    stake: Stake
    intent: Intent
    began: float


class Payer:
    """One per process; only `Asker` calls it, once per key at a time. `local`: the way of calls
    for models that are served on this machine."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        limiter: Limiter,
        gateway: Gateway,
        prices: PriceTable,
        purses: Purses,
        figures: CallCounts,
        random: Random,
        local: Way | None = None,
        is_ours: IsOurs = _none_is,
    ) -> None:
        self._ledger = ledger
        self._api = Way(limiter, gateway)
        self._local = local or self._api
        self._joint = Joint(limiter, gateway)
        self._joint_local = Joint(self._local.limiter, self._local.gateway)
        self._is_ours = is_ours
        self._prices = prices
        self._purses = purses
        self._figures = figures
        self._random = random
        self._answer_tokens: dict[str, float] = {}

    async def pay(self, wish: Wish) -> Answered | Failed | Snoozed:
        """Asks until there is an answer, the retry policy gives up, or the job is stopped."""
        tries, retried, path = Tries(), 0, self._path(wish)
        while sent := await self._begin(wish, path):
            reply = await self._send(wish, path, sent)
            if isinstance(reply, Reply):
                return self._settle(wish, sent, reply, retried)
            if isinstance(reply, Apart):
                self._undo(sent)
                continue
            self._note_fault(reply, sent)
            self._figures.failed(wish.job.id, wish.model, reply)
            decision = self._decide(wish.job, reply, tries)
            if not isinstance(decision, Again):
                return _ended(wish.shard, await self._advised(wish, reply, decision))
            tries = tries.after(reply, decision, time.monotonic() - sent.began)
            retried += 1
            if not wish.shard.is_stopped:
                with wish.shard.waiting():
                    await asyncio.sleep(decision.after_s)
        return Snoozed(wish.shard.stop_reason)

    async def _begin(self, wish: Wish, path: _Path) -> _Sent | None:
        """Money, a permit and a note of the intent; None: the shard was stopped before."""
        guess = self._guess(wish.body)
        while not wish.shard.is_stopped:
            permit: Permit | Seated | Place | None = None
            stake = NO_STAKE
            with wish.shard.waiting():
                await self._ledger.writer.healthy.wait()
                stake = await self._stake(wish)
                try:
                    permit = await path.limiter.acquire(
                        wish.model, guess.total, priority=wish.turn, flow=wish.job.flow
                    )
                except BaseException:
                    stake.void()
                    raise
            if permit is None:
                return None
            try:
                cost = self._prices.cost_nano(wish.model, guess)
                intent = self._ledger.intend(wish.key, wish.job.id, wish.model, cost)
                crash_point("call.intended")
            except OSError:  # the disk is full: nothing may be paid for that could be lost
                permit.abandon()
                stake.void()
                self._ledger.writer.pause_calling()
                continue
            return _Sent(permit, stake, intent, time.monotonic())
        return None

    def _path(self, wish: Wish) -> _Path:
        way = self._local if wish.is_local else self._api
        match wish.endpoint:
            case "chat":
                return _Path(way.limiter, way.gateway.chat)
            case "embeddings" if is_single(wish.body):
                joint = self._joint_local if wish.is_local else self._joint
                member = joint.member(wish.body)
                return _Path(member, member.embed)
            case "embeddings":
                return _Path(way.limiter, way.gateway.embed)
            case _:
                assert_never(wish.endpoint)

    async def _advised(
        self, wish: Wish, fault: Fault, decision: GiveUp | PauseJob
    ) -> GiveUp | PauseJob:
        """With the remedy for a model of our own that was asked of the API."""
        is_unknown = isinstance(decision, PauseJob) and fault.status in UNKNOWN_MODEL
        with suppress(Exception):  # the job is paused, whether we know of a remedy or not
            if is_unknown and not wish.is_local and await self._is_ours(wish.model):
                return PauseJob("account", f"{serve_first(wish.model)} ({fault.message})")
        return decision

    def by_batch(self, wish: Wish) -> Wanted:
        """The call as it waits for a batch, with what it may cost there at most."""
        usage = self._purses.caution.usage(wish.body)
        cost = self._prices.cost_nano(wish.model, usage, batch=True)
        body = orjson.dumps(wish.body).decode()
        return Wanted(wish.key, wish.endpoint, wish.model, body, cost)

    async def _stake(self, wish: Wish) -> Stake:
        """Money for the call, set aside if its job has a budget."""
        if not wish.job.has_budget:
            return NO_STAKE
        if self._prices.price(wish.model) is None:  # the producer has another price table
            wish.job.pause("price", f"{wish.model} is not in the workers' price table")
            await asyncio.sleep(0)  # the pause ends our wait here
            return NO_STAKE
        return await self._purses.of(wish.job.id).stake(lambda: self._dearest(wish), wish.turn)

    def _dearest(self, wish: Wish) -> int:
        return self._prices.cost_nano(wish.model, self._purses.caution.usage(wish.body)) or 0

    async def _send(self, wish: Wish, path: _Path, sent: _Sent) -> Reply | Fault | Apart:
        wish.job.budget.called(sent.began)
        try:
            return await path.send(wish.body)
        except BaseException:  # only a closing loop gets here: the call may have been paid
            sent.permit.abandon()
            stored = self._ledger.doubtful(sent.intent, "crash")
            sent.stake.spend(sent.intent.doubt.cost_nano, stored)
            raise

    def _settle(self, wish: Wish, sent: _Sent, reply: Reply, retried: int) -> Answered:
        sent.permit.settle(tokens=reply.usage.total, limits=reply.limits)
        self._learn_length(wish.model, reply.usage.completion_tokens)
        record = CallRecord(
            key=wish.key,
            endpoint=wish.endpoint,
            model=wish.model,
            answer=orjson.dumps(reply.answer).decode(),
            usage=reply.usage,
            cost_nano=self._prices.cost_nano(wish.model, reply.usage),
            latency_ms=round(reply.latency_s * 1000),
            job_id=wish.job.id,
        )
        latency_ms, cost_nano = record.latency_ms, record.cost_nano
        self._figures.answered(wish.job.id, wish.model, latency_ms, reply.usage, cost_nano)
        sent.stake.spend(cost_nano, self._ledger.paid(sent.intent, record))
        if wish.job.has_budget:
            self._purses.caution.learn(wish.body, reply.usage)
        return Answered(
            wish.key,
            reply.answer,
            wish.model,
            reply.usage,
            from_ledger=False,
            retried=retried,
            latency_ms=latency_ms,
            cost_nano=cost_nano,
        )

    def _undo(self, sent: _Sent) -> None:
        """It was surely not paid."""
        self._ledger.ended(sent.intent)
        sent.stake.void()

    def _note_fault(self, fault: Fault, sent: _Sent) -> None:
        sent.permit.refused(fault)
        if not fault.maybe_paid:
            self._undo(sent)
            return
        intent = sent.intent
        if fault.usage is not None:  # an answer of no use that told its price
            cost = self._prices.cost_nano(intent.doubt.model, fault.usage)
            intent.doubt = replace(intent.doubt, cost_nano=cost)
        sent.stake.spend(intent.doubt.cost_nano, self._ledger.doubtful(intent, fault.kind))

    def _decide(self, job: JobInHand, fault: Fault, tries: Tries) -> Decision:
        decision = decide(fault, tries, job.policy, self._random)
        return job.budget.temper(decision, job.policy, self._random, time.monotonic())

    def _guess(self, body: Mapping[str, Any]) -> Usage:
        """Tokens the call will probably take: its text, and the answers seen so far."""
        prompt = sum(len(str(m.get("content") or "")) for m in body.get("messages", ()))
        if "input" in body:  # vectors have no tokens
            return Usage(int(sum(map(len, body["input"])) / CHARACTERS_PER_TOKEN))
        most = body.get("max_tokens") or USUAL_ANSWER_TOKENS
        answer = self._answer_tokens.get(body["model"], most)
        return Usage(int(prompt / CHARACTERS_PER_TOKEN), int(answer))

    def _learn_length(self, model: str, tokens: int) -> None:
        before = self._answer_tokens.get(model, float(tokens))
        self._answer_tokens[model] = before + 0.05 * (tokens - before)


def _ended(shard: ShardInHand, decision: GiveUp | PauseJob) -> Failed | Snoozed:
    match decision:
        case GiveUp(code, detail):
            return Failed(code, detail)
        case PauseJob(reason, detail):
            shard.job.pause(reason, detail)
            return Snoozed(shard.stop_reason)
        case _:
            assert_never(decision)
