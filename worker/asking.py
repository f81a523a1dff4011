"""One call, from wish to answer: ledger, limiter, gateway, retry policy, ledger.

The same request asked twice at once in a process is one call; the ledger's claims see to it
between processes.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal, assert_never

import orjson

from models.payloads import CallRecord, Failed, Snoozed, Usage
from models.prices import PriceTable
from models.requests import call_key
from models.states import FailureCode
from worker.gateway.faults import Fault
from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply
from worker.jobs import JobInHand
from worker.ledger.ledger import Intent, Ledger
from worker.limiter import Limiter, Permit
from worker.retrying import Again, Decision, GiveUp, PauseJob, Tries, decide

Endpoint = Literal["chat", "embeddings"]
CHARACTERS_PER_TOKEN = 4.0
"""For the limiter's reservation only; it settles the difference with the actual usage."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, fresh or from the ledger, and how often it had to be asked again."""

    key: str
    answer: dict[str, Any]
    model: str
    usage: Usage
    from_ledger: bool
    retried: int = 0


Asked = Answered | Failed | Snoozed


class Asker:
    """One per process; every call of every kind goes through `ask`."""

    def __init__(
        self,
        *,
        server: str,
        ledger: Ledger,
        limiter: Limiter,
        gateway: Gateway,
        prices: PriceTable,
        random: Random,
    ) -> None:
        self._server = server
        self._ledger = ledger
        self._limiter = limiter
        self._gateway = gateway
        self._prices = prices
        self._random = random
        self._asking: dict[str, asyncio.Task[Asked]] = {}
        self._answer_tokens: dict[str, float] = {}

    @property
    def in_flight(self) -> int:
        """Calls wanted just now: waiting or sent."""
        return len(self._asking)

    async def ask(
        self, job: JobInHand, endpoint: Endpoint, body: dict[str, Any], *, sample: str = ""
    ) -> Asked:
        """The answer to `body`, paid for at most once; or why there is none."""
        key = call_key(self._server, endpoint, body, sample)
        shared = False
        while not job.is_stopped:
            task = self._asking.get(key)
            shared = shared or task is not None
            if task is None:
                task = asyncio.create_task(self._find_or_pay(job, endpoint, key, body))
                self._asking[key] = task
                task.add_done_callback(lambda _: self._asking.pop(key, None))
            asked = await asyncio.shield(task)
            if not isinstance(asked, Snoozed):
                return _as_found(asked) if shared else asked
        return Snoozed(job.stop_reason)

    async def drained(self, timeout_s: float) -> bool:
        """Waits until no call is under way any more; False if some still are."""
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=timeout_s)
        return not self._asking

    async def _find_or_pay(
        self, job: JobInHand, endpoint: Endpoint, key: str, body: dict[str, Any]
    ) -> Asked:
        try:
            with job.may_wait(_this_task()):
                found = await self._ledger.find(key)
                hold = job.policy.on_uncertain == "hold" and found is None
                doubtful = hold and await self._ledger.is_doubtful(key)
        except asyncio.CancelledError:
            return _snoozed_or_raise(job)
        if found is not None:
            return _answered(found, from_ledger=True)
        if doubtful:
            return Failed(
                FailureCode.UNCERTAIN, "an earlier attempt at this call may have been paid"
            )
        try:
            return await self._pay(job, endpoint, key, body)
        finally:
            self._ledger.give_up(key)

    async def _pay(
        self, job: JobInHand, endpoint: Endpoint, key: str, body: dict[str, Any]
    ) -> Asked:
        tries, retried = Tries(), 0
        while True:
            permit = await self._permit(job, body)
            if permit is None:
                return Snoozed(job.stop_reason)
            intent = self._intend(job, key, body)
            if intent is None:
                permit.abandon()
                continue
            began = time.monotonic()
            job.budget.called(began)
            reply = await self._send(endpoint, body, permit, intent)
            if isinstance(reply, Reply):
                return self._paid(job, endpoint, key, body, reply, permit, intent, retried)
            self._note_fault(reply, permit, intent)
            now = time.monotonic()
            decision = decide(reply, tries, job.policy, self._random)
            decision = job.budget.temper(decision, job.policy, self._random, now)
            if not isinstance(decision, Again):
                return _ended(job, decision)
            tries = tries.after(reply, decision, now - began)
            retried += 1
            if not await self._wait(job, decision.after_s):
                return Snoozed(job.stop_reason)

    async def _permit(self, job: JobInHand, body: Mapping[str, Any]) -> Permit | None:
        """Waits for a healthy ledger and the limiter; None: the job was stopped meanwhile."""
        if job.is_stopped:
            return None
        try:
            with job.may_wait(_this_task()):
                await self._ledger.writer.healthy.wait()
                return await self._limiter.acquire(
                    body["model"], self._tokens(body), priority=job.priority
                )
        except asyncio.CancelledError:
            _snoozed_or_raise(job)
            return None

    async def _wait(self, job: JobInHand, seconds: float) -> bool:
        if job.is_stopped:
            return False
        try:
            with job.may_wait(_this_task()):
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            _snoozed_or_raise(job)
        return not job.is_stopped

    def _intend(self, job: JobInHand, key: str, body: Mapping[str, Any]) -> Intent | None:
        tokens = self._tokens(body)
        cost = self._prices.cost_nano(body["model"], Usage(prompt_tokens=tokens))
        try:
            return self._ledger.intend(key, job.id, body["model"], cost)
        except OSError:  # the disk is full: nothing may be paid for that could be lost
            self._ledger.writer.pause_calling()
            return None

    async def _send(
        self, endpoint: Endpoint, body: dict[str, Any], permit: Permit, intent: Intent
    ) -> Reply | Fault:
        try:
            match endpoint:
                case "chat":
                    return await self._gateway.chat(body)
                case "embeddings":
                    return await self._gateway.embed(body)
                case _:
                    assert_never(endpoint)
        except BaseException:  # only a closing loop gets here: the call may have been paid
            permit.abandon()
            self._ledger.doubtful(intent, "crash")
            raise

    def _paid(
        self,
        job: JobInHand,
        endpoint: Endpoint,
        key: str,
        body: Mapping[str, Any],
        reply: Reply,
        permit: Permit,
        intent: Intent,
        retried: int,
    ) -> Answered:
        permit.settle(tokens=reply.usage.total, limits=reply.limits)
        model = body["model"]
        self._learn_length(model, reply.usage.completion_tokens)
        record = CallRecord(
            key=key,
            endpoint=endpoint,
            model=model,
            answer=orjson.dumps(reply.answer).decode(),
            usage=reply.usage,
            cost_nano=self._prices.cost_nano(model, reply.usage),
            latency_ms=round(reply.latency_s * 1000),
            job_id=job.id,
        )
        self._ledger.paid(intent, record)
        return Answered(key, reply.answer, model, reply.usage, from_ledger=False, retried=retried)

    def _note_fault(self, fault: Fault, permit: Permit, intent: Intent) -> None:
        permit.refused(fault)
        if not fault.maybe_paid:
            self._ledger.ended(intent)
            return
        if fault.usage is not None:  # an answer of no use that told its price
            intent.doubt = replace(
                intent.doubt, cost_nano=self._prices.cost_nano(intent.doubt.model, fault.usage)
            )
        self._ledger.doubtful(intent, fault.kind)

    def _tokens(self, body: Mapping[str, Any]) -> int:
        """Tokens the call will probably take: its text, and the answers seen so far."""
        prompt = sum(len(str(m.get("content") or "")) for m in body.get("messages", ()))
        prompt += sum(len(text) for text in body.get("input", ()))
        expected = self._answer_tokens.get(body["model"], body.get("max_tokens") or 200.0)
        return int(prompt / CHARACTERS_PER_TOKEN + expected)

    def _learn_length(self, model: str, tokens: int) -> None:
        before = self._answer_tokens.get(model, float(tokens))
        self._answer_tokens[model] = before + 0.05 * (tokens - before)


def _ended(job: JobInHand, decision: Decision) -> Failed | Snoozed:
    match decision:
        case GiveUp(code, detail):
            return Failed(code, detail)
        case PauseJob(reason, detail):
            job.pause(reason, detail)
            return Snoozed(job.stop_reason)
        case Again():
            raise AssertionError("an ending, not a wait")
        case _:
            assert_never(decision)


def _answered(record: CallRecord, *, from_ledger: bool) -> Answered:
    return Answered(
        record.key, orjson.loads(record.answer), record.model, record.usage, from_ledger
    )


def _as_found(asked: Answered | Failed) -> Answered | Failed:
    """For those who joined a call that another row pays for."""
    if isinstance(asked, Failed):
        return asked
    return Answered(asked.key, asked.answer, asked.model, asked.usage, from_ledger=True)


def _snoozed_or_raise(job: JobInHand) -> Snoozed:
    """A cancelled wait is the job's stop, or else the loop closing."""
    if job.is_stopped:
        return Snoozed(job.stop_reason)
    raise asyncio.CancelledError


def _this_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task
