"""The door for pipelines: load, start, find, look."""

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from models.budgets import parse_budget
from models.errors import BadInputError, NotFoundError
from models.payloads import Estimate, JobSpec
from models.pipelines.rendering import sources_of
from models.pipelines.schema import Pipeline, Prepared, RunSpec
from models.prices import PriceTable, load_prices
from models.recipes.fields import names_read
from models.states import STAGE_GOOD, JobKind, JobState
from models.store import endpoints, retries, stages, stages_seen
from models.store.engine import one_at_a_time
from models.store.stages_seen import StageSeen
from models.tables import Job
from models.words import money
from producers import spending, trainers
from producers.client import Maestrale
from producers.pipelines import beforehand
from producers.pipelines.hand import content_of, limit_of, told_of
from producers.pipelines.reading import check_files
from producers.pipelines.trainers_wanted import wants_trainer
from producers.webhooks import Hook, bind

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
PRIORITY = 5
"""Of a run that asks for none."""
TOLD_AT_THE_END = ("job.succeeded", "job.failed", "job.cancelled", "job.paused")
"""What an endpoint of a run hears: one message at its end, and that it stands still."""
_PLACES: dict[str, Any] = {
    **dict.fromkeys(("folder", "file", "input", "is_input_given", "given"), True),
    "stages": {"__all__": {"suite_data", "suite_file"}},
}
"""What a snapshot says of where its files lie, and of who said what: no other run for that."""


class Runs:
    """Runs of pipelines through a client."""

    def __init__(self, maestrale: Maestrale) -> None:
        self._maestrale = maestrale

    def start(
        self,
        told: RunSpec,
        *,
        priority: int = PRIORITY,
        budget: str | None = None,
        webhooks: Sequence[Hook] = (),
    ) -> tuple[Job, bool]:
        """Commits the run with its stages; a conductor takes it up. Answers it and whether it is
        new: the same pipeline on the same rows that is under way is answered as it stands.

        Raises `BadInputError` if that has another budget, priority or fewer webhooks than is asked,
        and where a stage would wait without end for a trainer.
        """
        beforehand.check(told, None if budget is None else self._prices)
        check_files(told, self._maestrale.settings.home / "staging")
        found = fingerprint(told)
        run = self._run(told, found, priority, budget)
        if told.again or not self._is_under_way(found):
            self._check_trainer(told)
        with self._maestrale.store.write() as connection:
            one_at_a_time(connection, found)
            known = stages_seen.same_under_way(connection, found)
            if known is not None and not told.again:
                _check_asked(connection, known, run, webhooks)
                return known, False
            planned = [
                one.model_dump(include={"name", "kind", "needs"}) for one in told.pipeline.stages
            ]
            stages.create(connection, run, planned)
            for hook in webhooks:
                bind(connection, hook, run.id, TOLD_AT_THE_END)
        return self._maestrale.get(run.id), True

    def go_on(self, told: RunSpec, *, budget: str | None = None) -> Job:
        """The newest run of the pipeline of this name, gone on with from where it failed or stands.

        Raises `NotFoundError` if there is none, `BadInputError` if it is done, or was begun with
        another input, variable, limit or way than is given here.
        """
        name = told.pipeline.name
        with self._maestrale.store.read() as connection:
            newest = stages_seen.newest_run(connection, name)
        if newest is not None:
            self.check_trainer(newest)
        with self._maestrale.store.write() as connection:
            run = stages_seen.newest_run(connection, name)
            if run is None:
                raise NotFoundError(f"{name} was never run: leave --resume out")
            if run.state == JobState.SUCCEEDED:
                raise BadInputError(f"{run.id} is done: leave --resume out to run {name} again")
            _check_same(run, told)
            if budget is not None:
                self._give(connection, run, budget)
        if run.state == JobState.PAUSED:
            return self._maestrale.resume(run.id, budget=budget)
        if run.state == JobState.FAILED:
            with self._maestrale.store.write() as connection:  # it takes other locks
                retries.retry(connection, run.id)
        return self._maestrale.get(run.id)

    def stages(self, run_id: str) -> list[StageSeen]:
        """The stages of a run in the order of the file, as they stand."""
        with self._maestrale.store.read() as connection:
            return stages_seen.seen(connection, run_id)

    def check_trainer(self, run: Job) -> None:
        """Raises `BadInputError` for a run that failed or stands and would only go on to wait
        without end for a trainer."""
        if run.state in (JobState.FAILED, JobState.PAUSED):
            self._check_trainer(told_of(run), self.stages(run.id))

    def what_lacks(self, run: Job) -> str:
        """Why a stage that trains will wait, with what to do; empty: it will not."""
        lack = trainers.missing(self._maestrale)
        seen = self.stages(run.id) if lack else []
        return lack if lack and wants_trainer(self._maestrale, told_of(run), seen) else ""

    def check_budget(self, run: Job) -> None:
        """Raises `BadInputError` for what is left to do and could not be done under a budget."""
        with self._maestrale.store.read() as connection:
            self._check_left(connection, run)

    def _check_left(self, connection: Connection, run: Job) -> None:
        beforehand.check(told_of(run), self._prices, done=_done(connection, run))

    def _is_under_way(self, found: str) -> bool:
        with self._maestrale.store.read() as connection:
            return stages_seen.same_under_way(connection, found) is not None

    def _check_trainer(self, told: RunSpec, seen: Sequence[StageSeen] = ()) -> None:
        try:
            trainers.check(self._maestrale)
        except BadInputError:
            if wants_trainer(self._maestrale, told, seen):
                raise

    @property
    def _prices(self) -> PriceTable:
        return load_prices(self._maestrale.settings.prices_file)

    def _give(self, connection: Connection, run: Job, budget: str) -> None:
        """Another budget, under which what is left to do has prices, and something may start."""
        self._check_left(connection, run)
        if run.state != JobState.PAUSED:
            nano = spending.checked_again(connection, run, budget, self._prices)
            stages.set_budget(connection, run.id, nano)

    def _nano(self, budget: str | None) -> int | None:
        return None if budget is None else parse_budget(budget, self._prices)

    def _run(self, told: RunSpec, found: str, priority: int, budget: str | None) -> Job:
        count = len(told.pipeline.stages)
        return Job(
            id="job_" + "".join(secrets.choice(_ALPHABET) for _ in range(8)),
            kind=JobKind.PIPELINE,
            name=told.pipeline.name,
            priority=priority,
            spec=JobSpec(pipeline=told.model_dump(mode="json")).model_dump_json(),
            estimate=_no_estimate(count),
            fingerprint=found,
            input_name=Path(told.pipeline.input or "").name,
            budget_nano=self._nano(budget),
            max_failed_share=0.0,
            rows_total=count,
            shards_total=count,
            created_at=0.0,
        )


def fingerprint(told: RunSpec) -> str:
    """The same pipeline on the same rows, wherever they lie, gives the same 64 hex characters."""
    data = told.model_dump(mode="json", exclude={"again": True, "pipeline": _PLACES})
    pipeline = told.pipeline
    rows = [_content(at) for at in (pipeline.input, *(one.suite_data for one in pipeline.stages))]
    prompts = [list(one.suite.get("prompts", {})) for one in pipeline.stages]  # first: the default
    told_all = orjson.dumps(["pipeline", data, rows, prompts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told_all).hexdigest()


def _done(connection: Connection, run: Job) -> list[str]:
    found = stages_seen.of_run(connection, run.id)
    return [stage.name for stage in found if stage.state in STAGE_GOOD]


def _content(place: str | None) -> str | None:
    return content_of(place) if place and Path(place).is_file() else place


def check_input(pipeline: Pipeline) -> None:
    """Raises `BadInputError` for a pipeline whose input is read and is no file."""
    if not any(_reads_input(stage) for stage in pipeline.stages):
        return
    if not (pipeline.input and Path(pipeline.input).is_file()):
        named = f"{pipeline.input} is no file" if pipeline.input else "it has no input of its own"
        raise BadInputError(f"the pipeline {pipeline.name}: {named}; give one by --input FILE")


def check_limit(told: RunSpec) -> None:
    """Raises `BadInputError` for a limit that does not hold for all that read the input."""
    if told.limit is None:
        return
    stages, name = told.pipeline.stages, told.pipeline.name
    taken = [one for one in stages if limit_of(told, one)]
    for one in stages:
        if one not in taken and _reads_input(one) and "limit" not in one.asked:
            raise BadInputError(
                f"the pipeline {name}: the stage {one.name} ({one.kind}) takes the whole input: "
                "leave --limit out, and give a file of fewer rows by --input"
            )
    if not taken:
        raise BadInputError(f"the pipeline {name}: no stage takes a --limit: leave it out")


def _check_asked(connection: Connection, known: Job, asked: Job, webhooks: Sequence[Hook]) -> None:
    """Raises `BadInputError` for what the run under way was not given, and how it is given that."""
    told = f"the same run is under way as {known.id}"
    if asked.budget_nano not in (None, known.budget_nano):
        has = "without a budget"
        if known.budget_nano is not None:
            has = f"with a budget of {money(known.budget_nano)}"
        raise BadInputError(
            f"{told} {has}: leave --budget out to go on with it as it is, or change its budget by "
            "--resume --budget"
        )
    if asked.priority not in (PRIORITY, known.priority):
        raise BadInputError(
            f"{told} with the priority {known.priority}: leave --priority out, and change it by "
            f"`maestrale priority {known.id} {asked.priority}`"
        )
    if deaf := [hook.url for hook in webhooks if not _hears(connection, hook.url, known.id)]:
        raise BadInputError(
            f"{told}, and {deaf[0]} does not hear of it: leave --webhook out; `maestrale webhooks "
            f"add {deaf[0]}` has it hear of all jobs"
        )


def _hears(connection: Connection, url: str, run_id: str) -> bool:
    """Whether an endpoint was made for the URL when the run was begun, or hears all."""
    if endpoints.hears_all(connection, url):
        return True
    return endpoints.same(connection, url=url, patterns=TOLD_AT_THE_END, job_id=run_id) is not None


def _check_same(run: Job, told: RunSpec) -> None:
    """Raises `BadInputError` for an option that the run was not begun with."""
    begun = told_of(run)
    was, now = begun.pipeline, told.pipeline
    given = {
        "--input": now.is_input_given and now.input != was.input,
        "--set": any(was.variables.get(name) != value for name, value in now.given.items()),
        "--limit": told.limit not in (None, begun.limit),
        "--via": told.via not in (None, begun.via),
    }
    if other := [option for option, is_other in given.items() if is_other]:
        raise BadInputError(
            f"{run.id} was begun with another {other[0]}: leave it out to go on with that run, or "
            "leave --resume out to begin another"
        )


def _reads_input(stage: Prepared) -> bool:
    texts = (text for _, text in sources_of(stage.kind, stage.asked))
    return any("input" in names_read(text) for text in texts)


def _no_estimate(count: int) -> str:
    """What the stages will take is told by `--plan`, as far as it is known."""
    return Estimate(
        rows=count,
        calls=0,
        prompt_tokens=0,
        completion_tokens=0,
        cost_usd=None,
        seconds=None,
    ).model_dump_json()
