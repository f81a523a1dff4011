"""One run of `maestrale embed`, step by step; and the export of what such a job embedded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from models.errors import BadInputError
from models.payloads import Options
from models.prices import load_prices
from models.states import JobState
from models.tables import Job
from producers import exports, spending
from producers.cli import facts, hook_words, money_words, outputs, plan_words, showing, store_words
from producers.cli.following import NO_WORKER, OTHER_ACCOUNT, explaining_interrupts, follow
from producers.cli.generation import exit_code
from producers.cli.generation import report as tell_end
from producers.cli.opening import client
from producers.cli.options import Format
from producers.cli.voice import Voice
from producers.cli.words import safe
from producers.client import Maestrale
from producers.embedding import Embeddings, Wish
from producers.planning import EmbeddingPlan
from producers.services import Services
from producers.webhooks import Hook

LONGEST_TEMPLATE = 1 << 20


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants it done."""

    overwrite: bool = False
    watch: bool = True
    dry_run: bool = False
    on_timeout: Literal["resubmit", "realtime"] | None = None
    priority: int = 5
    webhooks: tuple[str, ...] = ()
    budget: str | None = None
    partial: bool = False
    idempotency_key: str | None = None
    again: bool = False
    fresh: bool = False
    on_uncertain: Literal["retry", "hold"] = "retry"
    max_failed_share: float = 0.05

    @property
    def options(self) -> Options:
        """How calls are made, but for the way they go: that is the plan's."""
        after = self.on_timeout or "resubmit"
        return Options(on_uncertain=self.on_uncertain, fresh=self.fresh, on_timeout=after)


def template(text: str | None, file: Path | None) -> str:
    """The template of the text. `BadInputError` unless it was given one way or the other."""
    if (text is None) == (file is None):
        raise BadInputError(
            "say what is embedded of a row, once: --text '{{ row.text }}', or --text-file FILE"
        )
    if file is None:
        return text or ""
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(LONGEST_TEMPLATE)
    except (OSError, ValueError) as error:
        raise BadInputError(f"{file} cannot be read: {error}") from error


class EmbeddingRun:
    """Checks, estimates, submits, watches, stores; answers the exit code."""

    def __init__(self, wish: Wish, how: How, voice: Voice) -> None:
        if how.on_timeout is not None and wish.via == "realtime":
            raise BadInputError("--on-timeout goes with --via batch or auto")
        if wish.path is not None:
            check_store_file(wish.path, overwrite=how.overwrite or how.dry_run)
        self._wish = wish
        self._how = how
        self._voice = voice
        self._facts: dict[str, Any] = {}

    def run(self) -> int:
        """The whole of it."""
        with client() as maestrale:
            hooks = maestrale.webhooks.prepare(self._how.webhooks)
            embeddings = Embeddings(maestrale)
            with self._voice.busy(f"reading {safe(self._wish.source)}"):
                plan = embeddings.plan(self._wish)
            with plan:
                self._announce(plan)
                self._check_budget(maestrale, plan)
                if self._how.dry_run:
                    self._voice.say("", showing.hint("Nothing was submitted or paid (--dry-run)."))
                    return self._end(0)
                job = self._submit(maestrale, embeddings, plan, hooks)
                self._write_rejects(plan)
            return self._end(self._see(maestrale, embeddings, job))

    def _announce(self, plan: EmbeddingPlan) -> None:
        told = plan.embedding
        title = Text.assemble(
            (safe(plan.found.name), "bold"),
            "  into ",
            (told.store, "bold"),
            f" ({safe(told.model)})",
        )
        self._voice.say("", Text("  ") + title, plan_words.planned(plan))
        self._facts["estimate"] = facts.estimate_facts(plan.estimate)
        self._facts["route"] = plan_words.route_facts(plan)
        self._facts["input"] = facts.input_facts(plan.found)

    def _check_budget(self, maestrale: Maestrale, plan: EmbeddingPlan) -> None:
        """Before a dry run ends, too."""
        how, prices = self._how, load_prices(maestrale.settings.prices_file)
        nano = spending.checked_budget(
            how.budget, plan, plan.route.via, prices, partial=how.partial
        )
        if nano is not None:
            words = money_words.planned_budget(nano, plan.estimate.cost_usd)
            self._voice.say(showing.line("budget", words))

    def _submit(
        self,
        maestrale: Maestrale,
        embeddings: Embeddings,
        plan: EmbeddingPlan,
        hooks: Sequence[Hook],
    ) -> Job:
        how = self._how
        job = embeddings.submit(
            plan,
            priority=how.priority,
            idempotency_key=how.idempotency_key,
            again=how.again,
            max_failed_share=how.max_failed_share,
            options=how.options,
            webhooks=hooks,
            budget=how.budget,
            partial=how.partial,
        )
        if not Services(maestrale.settings).serves_us:
            self._voice.say(showing.warning(OTHER_ACCOUNT))
        self._voice.say(showing.line("job", Text(job.id, style="bold")))
        self._facts["job"] = facts.job_facts(job)
        if hooks:
            bound = maestrale.webhooks.bound(job.id, hooks)
            self._voice.say(*hook_words.bindings(bound))
            self._facts["webhooks"] = [hook_words.bound_facts(one) for one in bound]
        return job

    def _write_rejects(self, plan: EmbeddingPlan) -> None:
        target = self._wish.path or Path(f"{plan.embedding.store}.parquet")
        path = plan.found.write_rejects(outputs.rejects_path(target))
        if path is not None:
            self._voice.say(showing.line("rejects", safe(path, 4000)))
            self._facts["rejects"] = str(path)

    def _see(self, maestrale: Maestrale, embeddings: Embeddings, job: Job) -> int:
        voice = self._voice
        if not self._how.watch:
            if not maestrale.workers():
                voice.say(showing.warning(NO_WORKER))
            voice.say(
                "",
                showing.hint("Watch it:", f"maestrale watch {job.id}"),
                showing.hint("Write its store when it is done:", f"maestrale export {job.id}"),
            )
            return 0
        voice.say("")
        with explaining_interrupts(job, voice):
            job, limit = follow(maestrale, job, voice)
        tell_end(maestrale, job, limit, voice)
        self._facts["job"] = facts.job_facts(job)
        if job.state == JobState.SUCCEEDED and job.rows_done:
            self._facts["store"] = write_store(embeddings, job, voice)
        return exit_code(job)

    def _end(self, code: int) -> int:
        if self._voice.as_json:
            self._voice.facts(self._facts)
        return code


def write_store(
    embeddings: Embeddings, job: Job, voice: Voice, path: Path | None = None
) -> dict[str, Any]:
    """Writes the job's store and says where it is; answers the facts."""
    with voice.busy("writing the store"):
        store = embeddings.store(job, path)
    voice.say(store_words.written(store))
    if job.rows_failed:
        failed = f"{job.rows_failed:,} of {job.rows_total:,} rows failed and are not in it"
        voice.say(showing.warning(f"{failed}: `maestrale retry {job.id}`, then export it again"))
    return store_words.store_facts(store)


def export(
    maestrale: Maestrale,
    job: Job,
    out: Path | None,
    form: Format | None,
    voice: Voice,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Writes an embedding job's store (Parquet), or its documents and vectors as JSON lines."""
    embeddings = Embeddings(maestrale)
    form = form or (outputs.ENDINGS.get(out.suffix.lower()) if out else None) or "parquet"
    if form not in ("parquet", "jsonl"):
        raise BadInputError(
            f"vectors are not written as {form}: choose parquet, which is the store that "
            "evaluations search, or jsonl"
        )
    if form == "parquet":
        if out is not None:
            check_store_file(out, overwrite=overwrite)
        return write_store(embeddings, job, voice, out and out.resolve())
    path = out or outputs.default_name(job.input_name, job.name, form)
    exports.check_target(path, overwrite=overwrite)
    written = embeddings.export(job, path, overwrite=overwrite)
    voice.say(showing.line("written", f"{safe(written.path, 4000)}: {written.records:,} documents"))
    return {"path": str(written.path), "format": form, "documents": written.records}


def check_store_file(path: Path, *, overwrite: bool) -> None:
    """Before anything is paid. `BadInputError` where the store cannot be written."""
    if path.suffix.lower() != ".parquet":
        raise BadInputError(f"{path}: a store is a Parquet file, so call it {path.stem}.parquet")
    exports.check_target(path, overwrite=overwrite)
