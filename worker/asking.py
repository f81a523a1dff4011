"""One call, from wish to answer: ledger, limiter, gateway, retry policy, ledger.

The same request asked twice at once in a process is one call; the ledger's claims see to it
between processes.
"""

import asyncio
from dataclasses import replace
from typing import Any

import orjson

from models.payloads import CallRecord, Failed, Snoozed, Submitted
from models.requests import call_key
from models.states import FailureCode, RequestState
from worker.gateway.local import LocalGateway, serve_first
from worker.jobs import Collecting, ShardInHand
from worker.ledger.ledger import Ledger
from worker.paying import Answered, Endpoint, IsOurs, Payer, Wish

CUT = "the worker stopped before the answer came"
Paid = Answered | Failed | Snoozed
Asked = Paid | Submitted


class Asker:
    """One per process; every call of every kind goes through `ask`. `local`: who answers for
    models that are served on this machine. What `withholds` is true of is not sent to the API,
    neither at once nor by batch: its prompts were meant to stay here."""

    def __init__(
        self,
        *,
        server: str,
        ledger: Ledger,
        payer: Payer,
        withholds: IsOurs,
        local: LocalGateway | None = None,
    ) -> None:
        self._server = server
        self._ledger = ledger
        self._payer = payer
        self._withholds = withholds
        self._local = local
        self._asking: dict[str, asyncio.Task[Paid]] = {}

    async def ask(
        self,
        shard: ShardInHand,
        endpoint: Endpoint,
        body: dict[str, Any],
        *,
        sample: str = "",
        continuing: bool = False,
    ) -> Asked:
        """The answer to `body`, paid for at most once; or why there is none.

        `continuing`: the row has answers already, so it goes before rows that have not begun.
        """
        here = None if self._local is None else self._local.identity(str(body["model"]))
        key = call_key(here or self._server, endpoint, body, sample)
        is_local = here is not None
        wish = Wish(shard, endpoint, key, body, turn=int(not continuing), is_local=is_local)
        if shard.collecting is not None and not is_local:  # here nobody takes batches
            collected = await self._collect(wish, shard.collecting)
            if collected is not None:
                return collected
        shared = False
        while not shard.is_stopped:
            shared = shared or key in self._asking
            task = self._asking.get(key) or self._start(wish)
            try:
                asked = await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():  # cut off by the drain time, and noted as doubtful
                    return Snoozed(shard.stop_reason or CUT)
                raise
            if not isinstance(asked, Snoozed):
                return _as_found(asked) if shared else asked
        return Snoozed(shard.stop_reason)  # or another shard's stop ended the call we had joined

    def cut(self) -> None:
        """The drain time is over: calls still in flight become doubts, their rows stay open."""
        for task in list(self._asking.values()):
            task.cancel()

    async def drained(self, timeout_s: float) -> bool:
        """Waits until no call is under way any more; False if some still are."""
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=timeout_s)
        return not self._asking

    async def _collect(self, wish: Wish, collecting: Collecting) -> Asked | None:
        """The answer if it is there, else the call joins a batch; None: it goes the usual way."""
        try:
            found, is_doubtful = await self._find(wish)
        finally:
            if wish.key not in self._asking:  # else the claim is that call's
                self._ledger.give_up(wish.key, is_unsent=True)
        if found is not None:
            return replace(_answered(found), from_ledger=found.job_id != wish.job.id)
        if wish.shard.is_stopped:
            return Snoozed(wish.shard.stop_reason)
        known = collecting.known.get(wish.key)
        if known is None and is_doubtful:
            return Failed(FailureCode.UNCERTAIN, "an earlier attempt may have been paid")
        if known is None:
            collecting.wanted[wish.key] = self._payer.by_batch(wish)
        elif known.state == RequestState.REALTIME:
            return None
        elif known.state == RequestState.FAILED:
            return Failed(FailureCode(known.code), known.detail)
        return Submitted("waits for its batch")

    def _start(self, wish: Wish) -> "asyncio.Task[Paid]":
        task = asyncio.create_task(self._find_or_pay(wish))
        self._asking[wish.key] = task
        # the first callback of the task: gone before anybody who waits for it looks again
        task.add_done_callback(lambda _: self._asking.pop(wish.key, None))
        return task

    async def _find_or_pay(self, wish: Wish) -> Paid:
        asked: Paid | None = None
        try:
            asked = await self._found_or_paid(wish)
            return asked
        finally:  # a stop ends waits only: what was sent has an answer or a fault
            self._ledger.give_up(wish.key, is_unsent=isinstance(asked, Snoozed))

    async def _found_or_paid(self, wish: Wish) -> Paid:
        found, is_doubtful = await self._find(wish)
        if found is not None:
            return _answered(found)
        if wish.shard.is_stopped:
            return Snoozed(wish.shard.stop_reason)
        if is_doubtful:
            return Failed(FailureCode.UNCERTAIN, "an earlier attempt may have been paid")
        return await self._payer.pay(wish)

    async def _find(self, wish: Wish) -> tuple[CallRecord | None, bool]:
        """The paid call if there is one, and whether `on_uncertain: hold` forbids to pay.

        A call that must not go to the API pauses its job here, before it can go either way.
        """
        found: CallRecord | None = None
        is_doubtful = is_withheld = False
        if not wish.shard.is_stopped:
            with wish.shard.waiting():
                found = await self._ledger.find(wish.key)
                if found is None and wish.job.policy.on_uncertain == "hold":
                    is_doubtful = await self._ledger.is_doubtful(wish.key)
                if found is None and not wish.is_local:
                    is_withheld = await self._withholds(wish.model)
        if is_withheld:
            wish.job.pause("account", serve_first(wish.model))
        return found, is_doubtful


def _answered(record: CallRecord) -> Answered:
    answer = orjson.loads(record.answer)
    return Answered(
        record.key,
        answer,
        record.model,
        record.usage,
        from_ledger=True,
        latency_ms=record.latency_ms,
        cost_nano=record.cost_nano,
    )


def _as_found(asked: Answered | Failed) -> Answered | Failed:
    """For those who joined a call that another row pays for."""
    return replace(asked, from_ledger=True, retried=0) if isinstance(asked, Answered) else asked
