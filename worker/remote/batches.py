"""Hosted batches: file up, job started once (`starting`), answers down, every line settled.

A batch is found again by its metadata, which hold its operation's id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from models.crashing import crash_point
from models.payloads import CallRecord
from models.prices import PriceTable
from models.states import JobState, RemoteState, RequestState
from models.store import batch_lines, remote
from models.store.engine import Store
from models.store.remote import InHand
from models.tables import RemoteOperation
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import GONE, RemoteApi, RemoteJob
from worker.remote import starting
from worker.remote.batch_file import read_line, request_line
from worker.remote.outcomes import Fetched, Later, Refused, Seen, Sent
from worker.remote.schedule import TOO_MANY_FAILURES
from worker.remote.statuses import OVER, Standing, standing_of

ENDPOINTS = {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
METADATA = "maestrale_operation"
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
        find = partial(self._api.find_batches, {METADATA: op.id})
        if (known := await starting.earlier(self._write, hand, find)) is not None:
            return known
        uploaded = orjson.loads(op.files).get("input") or await self._upload(op)
        if isinstance(uploaded, Fault):
            return uploaded
        create = partial(
            self._api.create_batch,
            input_file=uploaded,
            endpoint=ENDPOINTS[op.endpoint],
            model=op.model,
            metadata={METADATA: op.id},
            timeout_hours=hand.options.batch_hours,
        )
        return await starting.start(self._write, op, create)

    async def look(self, hand: InHand) -> Seen | Fault:
        """Asks how it stands."""
        job = await self._api.batch(str(hand.op.remote_id))
        if isinstance(job, Fault):
            return job
        standing = standing_of(job.status)
        patience = hand.op.check_failures < TOO_MANY_FAILURES
        if standing in OVER and _is_unnamed(job) and patience:
            return Fault(FaultKind.TRANSIENT, "the batch's results are not named yet")
        return Seen(job, standing)

    async def cancel(self, hand: InHand) -> Fault | None:
        """Its job was cancelled."""
        answer = await self._api.cancel_batch(str(hand.op.remote_id))
        return answer if isinstance(answer, Fault) else None

    async def fetch(self, hand: InHand) -> Fetched | Fault:
        """Downloads output and errors, settles their lines, and says how the batch ended.

        A file that is gone does not keep the other from being read: without the output, what is
        left may have been paid; without the errors, it has no answer and goes its usual way.
        """
        job = RemoteJob(str(hand.op.remote_id), hand.op.remote_status, orjson.loads(hand.op.answer))
        gone: set[str] = set()
        for name, file_id in (("output", job.output_file), ("error", job.error_file)):
            if file_id is None:
                continue
            path = self._path(hand.op, name)
            got = await self._api.download(file_id, path)
            if not isinstance(got, Fault):
                crash_point("batch.downloaded")
                await self._settle_file(hand, path)
                crash_point("batch.settled")
            elif got.status in GONE:
                gone.add(name)
            else:
                return got
        return _GONE if "output" in gone or _is_unnamed(job) else _ended(hand, job)

    async def end(self, hand: InHand, fetched: Fetched) -> None:
        """Releases what got no answer; then nothing of it is left here or there."""
        cancelled = hand.job_state == JobState.CANCELLED
        last = None if cancelled else _again(hand)
        op = hand.op
        how = (fetched.state, fetched.reason, last)
        if await self._write(batch_lines.release, op, *how, is_lost=fetched.is_lost):
            await self._clean(op)

    # -- steps ---------------------------------------------------------------------------------

    async def _upload(self, op: RemoteOperation) -> str | Fault:
        path = self._path(op, "input")
        await asyncio.to_thread(self._write_lines, op, path)
        sent = await starting.uploaded(self._api, op, path, f"{op.id}.jsonl", "batch")
        path.unlink(missing_ok=True)
        if not isinstance(sent, Fault):
            await self._write(remote.note_files, op, {"input": sent})
        return sent

    def _write_lines(self, op: RemoteOperation, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._store.read() as connection, path.open("wb") as out:
            for key, body in batch_lines.lines(connection, op.id):
                out.write(request_line(key, body))

    async def _settle_file(self, hand: InHand, path: Path) -> None:
        lines = _groups(path, partial(read_line, op=hand.op, prices=self._prices))
        again = _again(hand)
        while group := await asyncio.to_thread(next, lines, None):
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


def _is_unnamed(job: RemoteJob) -> bool:
    """Whether there are answers, and nobody says where."""
    return job.succeeded > 0 and job.output_file is None


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
