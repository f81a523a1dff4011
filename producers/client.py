"""The one door for producers: plan, submit, get, watch, results, and control of jobs."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from models.errors import BadInputError, NotFoundError, SetupError
from models.limits import Limit
from models.payloads import Options
from models.prices import load_prices
from models.recipes import Recipe, load_recipe
from models.settings import Settings
from models.states import SETTLED, JobState
from models.store import fleet, jobs, retries, rows, schema, sqlite_file
from models.store.engine import Store, open_store
from models.store.money import By, Cost, costs
from models.store.views import operations_seen
from models.tables import Job, WorkerSeen
from producers import estimate, exports, fitting, registry, routing, spending, submitting
from producers.eventlog import EventLog
from producers.keeping import Pruned, Pruner
from producers.planning import Checked, Plan
from producers.readers import KEEP_ONE, OnDuplicate, ReadOptions, read
from producers.spending import Amount
from producers.webhooks import Hook, Webhooks

PLANNED = {"model", "variables", "limit", "on_duplicate", "max_rejected_share", "via", "by"}
"""What `plan` takes; all else goes to `submit`."""
PATIENCE_S = 3.0
"""How long a dead broker may hold a producer; the job is committed by then."""


class Maestrale:
    """The client. `with Maestrale() as m: job = m.generate("papers.jsonl", recipe="amira")`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._store: Store | None = None

    def __enter__(self) -> "Maestrale":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def store(self) -> Store:
        """The database, opened (and if it is the embedded one, migrated) on first use."""
        if self._store is None:
            self._store = open_store(self.settings)
            if self._store.is_sqlite:
                schema.migrate(self._store)
        return self._store

    def migrate(self) -> str:
        """Brings the database to the newest schema; answers its revision."""
        return schema.migrate(self.store)

    @property
    def webhooks(self) -> Webhooks:
        """Endpoints, their secrets, deliveries and replay."""
        return Webhooks(self.settings, lambda: self.store, self.workers)

    @property
    def events(self) -> EventLog:
        """What happened to jobs, and what happens."""
        return EventLog(lambda: self.store)

    # -- submitting ----------------------------------------------------------------------------

    def plan(
        self,
        source: str | Path,
        recipe: str | Path | Recipe,
        *,
        model: str | None = None,
        variables: dict[str, Any] | None = None,
        limit: int | None = None,
        on_duplicate: OnDuplicate = "stop",
        max_rejected_share: float = 0.05,
        via: routing.ViaWish = "realtime",
        by: timedelta | None = None,
    ) -> Plan:
        """Reads the whole file and estimates; enqueues and pays nothing.

        `via`: at once, by batches at half the price, or `auto`; `by` says when it has to be done.
        Raises `BadInputError` (or a child of it) when recipe, file or deadline cannot be used.
        """
        asked = recipe if isinstance(recipe, Recipe) else load_recipe(str(recipe))
        asked = asked.with_model(model) if model else asked
        asked = asked.with_names(lambda name: registry.called(name, self.store))
        asked = asked.with_variables(variables) if variables else asked
        options = ReadOptions(
            id_field=asked.input.id,
            required=asked.required_fields,
            filled=asked.filled_fields,
            limit=limit,
            on_duplicate=on_duplicate,
            on_stop=KEEP_ONE,
            max_rejected_share=max_rejected_share,
            fits=fitting.of_recipe(asked, self),
        )
        if via == "batch":
            models = {step.model for step in asked.steps}
            registry.check_no_batches(models, self.store, self.settings.home)
        found = read(source, options, self.settings.home / "staging")
        try:
            prices = load_prices(self.settings.prices_file)
            ways = estimate.estimate_ways(asked, found, prices, self.limits())
            route = routing.route(via, ways, by)
        except BaseException:
            found.close()
            raise
        return Plan(found, ways, on_duplicate, route, asked)

    def submit(
        self,
        plan: Checked,
        *,
        priority: int = 5,
        idempotency_key: str | None = None,
        again: bool = False,
        max_failed_share: float = 0.05,
        options: Options | None = None,
        webhooks: Sequence[Hook] = (),
        budget: Amount = None,
        partial: bool = False,
        parent_id: str | None = None,
    ) -> Job:
        """Commits the job, then rings for its first shards; a dead broker only delays it.

        `budget`: `5EUR`, or USD; the job pauses before it spends more. An estimate above it is
        refused unless the job may be `partial`. Calls go by the plan's way, else by the options'.
        """
        chosen = plan.route.applied(options or Options())
        prices = load_prices(self.settings.prices_file)
        told = plan.told(chosen)
        wish = submitting.Submission(
            kind=told.kind,
            name=told.name,
            spec=told.spec,
            content_hash=told.content_hash,
            estimate=plan.estimate_by(chosen.via),
            priority=submitting.checked_priority(priority),
            idempotency_key=idempotency_key,
            max_failed_share=max_failed_share,
            on_duplicate=plan.on_duplicate,
            again=again,
            webhooks=tuple(webhooks),
            budget_nano=spending.checked_budget(budget, plan, chosen.via, prices, partial=partial),
            parent_id=parent_id,
            large_shards=plan.reads_here,  # a model is loaded for each
        )
        job, _is_new = submitting.submit(self.store, wish, plan.found)
        self.ring_for(job.id)
        return job

    def generate(self, source: str | Path, *, recipe: str | Path | Recipe, **how: Any) -> Job:
        """`plan` and `submit` in one; `how` goes to the one that knows the word."""
        chosen = {name: how.pop(name) for name in PLANNED & how.keys()}
        with self.plan(source, recipe, **chosen) as plan:
            return self.submit(plan, **how)

    def ring_for(self, job_id: str) -> bool:
        """Publishes the job's next shards; False: no broker answered, the clock will ring."""
        if not self.settings.redis_url:
            return False
        from models import doorbell  # noqa: PLC0415 # Celery is slow to import

        app = doorbell.make_celery(self.settings, patience_s=PATIENCE_S)
        return doorbell.ring_for(self.store, app, job_id)

    # -- looking -------------------------------------------------------------------------------

    def get(self, job_id: str) -> Job:
        """The job as it stands; any unique beginning of its id will do. Or `NotFoundError`."""
        with self.store.read() as connection:
            job = jobs.get(connection, job_id)
            if job is None and job_id:
                full = job_id if job_id.startswith("job_") else f"job_{job_id}"
                alike = jobs.like(connection, full)
                job = jobs.get(connection, alike[0]) if len(alike) == 1 else None
        if job is None:
            raise NotFoundError(f"there is no job {job_id!r}: `maestrale jobs` lists them")
        return job

    def jobs(self, *, limit: int = 50, state: JobState | None = None) -> list[Job]:
        """The newest jobs first."""
        with self.store.read() as connection:
            return jobs.newest(connection, limit=limit, state=state)

    def watch(self, job_id: str, *, every_s: float = 0.5) -> Iterator[Job]:
        """The job again and again until it is settled or paused; the last one is its end."""
        while True:
            job = self.get(job_id)
            yield job
            if job.state in SETTLED or job.state == JobState.PAUSED:
                return
            time.sleep(every_s)

    def wait(self, job_id: str) -> Job:
        """Blocks until the job is settled or paused."""
        return deque(self.watch(job_id), maxlen=1).pop()

    def results(self, job_id: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """(row id, records) of the done rows in input order, in constant memory."""
        job = self.get(job_id)
        with self.store.read() as connection:
            for row_id, records, _provenance in rows.results(connection, job.id):
                yield row_id, records

    def provenance(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Where each done row's records come from: models, prompts, call keys, usage."""
        job = self.get(job_id)
        with self.store.read() as connection:
            for row_id, records, provenance in rows.results(connection, job.id):
                yield {"row_id": row_id, "records_count": len(records), **provenance}

    def failures(self, job_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """Failed rows with their names and reasons."""
        job = self.get(job_id)
        with self.store.read() as connection:
            return rows.failures(connection, job.id, limit=limit)

    def operations(self, job_id: str, *, limit: int = 50) -> list[operations_seen.OperationSeen]:
        """Its batches and training runs: those still out first, then the newest."""
        job = self.get(job_id)
        with self.store.read() as connection:
            return operations_seen.of_job(connection, job.id, limit)

    def operations_out(self, job_ids: Sequence[str]) -> dict[str, int]:
        """How many batches and training runs are out, by job; jobs without any are left out."""
        with self.store.read() as connection:
            return operations_seen.out_by_job(connection, job_ids)

    def failures_by_code(self, job_id: str) -> dict[str, int]:
        """How many rows failed, by name, the most frequent first."""
        job = self.get(job_id)
        with self.store.read() as connection:
            return rows.failures_by_code(connection, job.id)

    def export(
        self,
        job_id: str,
        path: str | Path,
        form: Literal["chat", "jsonl", "csv", "parquet"] = "chat",
        *,
        overwrite: bool = False,
    ) -> Any:
        """Writes the records of the done rows, and `<stem>.provenance.jsonl` beside them."""
        job = self.get(job_id)
        written = exports.export(self.results(job.id), Path(path), form, overwrite=overwrite)
        exports.write_provenance(self.provenance(job.id), path, overwrite=overwrite)
        return written

    # -- control -------------------------------------------------------------------------------

    def retry(self, job_id: str) -> int:
        """Re-opens the failed rows, only those, and answers how many."""
        job = self.get(job_id)
        if job.state not in (JobState.SUCCEEDED, JobState.FAILED):
            raise BadInputError(f"{job.id} is {job.state}: only a finished job can be retried")
        with self.store.write() as connection:
            count = retries.retry(connection, job.id)
        self.ring_for(job.id)
        return count

    def pause(self, job_id: str) -> Job:
        """Stops new rows from starting, within two seconds; calls in flight finish."""
        return self._move(job_id, "pause", "paused by the user")

    def resume(self, job_id: str, *, budget: Amount = None) -> Job:
        """Lets a paused job go on, under another budget if one is given (above what is spent)."""
        job = self.get(job_id)
        prices = load_prices(self.settings.prices_file)
        with self.store.write() as connection:
            if not spending.resume(connection, job, budget, prices):
                raise BadInputError(f"{job.id} is {job.state}: it cannot resume")
        self.ring_for(job.id)
        return self.get(job.id)

    def prioritise(self, job_id: str, priority: int) -> Job:
        """0 (first) to 9 (last); workers follow within two seconds."""
        job, checked = self.get(job_id), submitting.checked_priority(priority)
        with self.store.write() as connection:
            if not jobs.set_priority(connection, job.id, checked):
                raise BadInputError(f"{job.id} is {job.state}: its turn is over")
        return self.get(job.id)

    def cancel(self, job_id: str) -> Job:
        """Gives the job up for good."""
        return self._move(job_id, "cancel")

    def _move(self, job_id: str, move: Literal["pause", "cancel"], *args: str) -> Job:
        job = self.get(job_id)
        with self.store.write() as connection:
            moved = getattr(jobs, move)(connection, job.id, *args)
        if not moved:
            raise BadInputError(f"{job.id} is {job.state}: it cannot {move}")
        return self.get(job.id)

    # -- keeping -------------------------------------------------------------------------------

    def prune(self, older_than: timedelta, *, answers: bool = False) -> Pruned:
        """Forgets jobs that finished longer ago; paid answers only if asked to."""
        return Pruner(self.store, older_than.total_seconds(), answers=answers).run()

    def backup(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Copies the SQLite database while workers go on; answers the copy's bytes."""
        return sqlite_file.back_up(self.store, Path(path), overwrite=overwrite)

    def costs(
        self, job_id: str | None = None, *, by: By = "job", since: date | None = None
    ) -> list[Cost]:
        """What was paid, by job, model or UTC day, from the day `since` on."""
        job = None if job_id is None else self.get(job_id).id
        with self.store.read() as connection:
            return costs(connection, by, job, since)

    # -- what is known -------------------------------------------------------------------------

    def workers(self) -> list[WorkerSeen]:
        """Worker processes that gave a sign of life within the last seconds."""
        with self.store.read() as connection:
            return fleet.alive(connection)

    def limits(self) -> dict[str, Limit]:
        """The account's limits by model, as told by the user or learnt from answers."""
        try:
            with self.store.read() as connection:
                learnt = fleet.limits_learnt(connection, self.settings.account)
        except SetupError:
            learnt = {}
        return {**learnt, **self.settings.limits}
