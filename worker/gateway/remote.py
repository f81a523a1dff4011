"""The slow routes: files, batches and hosted training, as our own thin client of a few calls.

aiohttp and not the SDK: that one reads a file of 512 MB into memory, refuses words it does not
know, and has no training any more. Nothing here retries or decides: `worker/remote` does.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import aiohttp
from pydantic import SecretStr

from models.settings import Settings
from worker.gateway.exchanges import Exchanges
from worker.gateway.faults import Fault
from worker.gateway.remote_faults import DISK, GONE, NOT_TRAINABLE, Call, disk_fault, not_an_id
from worker.gateway.remote_shapes import (
    Json,
    RemoteFile,
    RemoteJob,
    is_id,
    shortened,
    training_suffix,
)
from worker.gateway.transfers import DiskError, store_body

__all__ = [
    "DISK",
    "GONE",
    "NOT_TRAINABLE",
    "RemoteApi",
    "RemoteFile",
    "RemoteJob",
    "training_suffix",
]

FILES = ("v1", "files")
BATCHES = ("v1", "batch", "jobs")
TRAININGS = ("v1", "fine_tuning", "jobs")
CLOCK_SLACK_S = 3600.0
"""How far our clock may be ahead of the provider's when a list is cut by `created_after`."""


class RemoteApi:
    """Files, batches and trainings behind one key, opened on the loop that uses it. Every method
    answers its value or a `Fault`, and raises nothing but `CancelledError` once open.

    `transfer_s`: for a whole file; `read_s`: for the next bytes of one; `timeout_s`: the rest.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        timeout_s: float = 60.0,
        transfer_s: float = 600.0,
        read_s: float = 60.0,
    ) -> None:
        self._http = Exchanges(
            base_url, api_key, timeout_s=timeout_s, transfer_s=transfer_s, read_s=read_s
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A client as the operator set it; raises `SetupError` for an unusable URL or key."""
        return cls(settings.base_url, settings.api_key)

    async def open(self) -> Self:
        """Make the connection pool."""
        self._http.open()
        return self

    async def close(self) -> None:
        """Close the pool, and cut what is under way; harmless when it is not open."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # -- files ----------------------------------------------------------------------------------

    async def upload(
        self, path: Path, name: str, purpose: Literal["batch", "fine-tune"]
    ) -> RemoteFile | Fault:
        """Send a file from disk, piece by piece. Perhaps it is there even after a `Fault`
        (`maybe_paid`): look by its name."""
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            return disk_fault(error, f"{path.name} cannot be read")
        with file:
            return await self._http.ask(
                Call("POST", FILES), RemoteFile.read, _form(file, name, purpose)
            )

    async def find_files(self, name: str) -> list[RemoteFile] | Fault:
        """All files of exactly this name."""
        return await self._http.list_all(
            Call("GET", FILES, {"search": name}), RemoteFile.read, lambda file: file.name == name
        )

    async def delete_file(self, file_id: str) -> bool | Fault:
        """Delete a file; False: it was gone already."""
        if not is_id(file_id):
            return not_an_id()
        call = Call("DELETE", (*FILES, file_id), names_one=True)
        told = await self._http.exchange(call, _nothing)
        if isinstance(told, Fault):
            return False if told.status in GONE else told
        return True

    async def download(self, file_id: str, to: Path) -> int | Fault:
        """Fetch a file to disk, piece by piece; how many bytes. `to` appears whole or not at all;
        what was begun is left beside it, as `.part`, by a killed process only."""
        if not is_id(file_id):
            return not_an_id()
        call = Call("GET", (*FILES, file_id, "content"), names_one=True)
        try:
            return await self._http.exchange(call, partial(store_body, to=to), is_transfer=True)
        except DiskError as refused:
            return disk_fault(refused.error, f"{to.name} cannot be written")

    # -- batches --------------------------------------------------------------------------------

    async def create_batch(
        self,
        *,
        input_file: str,
        endpoint: str,
        model: str,
        metadata: Mapping[str, str],
        timeout_hours: int,
    ) -> RemoteJob | Fault:
        """Start a batch over an uploaded file; `endpoint` is a path (`/v1/chat/completions`)."""
        body = {
            "input_files": [input_file],
            "endpoint": endpoint,
            "model": model,
            "metadata": dict(metadata),
            "timeout_hours": timeout_hours,
        }
        return await self._http.ask(Call("POST", BATCHES, body=body), RemoteJob.read)

    async def batch(self, job_id: str) -> RemoteJob | Fault:
        """How a batch stands."""
        return await self._ask_job("GET", BATCHES, job_id)

    async def find_batches(
        self, metadata: Mapping[str, str], created_after: float | None = None
    ) -> list[RemoteJob] | Fault:
        """All batches that carry this metadata; `created_after`: by our clock, taken with slack.

        The filter goes along as the SDK sends it, and is applied again here: servers that do not
        know it answer with everything.
        """
        query = {**metadata, **_since(created_after)}
        wanted = metadata.items()
        return await self._http.list_all(
            Call("GET", BATCHES, query), RemoteJob.read, lambda job: wanted <= job.metadata.items()
        )

    async def cancel_batch(self, job_id: str) -> RemoteJob | Fault:
        """Ask for an end; what was answered until then is still charged and still fetched."""
        return await self._ask_job("POST", BATCHES, job_id, "cancel")

    # -- training -------------------------------------------------------------------------------

    async def create_training(self, body: Mapping[str, Any]) -> RemoteJob | Fault:
        """Create a training. A model that this account may not train: `Fault.code` is
        `NOT_TRAINABLE`. 409: there is one already with these files and parameters."""
        return await self._http.ask(Call("POST", TRAININGS, body=body), RemoteJob.read)

    async def dry_run_training(self, body: Mapping[str, Any]) -> Json | Fault:
        """What a training would take: tokens, cost, duration. Nothing is created."""
        call = Call("POST", TRAININGS, {"dry_run": "true"}, body)
        return await self._http.ask(call, _an_object)

    async def training(self, job_id: str) -> RemoteJob | Fault:
        """How a training stands, with its events and checkpoints."""
        return await self._ask_job("GET", TRAININGS, job_id)

    async def find_trainings(
        self, suffix: str, created_after: float | None = None
    ) -> list[RemoteJob] | Fault:
        """All trainings of this suffix (`training_suffix`)."""
        query = {"suffix": suffix, **_since(created_after)}
        return await self._http.list_all(
            Call("GET", TRAININGS, query), RemoteJob.read, lambda job: job.suffix == suffix
        )

    async def start_training(self, job_id: str) -> RemoteJob | Fault:
        """Start a validated training that was created with `auto_start: false`."""
        return await self._ask_job("POST", TRAININGS, job_id, "start")

    async def cancel_training(self, job_id: str) -> RemoteJob | Fault:
        """Ask for an end."""
        return await self._ask_job("POST", TRAININGS, job_id, "cancel")

    # -- how ------------------------------------------------------------------------------------

    async def _ask_job(
        self, method: str, path: tuple[str, ...], job_id: str, *verb: str
    ) -> RemoteJob | Fault:
        """About one job; its id is known, so that an answer without one is an answer too."""
        if not is_id(job_id):
            return not_an_id()
        call = Call(method, (*path, job_id, *verb), names_one=True)
        return await self._http.ask(call, partial(RemoteJob.read, known_id=job_id))


def _form(file: BinaryIO, name: str, purpose: str) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("purpose", purpose)
    form.add_field("file", file, filename=name, content_type="application/octet-stream")
    return form


async def _nothing(response: aiohttp.ClientResponse) -> None:
    """The status says it all."""


def _since(created_after: float | None) -> dict[str, str]:
    if created_after is None:
        return {}
    moment = datetime.fromtimestamp(max(created_after - CLOCK_SLACK_S, 0.0), UTC)
    return {"created_after": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _an_object(answer: object) -> Json | None:
    return shortened(answer) if isinstance(answer, dict) else None
