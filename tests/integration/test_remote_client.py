"""The client of files, batches and trainings, against servers that misbehave on the wire."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from pydantic import SecretStr
from raw_server import KEY, Handler, http, read_request, reset, saying, serving

from models.errors import SetupError
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import DISK, NOT_TRAINABLE, RemoteApi, RemoteFile, RemoteJob

BATCH_ID = "7f4e2c1a-0000-4000-8000-000000000001"
FILE = {"id": "f-1", "object": "file", "filename": "op_1.jsonl", "bytes": 4, "created_at": 5}
WANDB_KEY = "w" * 40


@asynccontextmanager
async def an_api(handler: Handler, **limits: float) -> AsyncIterator[RemoteApi]:
    """An open client of a server that handles each connection so."""
    patience = {"timeout_s": 5.0, "transfer_s": 5.0, "read_s": 5.0, **limits}
    async with (
        serving(handler) as url,
        RemoteApi(url, SecretStr(KEY), **patience) as api,
    ):
        yield api


def answering(
    answer: Callable[[str, dict[str, str], bytes], object], seen: list[str] | None = None
) -> Handler:
    """A server that answers `answer(method and path, query, body)` as JSON, for ever."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            parts = urlsplit(target)
            if seen is not None:
                seen.append(f"{method} {target}")
            said = answer(f"{method} {parts.path}", dict(parse_qsl(parts.query)), body)
            writer.write(http(body=orjson.dumps(said)))

    return handler


def a_batch(number: int, **changes: object) -> dict[str, object]:
    """A batch in a list."""
    return {"id": f"batch-{number}", "status": "RUNNING", "metadata": {"op": "x"}} | changes


def fault(told: object) -> Fault:
    """What was told is a fault."""
    assert isinstance(told, Fault), told
    return told


async def create(api: RemoteApi) -> RemoteJob | Fault:
    """A batch of one file."""
    return await api.create_batch(
        input_file="f-1",
        endpoint="/v1/chat/completions",
        model="small",
        metadata={"maestrale_operation": "op_1"},
        timeout_hours=24,
    )


# -- files ------------------------------------------------------------------------------------


async def test_a_file_goes_as_the_sdk_sends_it(tmp_path: Path) -> None:
    """Multipart with purpose and name, its length said beforehand, and no JSON header."""
    seen: list[tuple[bytes, bytes]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(http(body=orjson.dumps(FILE)))

    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"custom_id": "1"}\n')
    async with an_api(handler) as api:
        told = await api.upload(path, "op_1.jsonl", "batch")
    assert told == RemoteFile("f-1", "op_1.jsonl", 4, 5.0)
    head, body = seen[0]
    assert head.startswith(b"POST /v1/files HTTP/1.1\r\n")
    assert b"Content-Type: multipart/form-data; boundary=" in head
    assert b"application/json\r\n" in head  # what is accepted
    assert b"Authorization: Bearer " + KEY.encode() in head
    assert b'name="purpose"\r\n\r\nbatch\r\n' in body
    assert b'name="file"; filename="op_1.jsonl"\r\n\r\n{"custom_id": "1"}\n\r\n--' in body


async def test_a_large_file_goes_piece_by_piece(tmp_path: Path) -> None:
    """And is not held in memory."""
    size, taken = 48 * 1024 * 1024, 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        while taken < size:
            taken += len(await reader.read(1 << 16))
        writer.write(http(body=orjson.dumps(FILE)))
        await writer.drain()

    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        file.truncate(size)
    async with an_api(handler, transfer_s=60.0) as api:
        tracemalloc.start()
        told = await api.upload(path, "large.jsonl", "batch")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(told, RemoteFile)
    assert peak < 8 * 1024 * 1024


async def test_a_slow_taker_is_no_silent_server(tmp_path: Path) -> None:
    """`read_s` is for the answer: a file may take longer to go, and than other calls take."""
    size, pause = 8 * 1024 * 1024, asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = len(await reader.read(1 << 16))
        asyncio.get_running_loop().call_later(0.5, pause.set)
        await pause.wait()
        while taken < size:
            taken += len(await reader.read(1 << 20))
        writer.write(http(body=orjson.dumps(FILE)))
        await writer.drain()

    path = tmp_path / "large.jsonl"
    path.write_bytes(b"x" * size)
    async with an_api(handler, read_s=0.25, timeout_s=0.25) as api:
        assert isinstance(await api.upload(path, "large.jsonl", "batch"), RemoteFile)


async def test_a_file_that_is_not_there_is_our_disks_fault(tmp_path: Path) -> None:
    """And nothing is asked of the server."""
    async with an_api(saying()) as api:
        told = fault(await api.upload(tmp_path / "gone.jsonl", "gone.jsonl", "batch"))
    assert (told.code, told.maybe_paid) == (DISK, False)
    assert told.message == "gone.jsonl cannot be read: No such file or directory"


async def test_a_file_comes_to_disk_whole(tmp_path: Path) -> None:
    """Under its name, with nothing beside it; an old one is replaced."""
    body = bytes(range(256)) * 12_000
    (tmp_path / "out.jsonl").write_text("old")
    async with an_api(saying(http(body=body))) as api:
        assert await api.download("f-1", tmp_path / "out.jsonl") == len(body)
    assert (tmp_path / "out.jsonl").read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize("cut", [http(body=b"hello", length=500), CHUNKED])
async def test_a_cut_file_does_not_come_at_all(tmp_path: Path, cut: bytes) -> None:
    """Half of the answers would look like all of them."""
    async with an_api(saying(cut)) as api:
        told = fault(await api.download("f-1", tmp_path / "out.jsonl"))
    assert (told.kind, told.status, told.maybe_paid) == (FaultKind.UNREADABLE, 200, False)
    assert list(tmp_path.iterdir()) == []


async def test_a_silent_server_does_not_hold_a_download_for_ever(tmp_path: Path) -> None:
    """The next bytes have `read_s` to come."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(body=b"hello", length=500))
        await asyncio.Event().wait()

    async with an_api(handler, read_s=0.2, transfer_s=60.0) as api, asyncio.timeout(30.0):
        told = fault(await api.download("f-1", tmp_path / "out.jsonl"))
    assert told.kind is FaultKind.TIMEOUT
    assert list(tmp_path.iterdir()) == []


async def test_a_disk_that_refuses_is_not_taken_for_the_network(tmp_path: Path) -> None:
    """The provider did its part."""
    async with an_api(saying(http(body=b"hello"))) as api:
        told = fault(await api.download("f-1", tmp_path / "nowhere" / "out.jsonl"))
    assert (told.kind, told.code) == (FaultKind.TRANSIENT, DISK)
    assert str(tmp_path) not in told.message


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """A worker that stops cleans up."""
    begun = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(body=b"hello", length=500))
        begun.set()
        await asyncio.Event().wait()

    async with an_api(handler) as api:
        task = asyncio.create_task(api.download("f-1", tmp_path / "out.jsonl"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []


async def test_files_are_found_by_their_whole_name() -> None:
    """The search finds similar ones too."""
    names = ["op_1.jsonl", "op_11.jsonl", "op_1.jsonl"]
    files = [FILE | {"id": f"f-{i}", "filename": name} for i, name in enumerate(names)]
    asked: list[dict[str, str]] = []

    def page(_: str, query: dict[str, str], body: bytes) -> object:
        asked.append(query)
        return {"data": files if query["page"] == "0" else [], "object": "list"}

    async with an_api(answering(page)) as api:
        found = await api.find_files("op_1.jsonl")
    assert isinstance(found, list)
    assert [file.id for file in found] == ["f-0", "f-2"]
    assert asked[0] == {"search": "op_1.jsonl", "page": "0", "page_size": "100"}


@pytest.mark.parametrize(("status", "told"), [(200, True), (404, False), (410, False)])
async def test_deleting_what_is_gone_is_no_fault(status: int, told: bool) -> None:
    """A second clean-up finds nothing to do."""
    async with an_api(saying(http(status, b"{}"))) as api:
        assert await api.delete_file("f-1") is told


# -- batches ----------------------------------------------------------------------------------


async def test_a_batch_is_created_as_documented() -> None:
    """With the intent's id in its metadata."""
    seen: list[object] = []

    def created(path: str, query: dict[str, str], body: bytes) -> object:
        seen.append((path, orjson.loads(body)))
        return a_batch(1, status="QUEUED")

    async with an_api(answering(created)) as api:
        job = await create(api)
    assert isinstance(job, RemoteJob)
    assert (job.id, job.status) == ("batch-1", "QUEUED")
    body = {
        "input_files": ["f-1"],
        "endpoint": "/v1/chat/completions",
        "model": "small",
        "metadata": {"maestrale_operation": "op_1"},
        "timeout_hours": 24,
    }
    assert seen == [("POST /v1/batch/jobs", body)]


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads, and says nothing."""
    await read_request(reader)
    await asyncio.Event().wait()


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads, and resets."""
    await read_request(reader)
    reset(writer)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (hang, FaultKind.TIMEOUT),
        (break_off, FaultKind.TRANSIENT),
        (saying(http(500)), FaultKind.TRANSIENT),
        (saying(http(body=b"<html>")), FaultKind.UNREADABLE),
        (saying(http(body=b'{"id": null}')), FaultKind.UNREADABLE),
        (saying(http(body=b'{"id"', length=50)), FaultKind.UNREADABLE),
        (saying(http(409, b'{"detail": "exists"}')), FaultKind.TRANSIENT),
    ],
)
async def test_a_batch_that_may_exist_is_in_doubt(handler: Handler, kind: FaultKind) -> None:
    """The caller looks for it before it starts another."""
    async with an_api(handler, timeout_s=0.3) as api:
        told = fault(await create(api))
    assert (told.kind, told.maybe_paid) == (kind, True)


async def test_batches_are_found_on_every_page_by_our_own_filter() -> None:
    """A server that ignores the filter answers with all of them; a metadata may be null."""
    odd = {
        3: {"metadata": None},
        4: {"metadata": {"op": "y"}},
        7: {"metadata": {"op": "x", "b": "1"}},
    }
    jobs = [a_batch(i, **odd.get(i, {"metadata": {}})) for i in range(9)] + [a_batch(9)]
    asked: list[dict[str, str]] = []

    def page(_: str, query: dict[str, str], body: bytes) -> object:
        asked.append(query)
        start = 4 * int(query["page"])
        return {"data": jobs[start : start + 4], "total": len(jobs)}

    async with an_api(answering(page)) as api:
        found = await api.find_batches({"op": "x"}, 1_763_853_600.0)
    assert isinstance(found, list)
    assert [job.id for job in found] == ["batch-7", "batch-9"]
    common = {"op": "x", "created_after": "2025-11-22T22:20:00Z", "page_size": "100"}
    assert asked == [common | {"page": str(page)} for page in range(4)]


async def test_a_server_that_counts_no_pages_does_not_loop() -> None:
    """It repeats its first."""
    seen: list[str] = []
    async with an_api(answering(lambda *_: {"data": [a_batch(1)]}, seen)) as api:
        found = await api.find_batches({"op": "x"})
    assert isinstance(found, list)
    assert ([job.id for job in found], len(seen)) == (["batch-1"], 2)


async def test_a_list_without_an_end_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Not found` would start another batch."""
    monkeypatch.setattr("worker.gateway.exchanges.MOST_PAGES", 3)

    def page(_: str, query: dict[str, str], body: bytes) -> object:
        return {"data": [a_batch(int(query["page"]))]}

    async with an_api(answering(page)) as api:
        told = fault(await api.find_batches({"op": "x"}))
    assert told.kind is FaultKind.UNREADABLE
    assert "3 pages" in told.message


@pytest.mark.parametrize("second", [http(500), http(body=b'{"data": [{}]}'), http(body=b"<html>")])
async def test_half_a_list_is_a_fault(second: bytes) -> None:
    """What was not seen may be ours."""
    first = http(body=orjson.dumps({"data": [a_batch(1)]}))
    async with an_api(saying(first, second)) as api:
        assert not fault(await api.find_batches({"op": "x"})).maybe_paid


async def test_a_batch_is_looked_at_and_cancelled_by_its_id() -> None:
    """An answer without an id is an answer about this one."""
    seen: list[str] = []
    async with an_api(answering(lambda *_: {"status": "RUNNING"}, seen)) as api:
        told = [await api.batch(BATCH_ID), await api.cancel_batch(BATCH_ID)]
    assert told == [RemoteJob(BATCH_ID, "RUNNING", {"status": "RUNNING"})] * 2
    place = f"/v1/batch/jobs/{BATCH_ID}"
    assert seen == [f"GET {place}", f"POST {place}/cancel"]


@pytest.mark.parametrize("bad", ["", "..", "../../models", "a b", "x?y=1"])
async def test_a_foreign_id_is_not_put_into_a_path(bad: str, tmp_path: Path) -> None:
    """Ids come from answers: nothing is asked with one that leads elsewhere."""
    seen: list[str] = []
    async with an_api(answering(lambda *_: {}, seen)) as api:
        told = [
            await api.batch(bad),
            await api.cancel_batch(bad),
            await api.start_training(bad),
            await api.delete_file(bad),
            await api.download(bad, tmp_path / "x"),
        ]
    assert [fault(one).kind for one in told] == [FaultKind.REJECTED] * 5
    assert seen == []


async def test_a_redirect_is_not_followed() -> None:
    """The key goes nowhere else."""
    moved = http(302, headers=b"Location: http://127.0.0.1:9/\r\n")
    async with an_api(saying(moved)) as api:
        assert fault(await api.batch(BATCH_ID)).kind is FaultKind.ACCOUNT


# -- training ---------------------------------------------------------------------------------


def a_training(**changes: object) -> dict[str, Any]:
    """A body that creates a training."""
    wandb = {"type": "wandb", "project": "p", "api_key": WANDB_KEY}
    return {"model": "ministral-3b", "suffix": "op1", "integrations": [wandb], **changes}


async def test_trainings_are_found_by_suffix() -> None:
    """They have no metadata."""
    listed = [
        {"id": "t-1", "status": "RUNNING", "suffix": "op1"},
        {"id": "t-2", "status": "RUNNING", "suffix": "op1"},
        {"id": "t-3", "status": "RUNNING", "suffix": None},
    ]
    seen: list[str] = []
    async with an_api(answering(lambda *_: {"data": listed}, seen)) as api:
        found = await api.find_trainings("op1")
    assert isinstance(found, list)
    assert [job.id for job in found] == ["t-1", "t-2"]
    assert seen[0] == "GET /v1/fine_tuning/jobs?suffix=op1&page=0&page_size=100"


async def test_a_refused_training_does_not_tell_the_foreign_key() -> None:
    """A 422 may quote what it was sent."""
    said = {"detail": [{"loc": ["body"], "msg": f"{WANDB_KEY} of {KEY} is wrong", "type": "x"}]}
    async with an_api(saying(http(422, orjson.dumps(said)))) as api:
        told = fault(await api.create_training(a_training()))
    assert told.kind is FaultKind.REJECTED
    assert WANDB_KEY not in repr(told)
    assert KEY not in repr(told)
    assert "is wrong" in told.message


async def test_a_training_that_cannot_be_written_is_refused_here() -> None:
    """Nothing is sent."""
    async with an_api(saying()) as api:
        told = fault(await api.create_training(a_training(suffix="\ud800")))
    assert (told.kind, told.maybe_paid) == (FaultKind.REJECTED, False)


async def test_a_closed_model_is_named_as_such() -> None:
    """The caller names the local trainer."""
    said = b'{"detail": "Model not available for this type of fine-tuning. Available model(s): "}'
    async with an_api(saying(http(422, said), http(422, said))) as api:
        told = [
            fault(await api.create_training(a_training())),
            fault(await api.dry_run_training(a_training())),
        ]
    assert [one.code for one in told] == [NOT_TRAINABLE] * 2


# -- setting up -------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "key"), [("ftp://x", "k"), ("http://x", "two words")])
def test_an_unusable_setting_is_refused_at_once(url: str, key: str) -> None:
    """By the gateway's own rules."""
    with pytest.raises(SetupError):
        RemoteApi(url, SecretStr(key))


async def test_no_connection_leaves_no_doubt() -> None:
    """Nothing was sent."""
    async with RemoteApi("http://127.0.0.1:9", SecretStr(KEY)) as api:
        told = fault(await create(api))
    assert (told.kind, told.maybe_paid) == (FaultKind.TRANSIENT, False)
