"""Pays for one call: a permit, a note of the intent, the request, and its ending on record."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, assert_never

import orjson

from models.payloads import CallRecord, Failed, Snoozed, Usage
from models.prices import PriceTable
from worker.gateway.faults import Fault
from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply
from worker.jobs import JobInHand
from worker.ledger.ledger import Intent, Ledger
from worker.limiter import Limiter, Permit
from worker.retrying import Again, Decision, GiveUp, PauseJob, Tries, decide

Endpoint = Literal["chat", "embeddings"]
CHARACTERS_PER_TOKEN = 4.0
"""A guess for the limiter, which settles the difference, and for the price of a doubt."""
USUAL_ANSWER_TOKENS = 200.0


@dataclass(frozen=True, slots=True)
class Wish:
    """One call that somebody wants. `turn`: lower ones get the limiter's slots first."""

    job: JobInHand
    endpoint: Endpoint
    key: str
    body: dict[str, Any]
    turn: int

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


@dataclass(frozen=True, slots=True)
class _Sent:
    """One attempt on its way; both are given back on every path."""

    permit: Permit
    intent: Intent
    began: float


class Payer:
    """One per process; only `Asker` calls it, once per key at a time."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        limiter: Limiter,
        gateway: Gateway,
        prices: PriceTable,
        random: Random,
    ) -> None:
        self._ledger = ledger
        self._limiter = limiter
        self._gateway = gateway
        self._prices = prices
        self._random = random
        self._answer_tokens: dict[str, float] = {}

    async def pay(self, wish: Wish) -> Answered | Failed | Snoozed:
        """Asks until there is an answer, the retry policy gives up, or the job is stopped."""
        tries, retried = Tries(), 0
        while sent := await self._begin(wish):
            reply = await self._send(wish, sent)
            if isinstance(reply, Reply):
                return self._settle(wish, sent, reply, retried)
            self._note_fault(reply, sent)
            decision = self._decide(wish.job, reply, tries)
            if not isinstance(decision, Again):
                return _ended(wish.job, decision)
            tries = tries.after(reply, decision, time.monotonic() - sent.began)
            retried += 1
            if not wish.job.is_stopped:
                with wish.job.waiting():
                    await asyncio.sleep(decision.after_s)
        return Snoozed(wish.job.stop_reason)

    async def _begin(self, wish: Wish) -> _Sent | None:
        """A permit and a note of the intent; None: the job was stopped before there were both."""
        guess = self._guess(wish.body)
        while not wish.job.is_stopped:
            permit: Permit | None = None
            with wish.job.waiting():
                await self._ledger.writer.healthy.wait()
                permit = await self._limiter.acquire(wish.model, guess.total, priority=wish.turn)
            if permit is None:
                return None
            try:
                cost = self._prices.cost_nano(wish.model, guess)
                intent = self._ledger.intend(wish.key, wish.job.id, wish.model, cost)
            except OSError:  # the disk is full: nothing may be paid for that could be lost
                permit.abandon()
                self._ledger.writer.pause_calling()
                continue
            return _Sent(permit, intent, time.monotonic())
        return None

    async def _send(self, wish: Wish, sent: _Sent) -> Reply | Fault:
        wish.job.budget.called(sent.began)
        try:
            match wish.endpoint:
                case "chat":
                    return await self._gateway.chat(wish.body)
                case "embeddings":
                    return await self._gateway.embed(wish.body)
                case _:
                    assert_never(wish.endpoint)
        except BaseException:  # only a closing loop gets here: the call may have been paid
            sent.permit.abandon()
            self._ledger.doubtful(sent.intent, "crash")
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
        self._ledger.paid(sent.intent, record)
        return Answered(wish.key, reply.answer, wish.model, reply.usage, False, retried)

    def _note_fault(self, fault: Fault, sent: _Sent) -> None:
        sent.permit.refused(fault)
        intent = sent.intent
        if not fault.maybe_paid:
            self._ledger.ended(intent)
            return
        if fault.usage is not None:  # an answer of no use that told its price
            cost = self._prices.cost_nano(intent.doubt.model, fault.usage)
            intent.doubt = replace(intent.doubt, cost_nano=cost)
        self._ledger.doubtful(intent, fault.kind)

    def _decide(self, job: JobInHand, fault: Fault, tries: Tries) -> Decision:
        decision = decide(fault, tries, job.policy, self._random)
        return job.budget.temper(decision, job.policy, self._random, time.monotonic())

    def _guess(self, body: Mapping[str, Any]) -> Usage:
        """Tokens the call will probably take: its text, and the answers seen so far."""
        prompt = sum(len(str(m.get("content") or "")) for m in body.get("messages", ()))
        prompt += sum(len(text) for text in body.get("input", ()))
        most = body.get("max_tokens") or USUAL_ANSWER_TOKENS
        answer = self._answer_tokens.get(body["model"], most)
        return Usage(int(prompt / CHARACTERS_PER_TOKEN), int(answer))

    def _learn_length(self, model: str, tokens: int) -> None:
        before = self._answer_tokens.get(model, float(tokens))
        self._answer_tokens[model] = before + 0.05 * (tokens - before)


def _ended(job: JobInHand, decision: GiveUp | PauseJob) -> Failed | Snoozed:
    match decision:
        case GiveUp(code, detail):
            return Failed(code, detail)
        case PauseJob(reason, detail):
            job.pause(reason, detail)
            return Snoozed(job.stop_reason)
        case _:
            assert_never(decision)
