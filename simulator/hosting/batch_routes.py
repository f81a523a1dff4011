"""The routes of batch jobs."""

import time
from typing import Annotated, Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.endpoints import ENDPOINTS
from simulator.hosted_rules import Steering
from simulator.hosting.batch_jobs import BatchJob, BatchStatus
from simulator.hosting.batches import Batches
from simulator.hosting.files import Files, StoredFile
from simulator.hosting.listing import flag_of, holds, metadata_of, moment_of, page_of, words_of
from simulator.inference import Simulation, answer, reset, response
from simulator.replies import Reply, detailed, misread

Name = Annotated[str, Field(min_length=1, max_length=32)]
Word = Annotated[str, Field(min_length=1, max_length=512)]
_ENDPOINTS = {it.path: it for it in ENDPOINTS}
_MISSING = detailed(404, "Job not found")


class BatchRequest(BaseModel):
    """One inline request."""

    model_config = ConfigDict(extra="forbid")
    body: dict[str, Any]
    custom_id: str | None = None


class BatchBody(BaseModel):
    """`CreateBatchJobRequest` of the specification, with the endpoints the simulator has."""

    model_config = ConfigDict(extra="forbid")
    endpoint: Literal["/v1/chat/completions", "/v1/embeddings"]
    input_files: list[str] | None = None
    requests: list[BatchRequest] | None = Field(None, max_length=10_000)
    model: str | None = None
    agent_id: None = None
    metadata: dict[Name, Word] | None = None
    timeout_hours: int = Field(24, ge=1, le=168)


class BatchRoutes:
    """`/v1/batch/jobs` and what is below it."""

    def __init__(
        self, simulation: Simulation, files: Files, batches: Batches, steering: Steering
    ) -> None:
        self._simulation = simulation
        self._files = files
        self._batches = batches
        self._steering = steering

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/v1/batch/jobs", self._create),
            web.get("/v1/batch/jobs", self._list),
            web.get("/v1/batch/jobs/{job}", self._one),
            web.delete("/v1/batch/jobs/{job}", self._delete),
            web.post("/v1/batch/jobs/{job}/cancel", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        try:
            body = BatchBody.model_validate(orjson.loads(await request.read()))
        except (orjson.JSONDecodeError, ValidationError) as problem:
            return response(misread(problem))
        inputs = self._inputs(body)
        if isinstance(inputs, Reply):
            return response(inputs)
        job = self._batches.create(_job(body, inputs), inputs)
        if self._steering.take("drop_creates"):
            return reset(request)
        return answer(job.card())

    def _inputs(self, body: BatchBody) -> list[StoredFile] | Reply:
        if bool(body.input_files) == bool(body.requests):
            return detailed(422, "a batch has either input_files or requests")
        if body.model is not None and body.model not in self._simulation.models:
            return detailed(400, f"Invalid model: {body.model}")
        if body.requests:
            return [self._inline(body.requests)]
        files = [self._files.find(file_id) for file_id in body.input_files or ()]
        found = [file for file in files if file is not None]
        if len(found) < len(files):
            return detailed(404, "An input file was not found")
        wrong = [file.id for file in found if file.purpose != "batch"]
        return detailed(400, f"These files are not for batches: {wrong}") if wrong else found

    def _inline(self, requests: list[BatchRequest]) -> StoredFile:
        file = self._files.begin("inline.jsonl", "batch", "batch_request", time.time())
        for request in requests:
            file.write(orjson.dumps(request.model_dump()) + b"\n")
        return file

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._simulation.stats.hosted.batch_lists += 1
        query = request.query
        rules = self._steering.rules
        wanted = {} if rules.ignore_metadata else metadata_of(query)
        after = moment_of(query, "created_after") or 0.0
        latest = time.time() - rules.listing_lag_s
        found = [
            job.card()
            for job in self._batches.oldest_first()
            if holds(job.metadata, wanted)
            and after <= job.created <= latest
            and query.get("model") in (None, job.model)
            and job.status in (words_of(query, "status") or {job.status})
        ]
        if query.get("order_by", "-created") == "-created":
            found.reverse()
        return answer({"object": "list", "data": page_of(query).of(found), "total": len(found)})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        self._simulation.stats.hosted.batch_looks += 1
        if job is None:
            return response(_MISSING)
        job.looks += 1
        card = job.card(self._steering.hidden_status(job.looks))
        if flag_of(request.query, "inline"):
            card["outputs"] = self._outputs(job)
        return answer(card)

    def _outputs(self, job: BatchJob) -> list[Any] | None:
        file = self._files.find(job.output_file) if job.output_file else None
        return None if file is None else [orjson.loads(line) for line in file.lines()]

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job is None:
            return response(_MISSING)
        if not job.is_final:
            return response(detailed(400, "The job is not finished: cancel it first"))
        self._batches.remove(job)
        return answer({"id": job.id, "object": "batch", "deleted": True})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job is None:
            return response(_MISSING)
        if job.is_final:
            return response(detailed(400, f"The job is already finished: {job.status}"))
        if job.status is not BatchStatus.CANCELLATION_REQUESTED:
            job.move(BatchStatus.CANCELLATION_REQUESTED, time.time())
        return answer(job.card())

    def _found(self, request: web.Request) -> BatchJob | None:
        return self._batches.find(request.match_info["job"])


def _job(body: BatchBody, inputs: list[StoredFile]) -> BatchJob:
    return BatchJob(
        endpoint=_ENDPOINTS[body.endpoint],
        model=body.model,
        input_files=body.input_files or [],
        metadata=body.metadata,
        timeout_hours=body.timeout_hours,
        created=time.time(),
        total=sum(file.num_lines for file in inputs),
    )
