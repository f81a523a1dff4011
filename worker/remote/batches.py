"""Hosted batches: file up, job started once, answers down, every line settled.

A batch is started once: its operation's id is in its metadata, and whoever claims the operation
looks for that first. Only when a request to start one may have been carried out (noted
before it) and the list does not show it yet, the next one waits until it would.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from models.payloads import CallRecord
from models.prices import PriceTable
from models.states import JobState, RemoteState, RequestState
from models.store import batch_lines, remote
from models.store.engine import Store
from models.store.remote import InHand
from models.tables import RemoteOperation
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import RemoteApi, RemoteJob
from worker.remote.batch_file import read_line, request_line
from worker.remote.outcomes import Fetched, Later, Refused, Seen, Sent
from worker.remote.schedule import ANSWER_S, LAG_S
from worker.remote.statuses import Standing, standing_of

ENDPOINTS = {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
METADATA = "maestrale_operation"
ASK_AGAIN_S = 10.0
GONE = (404, 410)
GROUP = 500

Do = Callable[..., Awaitable[Any]]


class Batches:
    """The handler of batch operations."""

    def __init__(
        self, *, api: RemoteApi, store: Store, write: Do, prices: PriceTable, folder: Path
    ) -> None:
        self._api = api
        self._store = store
        self._write = write
        self._prices = prices
        self._folder = folder

    async def send(self, hand: InHand) -> Sent | Later | Refused | Fault:
        """Finds it, or uploads its lines and starts it."""
        op = hand.op
        found = await self._find(op)
        if found is not None:
            return Sent(found) if isinstance(found, RemoteJob) else found
        since_s = await self._write(remote.since_starting_s, op)
        if since_s is not None and since_s < ANSWER_S + LAG_S:
            return Later(ASK_AGAIN_S, "it may have been started: the provider's list will tell")
        if hand.job_state == JobState.CANCELLED:
            return Refused("cancelled before it was sent")
        uploaded = orjson.loads(op.files).get("input") or await self._upload(op)
        return uploaded if isinstance(uploaded, Fault) else await self._start(hand, uploaded)

    async def look(self, hand: InHand) -> Seen | Fault:
        """Asks how it stands."""
        job = await self._api.batch(str(hand.op.remote_id))
        return Seen(job, standing_of(job.status)) if isinstance(job, RemoteJob) else job

    async def cancel(self, hand: InHand) -> Fault | None:
        """Its job was cancelled."""
        answer = await self._api.cancel_batch(str(hand.op.remote_id))
        return answer if isinstance(answer, Fault) else None

    async def fetch(self, hand: InHand) -> Fetched | Fault:
        """Downloads output and errors, settles their lines, and says how the batch ended."""
        job = RemoteJob(str(hand.op.remote_id), hand.op.remote_status, orjson.loads(hand.op.answer))
        for name, file_id in (("output", job.output_file), ("error", job.error_file)):
            if file_id is None:
                continue
            path = self._path(hand.op, name)
            got = await self._api.download(file_id, path)
            if isinstance(got, Fault):
                return _GONE if got.status in GONE else got
            await self._settle_file(hand, path)
        if job.succeeded and job.output_file is None:
            return Fault(FaultKind.TRANSIENT, "the batch's results are not named yet")
        return _ended(hand, job)

    async def end(self, hand: InHand, fetched: Fetched) -> None:
        """Releases what got no answer; then nothing of it is left here or there."""
        cancelled = hand.job_state == JobState.CANCELLED
        last = None if cancelled else _again(hand)
        op = hand.op
        how = (fetched.state, fetched.reason, last)
        if await self._write(batch_lines.release, op, *how, is_lost=fetched.is_lost):
            await self._clean(op)

    # -- steps ---------------------------------------------------------------------------------

    async def _find(self, op: RemoteOperation) -> RemoteJob | Fault | None:
        if op.claims <= 1:  # nobody had it in hand before
            return None
        found = await self._api.find_batches({METADATA: op.id}, op.created_at - LAG_S)
        return found if isinstance(found, Fault) else next(iter(found), None)

    async def _start(self, hand: InHand, input_file: str) -> Sent | Later | Fault:
        op = hand.op
        if not await self._write(remote.starting, op):
            return Later(ASK_AGAIN_S, "another process has it in hand")
        made = await self._api.create_batch(
            input_file=input_file,
            endpoint=ENDPOINTS[op.endpoint],
            model=op.model,
            metadata={METADATA: op.id},
            timeout_hours=hand.options.batch_hours,
        )
        if isinstance(made, RemoteJob):
            return Sent(made)
        if made.maybe_paid:  # a list may lag from now on, whenever it was asked for
            await self._write(remote.starting, op, ago_s=ANSWER_S)
        else:  # surely not started: the next try need not wait
            await self._write(remote.not_started, op)
        return made

    async def _upload(self, op: RemoteOperation) -> str | Fault:
        name, path = f"{op.id}.jsonl", self._path(op, "input")
        if op.claims > 1:
            there = await self._api.find_files(name)
            if isinstance(there, Fault):
                return there
            for stale in there:  # perhaps cut short: lines are cheap, a broken batch is not
                await self._api.delete_file(stale.id)
        await asyncio.get_running_loop().run_in_executor(None, self._write_lines, op, path)
        sent = await self._api.upload(path, name, "batch")
        path.unlink(missing_ok=True)
        if isinstance(sent, Fault):
            return sent
        await self._write(remote.note_files, op, {"input": sent.id})
        return sent.id

    def _write_lines(self, op: RemoteOperation, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._store.read() as connection, path.open("wb") as out:
            for key, body in batch_lines.lines(connection, op.id):
                out.write(request_line(key, body))

    async def _settle_file(self, hand: InHand, path: Path) -> None:
        loop = asyncio.get_running_loop()
        lines = _groups(path, partial(read_line, op=hand.op, prices=self._prices))
        again = _again(hand)
        while group := await loop.run_in_executor(None, next, lines, None):
            records = [said for said in group if isinstance(said, CallRecord)]
            faults = [said for said in group if not isinstance(said, CallRecord)]
            await self._write(batch_lines.settle_lines, hand.op, records, faults, again)

    async def _clean(self, op: RemoteOperation) -> None:
        """What was uploaded and downloaded is removed, there and here."""
        for path in self._folder.glob(f"{op.id}.*"):
            path.unlink(missing_ok=True)
        answer = orjson.loads(op.answer)
        remote_files = {*orjson.loads(op.files).values(), *map(answer.get, _OUTPUTS)} - {None, ""}
        for file_id in sorted(str(found) for found in remote_files if isinstance(found, str)):
            await self._api.delete_file(file_id)  # at best: a file too many costs nothing

    def _path(self, op: RemoteOperation, name: str) -> Path:
        return self._folder / f"{op.id}.{name}.jsonl"


_GONE = Fetched(RemoteState.FAILED, "the provider has the batch's results no more", is_lost=True)
_OUTPUTS = ("output_file", "error_file")


def _groups(path: Path, read: Callable[[bytes], Any]) -> Iterator[list[Any]]:
    """The file's lines, `GROUP` at a time; what is no line of a batch is passed over."""
    group: list[Any] = []
    with path.open("rb") as file:
        for line in file:
            if (said := read(line)) is not None:
                group.append(said)
            if len(group) >= GROUP:
                yield group
                group = []
    if group:
        yield group


def _ended(hand: InHand, job: RemoteJob) -> Fetched:
    match standing_of(job.status):
        case Standing.SUCCEEDED:
            return Fetched(RemoteState.SUCCEEDED)
        case Standing.CANCELLED:
            return Fetched(RemoteState.CANCELLED, "cancelled")
        case Standing.TIMED_OUT:
            hours = hand.options.batch_hours
            return Fetched(RemoteState.FAILED, f"the batch was not done within {hours} h")
        case _:
            return Fetched(RemoteState.FAILED, job.errors or "the batch failed")


def _again(hand: InHand) -> RequestState:
    """Where calls go whose batch ended without an answer for them."""
    if hand.options.on_timeout == "realtime":
        return RequestState.REALTIME
    return RequestState.WAITING
