"""The client of files, batches and trainings against the simulator: whole lives of remote work."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

import simulator
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import NOT_TRAINABLE, RemoteApi, RemoteFile, RemoteJob
from worker.remote.statuses import OVER, Standing, standing_of

MODEL = "mistral-small-latest"
TUNABLE = "ministral-3b-latest"
METADATA = {"maestrale_operation": "op_1"}


@pytest.fixture
def spawned() -> Iterator[simulator.Spawned]:
    """A simulator of the test's own: it remembers files and jobs."""
    with simulator.spawn() as running:
        yield running


@pytest.fixture
async def api(spawned: simulator.Spawned) -> AsyncIterator[RemoteApi]:
    """Its client."""
    async with RemoteApi(spawned.url, SecretStr("a-key")) as opened:
        yield opened


def lines_of(count: int) -> bytes:
    """A batch's input."""
    bodies = ({"messages": [{"role": "user", "content": f"miR-{n}?"}]} for n in range(count))
    lines = ({"custom_id": f"k{n}", "body": body} for n, body in enumerate(bodies))
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def rows_of(count: int) -> bytes:
    """A training's rows."""
    asked, said = {"role": "user", "content": "good?"}, {"role": "assistant", "content": "yes"}
    return (orjson.dumps({"messages": [asked, said]}) + b"\n") * count


async def uploaded(api: RemoteApi, folder: Path, content: bytes, purpose: Any) -> str:
    """The id of an uploaded file."""
    path = folder / "input.jsonl"
    path.write_bytes(content)
    file = await api.upload(path, "op_1.jsonl", purpose)
    assert isinstance(file, RemoteFile), file
    assert file.bytes == len(content)
    return file.id


async def create(api: RemoteApi, file_id: str) -> RemoteJob | Fault:
    """A batch over this file."""
    return await api.create_batch(
        input_file=file_id,
        endpoint="/v1/chat/completions",
        model=MODEL,
        metadata=METADATA,
        timeout_hours=24,
    )


async def ended(ask: Any, job_id: str, *, at: frozenset[Standing] = OVER) -> RemoteJob:
    """The job once it stands so."""
    for _ in range(500):
        job = await ask(job_id)
        assert isinstance(job, RemoteJob), job
        if standing_of(job.status) in at:
            return job
        await asyncio.sleep(0.02)  # another process's clock
    raise AssertionError(f"it does not end: {job}")


def a_training(file_id: str) -> dict[str, Any]:
    """A body that creates a training."""
    return {
        "model": TUNABLE,
        "training_files": [{"file_id": file_id, "weight": 1}],
        "hyperparameters": {"training_steps": 10, "learning_rate": 1e-4},
        "suffix": "op1",
        "auto_start": False,
    }


async def test_a_batch_from_file_to_answers(api: RemoteApi, tmp_path: Path) -> None:
    """Up, started, over, down, and both files deleted."""
    file_id = await uploaded(api, tmp_path, lines_of(20), "batch")
    created = await create(api, file_id)
    assert isinstance(created, RemoteJob)
    assert (created.metadata, created.answer["input_files"]) == (METADATA, [file_id])
    job = await ended(api.batch, created.id)
    assert standing_of(job.status) is Standing.SUCCEEDED
    assert (job.succeeded, job.answer["failed_requests"]) == (20, 0)
    out = tmp_path / "out.jsonl"
    assert job.output_file
    assert await api.download(job.output_file, out) == out.stat().st_size
    keys = [orjson.loads(line)["custom_id"] for line in out.read_bytes().splitlines()]
    assert Counter(keys) == Counter(f"k{n}" for n in range(20))
    assert [await api.delete_file(each) for each in (file_id, file_id)] == [True, False]
    assert await api.find_files("op_1.jsonl") == []


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_batch_whose_creation_was_cut_is_found_again(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path, ignored: bool
) -> None:
    """By its metadata, whether or not the server filters by them: it is not started twice."""
    spawned.steer("batch", drop_creates=1, ignore_metadata=ignored)
    file_id = await uploaded(api, tmp_path, lines_of(2), "batch")
    told = await create(api, file_id)
    assert isinstance(told, Fault)
    assert told.maybe_paid
    found = await api.find_batches(METADATA, 0.0)
    assert isinstance(found, list)
    assert [job.answer["input_files"] for job in found] == [[file_id]]
    assert await api.find_batches({"maestrale_operation": "op_2"}) == []
    assert spawned.stats()["batch_jobs_created"] == 1


async def test_a_download_that_breaks_off_is_repeated(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """And until it is whole there is no file."""
    file_id = await uploaded(api, tmp_path, lines_of(50), "batch")
    spawned.steer("batch", break_downloads=1)
    out = tmp_path / "back.jsonl"
    assert isinstance(await api.download(file_id, out), Fault)
    assert [path.name for path in tmp_path.iterdir()] == ["input.jsonl"]
    assert await api.download(file_id, out) == len(lines_of(50))
    assert out.read_bytes() == lines_of(50)


async def test_a_word_that_nobody_knows_is_asked_about_again(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """It hides for two looks what is a success."""
    spawned.steer("batch", unknown_looks=2)
    created = await create(api, await uploaded(api, tmp_path, lines_of(2), "batch"))
    assert isinstance(created, RemoteJob)
    first = await api.batch(created.id)
    assert isinstance(first, RemoteJob)
    assert standing_of(first.status) is Standing.UNKNOWN
    assert standing_of((await ended(api.batch, created.id)).status) is Standing.SUCCEEDED


async def test_a_failed_batch_says_why(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """In words that can be shown."""
    spawned.steer("batch", fail_jobs=1)
    created = await create(api, await uploaded(api, tmp_path, lines_of(2), "batch"))
    assert isinstance(created, RemoteJob)
    job = await ended(api.batch, created.id)
    assert standing_of(job.status) is Standing.FAILED
    assert job.errors


async def test_a_cancelled_batch_ends(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """Told to stop in its queue."""
    spawned.steer("batch", queued_s=60.0)
    created = await create(api, await uploaded(api, tmp_path, lines_of(2), "batch"))
    assert isinstance(created, RemoteJob)
    assert isinstance(await api.cancel_batch(created.id), RemoteJob)
    assert standing_of((await ended(api.batch, created.id)).status) is Standing.CANCELLED


async def test_what_is_not_there_is_a_lasting_refusal(api: RemoteApi, tmp_path: Path) -> None:
    """A batch, a training, a file: 404 each, and none about the key or the model."""
    gone = "00000000-0000-4000-8000-000000000000"
    told = [
        await api.batch(gone),
        await api.cancel_batch(gone),
        await api.training(gone),
        await api.start_training(gone),
        await api.download(gone, tmp_path / "x"),
    ]
    faults = [one for one in told if isinstance(one, Fault)]
    assert [(one.kind, one.status) for one in faults] == [(FaultKind.REJECTED, 404)] * 5


async def test_a_training_from_rows_to_a_model(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """Priced, created, validated, started, over; a twin is refused, and it is found again."""
    spawned.steer("batch", tuning_s=0.2)
    file_id = await uploaded(api, tmp_path, rows_of(30), "fine-tune")
    body = a_training(file_id)
    priced = await api.dry_run_training(body)
    assert isinstance(priced, dict)
    assert await api.find_trainings("op1") == []
    created = await api.create_training(body)
    assert isinstance(created, RemoteJob), created
    twin = await api.create_training(body)
    assert isinstance(twin, Fault)
    assert (twin.status, twin.maybe_paid) == (409, True)
    found = await api.find_trainings("op1", created_after=0.0)
    assert isinstance(found, list)
    assert [job.id for job in found] == [created.id]
    await ended(api.training, created.id, at=frozenset({Standing.READY}))
    assert isinstance(await api.start_training(created.id), RemoteJob)
    job = await ended(api.training, created.id)
    assert standing_of(job.status) is Standing.SUCCEEDED
    assert job.fine_tuned_model
    assert all("train_loss" in point["metrics"] for point in job.checkpoints)
    assert job.checkpoints


async def test_a_training_is_cancelled(api: RemoteApi, tmp_path: Path) -> None:
    """Before it was started."""
    file_id = await uploaded(api, tmp_path, rows_of(30), "fine-tune")
    created = await api.create_training(a_training(file_id))
    assert isinstance(created, RemoteJob)
    assert isinstance(await api.cancel_training(created.id), RemoteJob)
    job = await ended(api.training, created.id)
    assert standing_of(job.status) is Standing.CANCELLED


async def test_a_closed_account_is_told_at_once(
    spawned: simulator.Spawned, api: RemoteApi, tmp_path: Path
) -> None:
    """In the provider's words, and for good."""
    spawned.steer("batch", tuning_closed=True)
    file_id = await uploaded(api, tmp_path, rows_of(30), "fine-tune")
    told = await api.create_training(a_training(file_id))
    assert isinstance(told, Fault)
    assert (told.kind, told.code, told.maybe_paid) == (FaultKind.REJECTED, NOT_TRAINABLE, False)
    assert "Available model(s):" in told.message
