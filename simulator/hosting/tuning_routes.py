"""The routes of the old fine-tuning API: out of the public specification since July 2026."""

import time

import orjson
from aiohttp import web
from pydantic import ValidationError

from simulator.hosted_rules import Steering
from simulator.hosting.files import Files, StoredFile
from simulator.hosting.listing import flag_of, holds, metadata_of, moment_of, page_of, words_of
from simulator.hosting.tuning_bodies import TUNABLE, TuningBody, dry_run
from simulator.hosting.tuning_jobs import TuningJob, TuningStatus
from simulator.hosting.tunings import Tunings
from simulator.inference import Simulation, answer, reset, response
from simulator.replies import Reply, detailed, misread

_MISSING = detailed(404, "Job not found")


class TuningRoutes:
    """`/v1/fine_tuning/jobs` and what is below it."""

    def __init__(
        self, simulation: Simulation, files: Files, tunings: Tunings, steering: Steering
    ) -> None:
        self._simulation = simulation
        self._files = files
        self._tunings = tunings
        self._steering = steering

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/v1/fine_tuning/jobs", self._create),
            web.get("/v1/fine_tuning/jobs", self._list),
            web.get("/v1/fine_tuning/jobs/{job}", self._one),
            web.post("/v1/fine_tuning/jobs/{job}/start", self._start),
            web.post("/v1/fine_tuning/jobs/{job}/cancel", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        try:
            body = TuningBody.model_validate(orjson.loads(await request.read()))
        except (orjson.JSONDecodeError, ValidationError) as problem:
            return response(misread(problem))
        files = self._files_of(body)
        if isinstance(files, Reply):
            return response(files)
        now = time.time()
        if flag_of(request.query, "dry_run"):
            return answer(dry_run(body, files, now))
        if self._tunings.twin(body):
            return response(detailed(409, "A job with the same files and parameters exists"))
        job = self._tunings.create(body, files, now)
        return reset(request) if self._steering.take("drop_creates") else answer(job.card())

    def _files_of(self, body: TuningBody) -> list[StoredFile] | Reply:
        """The files to learn from, or what the request is refused with."""
        open_models = () if self._steering.rules.tuning_closed else TUNABLE
        if body.model not in open_models:
            return _unavailable(open_models)
        files = [self._files.find(file_id) for file_id in body.file_ids()]
        found = [file for file in files if file is not None]
        if not body.training_files or len(found) < len(files):
            return detailed(404, "A training or validation file was not found")
        return found[: len(body.training_files)]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._simulation.stats.hosted.tuning_lists += 1
        found = [job.card() for job in self._tunings.newest_first() if self._matches(request, job)]
        page = page_of(request.query)
        return answer({"object": "list", "data": page.of(found), "total": len(found)})

    def _matches(self, request: web.Request, job: TuningJob) -> bool:
        query = request.query
        rules = self._steering.rules
        before = moment_of(query, "created_before")
        listed = time.time() - rules.listing_lag_s
        latest = listed if before is None else min(before, listed)
        wanted = {} if rules.ignore_metadata else metadata_of(query)
        return (
            (moment_of(query, "created_after") or 0.0) <= job.created <= latest
            and query.get("model") in (None, job.model)
            and query.get("suffix") in (None, job.asked["suffix"])
            and job.status in (words_of(query, "status") or {job.status})
            and holds(job.figures, wanted)
        )

    async def _one(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        self._simulation.stats.hosted.tuning_looks += 1
        if job is None:
            return response(_MISSING)
        job.looks += 1
        return answer(job.details(self._steering.hidden_status(job.looks)))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job is None:
            return response(_MISSING)
        if job.status is not TuningStatus.VALIDATED:
            return response(detailed(400, f"Only a validated job can start; it is {job.status}"))
        job.move(TuningStatus.STARTED, time.time())
        return answer(job.details())

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._found(request)
        if job is None:
            return response(_MISSING)
        if job.is_final:
            return response(detailed(400, f"The job is already finished: {job.status}"))
        if job.status is not TuningStatus.CANCELLATION_REQUESTED:
            job.move(TuningStatus.CANCELLATION_REQUESTED, time.time())
        return answer(job.details())

    def _found(self, request: web.Request) -> TuningJob | None:
        return self._tunings.find(request.match_info["job"])


def _unavailable(models: tuple[str, ...]) -> Reply:
    names = ", ".join(models)
    text = "Model not available for this type of fine-tuning (completion)."
    return detailed(422, f"{text} Available model(s): {names}")
