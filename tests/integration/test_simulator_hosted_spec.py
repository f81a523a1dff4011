"""Files, batches and fine-tuning jobs of the simulator against the official OpenAPI files."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from jsonschema import Draft202012Validator

from simulator.hosted_rules import HostedRules
from simulator.hosting.batch_jobs import BatchStatus
from simulator.hosting.batch_routes import BatchBody
from simulator.hosting.tuning_bodies import TuningBody
from simulator.hosting.tuning_jobs import TuningStatus
from simulator.serving import serve
from simulator.settings import Config

EXCERPTS = Path(__file__).parents[1] / "openapi"
HOSTED = EXCERPTS / "mistral-2026-08-13-hosted-excerpt.yaml"
TUNING = EXCERPTS / "mistral-2026-07-06-tuning-excerpt.yaml"
BATCHES, TUNINGS = "/v1/batch/jobs", "/v1/fine_tuning/jobs"
MODEL = "mistral-small-latest"
SAID = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]


def schemas(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["components"]["schemas"])


SCHEMAS = {**schemas(TUNING), **schemas(HOSTED)}


def check(name: str, instance: object) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    Draft202012Validator(schema).validate(instance)
    return instance


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    config = Config(hosted=HostedRules(tuning_s=0.1))
    headers = {"Authorization": "Bearer any"}
    async with (
        serve(config) as serving,
        aiohttp.ClientSession(serving.url, headers=headers) as session,
    ):
        yield session


async def ask(
    session: aiohttp.ClientSession, method: str, path: str, name: str, **given: Any
) -> Any:
    """The answer's payload, which is a valid `name`."""
    async with session.request(method, path, **given) as answer:
        assert answer.status == 200, await answer.text()
        return check(name, await answer.json())


async def upload(session: aiohttp.ClientSession, purpose: str, row: dict[str, Any]) -> str:
    form = aiohttp.FormData()
    form.add_field("file", json.dumps(row).encode(), filename="rows.jsonl")
    form.add_field("purpose", purpose)
    file = await ask(session, "POST", "/v1/files", "CreateFileResponse", data=form)
    assert (file["purpose"], file["num_lines"]) == (purpose, 1)
    return str(file["id"])


async def settled(session: aiohttp.ClientSession, path: str, name: str, status: str) -> Any:
    """The job's payload once it is in `status`."""
    async with asyncio.timeout(60):
        while (found := await ask(session, "GET", path, name))["status"] != status:
            await asyncio.sleep(0.005)
    return found


async def test_files_are_as_specified(session):
    """Upload, list, card, link and deletion are valid."""
    file_id = await upload(session, "batch", {"custom_id": "1", "body": {"messages": SAID[:1]}})
    await ask(session, "GET", "/v1/files", "ListFilesResponse")
    await ask(session, "GET", f"/v1/files/{file_id}", "GetFileResponse")
    await ask(session, "GET", f"/v1/files/{file_id}/url", "GetSignedUrlResponse")
    await ask(session, "DELETE", f"/v1/files/{file_id}", "DeleteFileResponse")


async def test_batches_are_as_specified(session):
    """A job is valid when created, listed, running, finished and deleted; its files too."""
    file_id = await upload(session, "batch", {"custom_id": "1", "body": {"messages": SAID[:1]}})
    body = {"endpoint": "/v1/chat/completions", "model": MODEL, "input_files": [file_id]}
    check("CreateBatchJobRequest", {**body, "metadata": {"a": "b"}})
    job = await ask(session, "POST", BATCHES, "BatchJob", json={**body, "metadata": {"a": "b"}})
    path = f"{BATCHES}/{job['id']}"
    done = await settled(session, path, "BatchJob", "SUCCESS")
    assert (done["metadata"], done["completed_requests"]) == ({"a": "b"}, 1)
    output = await ask(session, "GET", f"/v1/files/{done['output_file']}", "GetFileResponse")
    assert (output["sample_type"], output["source"]) == ("batch_result", "mistral")
    await ask(session, "GET", BATCHES, "ListBatchJobsResponse")
    await ask(session, "DELETE", path, "DeleteBatchJobResponse")


async def a_tuning(session: aiohttp.ClientSession, **changes: Any) -> dict[str, Any]:
    """The body of a request for a fine-tuning job."""
    file_id = await upload(session, "fine-tune", {"messages": SAID})
    body = {
        "model": "open-mistral-7b",
        "training_files": [{"file_id": file_id, "weight": 1}],
        "hyperparameters": {"training_steps": 10, "learning_rate": 1e-4},
        "integrations": [{"type": "wandb", "project": "p", "api_key": "k" * 40}],
        **changes,
    }
    return dict(check("CreateFineTuningJobRequest", body))


async def test_a_tuning_is_as_specified_from_dry_run_to_model(session):
    """From dry run to checkpoints and success all is valid, and the model answers."""
    body = await a_tuning(session, auto_start=False, suffix="op-1", metadata={"op": "1"})
    dry = await ask(session, "POST", f"{TUNINGS}?dry_run=true", "LegacyJobMetadata", json=body)
    assert dry["training_steps"] == 10
    job = await ask(session, "POST", TUNINGS, "CompletionFineTuningJob", json=body)
    assert job["metadata"]["op"] == "1"
    path, details = f"{TUNINGS}/{job['id']}", "CompletionFineTuningJobDetails"
    await settled(session, path, details, "VALIDATED")
    await ask(session, "POST", f"{path}/start", details)
    done = await settled(session, path, details, "SUCCESS")
    assert len(done["checkpoints"]) == 10
    question = {"model": done["fine_tuned_model"], "messages": SAID[:1]}
    async with session.post("/v1/chat/completions", json=question) as answer:
        assert answer.status == 200
    for wanted, total in (("op-1", 1), ("op-2", 0)):
        query = {"suffix": wanted, "status": "SUCCESS"}
        listed = await ask(session, "GET", TUNINGS, "ListFineTuningJobsResponse", params=query)
        assert listed["total"] == total


async def test_a_tuning_is_cancelled(session):
    """A job that waits for its start is cancelled, and that is final."""
    body = await a_tuning(session, auto_start=False)
    job = await ask(session, "POST", TUNINGS, "CompletionFineTuningJob", json=body)
    path, details = f"{TUNINGS}/{job['id']}", "CompletionFineTuningJobDetails"
    cancelled = await ask(session, "POST", f"{path}/cancel", details)
    assert cancelled["status"] == "CANCELLATION_REQUESTED"
    await settled(session, path, details, "CANCELLED")
    for again in ("start", "cancel"):
        async with session.post(f"{path}/{again}") as answer:
            assert (answer.status, list(await answer.json())) == (400, ["detail"])


async def test_a_duplicate_or_a_closed_door_is_refused(session):
    """The same job twice is 409; told so, no model can be tuned, and 422 says it."""
    body = await a_tuning(session)
    await ask(session, "POST", TUNINGS, "CompletionFineTuningJob", json=body)
    async with session.post(TUNINGS, json=body) as answer:
        assert answer.status == 409
    async with session.post("/_batch", json={"tuning_closed": True}) as answer:
        assert answer.status == 200
    async with session.post(TUNINGS, json=body) as answer:
        assert answer.status == 422
        detail = (await answer.json())["detail"]
    assert detail.startswith("Model not available for this type of fine-tuning")
    assert detail.endswith("Available model(s): ")


async def test_batches_leave_room_for_real_time():
    """A batch runs as fast as it can, and yet no turn of the loop executes much of it: calls in
    real time have their turns in between. Counted in rows: a busy machine does fewer in a turn."""
    count = 10_000
    row = {"custom_id": "1", "body": {"messages": SAID[:1]}}
    body = {"endpoint": "/v1/chat/completions", "model": MODEL, "requests": [row] * count}
    headers = {"Authorization": "Bearer any"}
    async with (
        serve(Config()) as serving,
        aiohttp.ClientSession(serving.url, headers=headers) as session,
        asyncio.timeout(100),
    ):
        counted = serving.simulation.stats.hosted
        started = asyncio.create_task(ask(session, "POST", BATCHES, "BatchJob", json=body))
        executed = [0]
        while executed[-1] < count:
            await asyncio.sleep(0)
            executed.append(counted.batch_executed)
        await started
    assert max(after - before for before, after in pairwise(executed)) < count / 4


@pytest.mark.parametrize(
    ("schema", "body_type", "ours"),
    [
        ("CreateBatchJobRequest", BatchBody, set()),
        ("CreateFineTuningJobRequest", TuningBody, {"metadata"}),
    ],
)
def test_the_fields_taken_are_those_specified(schema, body_type, ours):
    """Bodies have the fields of the specification and, named here, what we add."""
    assert set(body_type.model_fields) - ours == set(SCHEMAS[schema]["properties"])


def test_the_words_are_those_specified():
    """Both machines know all states of the specification and no other."""
    assert set(SCHEMAS["BatchJobStatus"]["enum"]) == set(BatchStatus)
    status = SCHEMAS["CompletionFineTuningJob"]["properties"]["status"]
    assert set(status["enum"]) == set(TuningStatus)
