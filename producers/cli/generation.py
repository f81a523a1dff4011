"""One run of `maestrale generate`, step by step."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from rich.text import Text

from models.errors import BadInputError
from models.payloads import JobSpec, Options
from models.prices import load_prices
from models.recipes import Recipe, load_recipe
from models.states import JobState
from models.tables import Job
from producers import exports, spending
from producers.cli import facts, hook_words, money_words, outputs, plan_words, showing
from producers.cli.following import NO_WORKER, OTHER_ACCOUNT, explaining_interrupts, follow
from producers.cli.opening import client
from producers.cli.options import Format
from producers.cli.showing import Limited
from producers.cli.voice import Voice
from producers.cli.words import safe
from producers.client import Maestrale
from producers.planning import Plan
from producers.routing import ViaWish
from producers.services import Services
from producers.webhooks import Hook

EXIT_NOT_DONE = 3
"""The job failed, was cancelled, or is paused."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for, as the command line has it."""

    source: str
    recipe: str
    model: str | None = None
    limit: int | None = None
    variables: tuple[str, ...] = ()
    out: Path | None = None
    form: Format | None = None
    overwrite: bool = False
    watch: bool = True
    dry_run: bool = False
    via: ViaWish = "realtime"
    by: timedelta | None = None
    on_timeout: Literal["resubmit", "realtime"] | None = None
    priority: int = 5
    webhooks: tuple[str, ...] = ()
    budget: str | None = None
    partial: bool = False
    idempotency_key: str | None = None
    again: bool = False
    fresh: bool = False
    on_uncertain: Literal["retry", "hold"] = "retry"
    on_duplicate: Literal["stop", "first", "last"] = "stop"
    max_rejected_share: float = 0.05
    max_failed_share: float = 0.05

    @property
    def options(self) -> Options:
        """How calls are made, but for the way they go: that is the plan's."""
        after = self.on_timeout or "resubmit"
        return Options(on_uncertain=self.on_uncertain, fresh=self.fresh, on_timeout=after)

    def checked(self) -> "Wish":
        """Itself. Raises `BadInputError` for an option that would be passed over."""
        if self.on_timeout is not None and self.via == "realtime":
            raise BadInputError(
                "--on-timeout is for calls that a batch ended without: it goes with --via batch "
                "or auto"
            )
        return self


class Generation:
    """Checks, estimates, submits, watches, exports; answers the exit code."""

    def __init__(self, wish: Wish, voice: Voice) -> None:
        self._wish = wish.checked()
        self._voice = voice
        self._facts: dict[str, Any] = {}

    def run(self) -> int:
        """The whole of it."""
        recipe = load_recipe(self._wish.recipe)
        target = self._target(recipe)
        with client() as maestrale:
            hooks = maestrale.webhooks.prepare(self._wish.webhooks)
            with self._plan(maestrale, recipe) as plan:
                self._announce(plan)
                self._check_budget(maestrale, plan)
                if self._wish.dry_run:
                    self._voice.say("", showing.hint("Nothing was submitted or paid (--dry-run)."))
                    return self._end(0)
                job = self._submit(maestrale, plan, hooks)
                self._write_rejects(plan, target.path)
            return self._end(
                self._watch(maestrale, job, target)
                if self._wish.watch
                else self._leave(maestrale, job, target)
            )

    def _target(self, recipe: Recipe) -> "Target":
        """Decides and checks the output before anything is paid for."""
        wish = self._wish
        form = outputs.choose_format(wish.form, wish.out, recipe.output.record)
        path = wish.out or outputs.default_name(wish.source, recipe.name, form)
        if wish.watch and not wish.dry_run:
            outputs.check_free(path, overwrite=wish.overwrite)
        return Target(path, form, wish.overwrite)

    def _plan(self, maestrale: Maestrale, recipe: Recipe) -> Plan:
        wish = self._wish
        with self._voice.busy(f"reading {safe(wish.source)}"):
            return maestrale.plan(
                wish.source,
                recipe,
                model=wish.model,
                variables=outputs.read_variables(wish.variables),
                limit=wish.limit,
                on_duplicate=wish.on_duplicate,
                max_rejected_share=wish.max_rejected_share,
                via=wish.via,
                by=wish.by,
            )

    def _announce(self, plan: Plan) -> None:
        models = ", ".join(dict.fromkeys(step.model for step in plan.recipe.steps))
        title = Text.assemble(
            (safe(plan.found.name), "bold"),
            "  by ",
            (plan.recipe.name, "bold"),
            f" ({safe(models)})",
        )
        self._voice.say("", Text("  ") + title, plan_words.planned(plan))
        self._facts["estimate"] = facts.estimate_facts(plan.estimate)
        self._facts["route"] = plan_words.route_facts(plan)
        self._facts["input"] = facts.input_facts(plan.found)

    def _check_budget(self, maestrale: Maestrale, plan: Plan) -> None:
        """Before a dry run ends, too."""
        wish, prices = self._wish, load_prices(maestrale.settings.prices_file)
        nano = spending.checked_budget(
            wish.budget, plan, plan.route.via, prices, partial=wish.partial
        )
        if nano is not None:
            words = money_words.planned_budget(nano, plan.estimate.cost_usd)
            self._voice.say(showing.line("budget", words))

    def _submit(self, maestrale: Maestrale, plan: Plan, hooks: Sequence[Hook]) -> Job:
        wish = self._wish
        job = maestrale.submit(
            plan,
            priority=wish.priority,
            idempotency_key=wish.idempotency_key,
            again=wish.again,
            max_failed_share=wish.max_failed_share,
            options=wish.options,
            webhooks=hooks,
            budget=wish.budget,
            partial=wish.partial,
        )
        if not Services(maestrale.settings).serves_us:
            self._voice.say(showing.warning(OTHER_ACCOUNT))
        self._voice.say(showing.line("job", Text(job.id, style="bold")))
        self._facts["job"] = facts.job_facts(job)
        self._tell_hooks(maestrale, job, hooks)
        return job

    def _tell_hooks(self, maestrale: Maestrale, job: Job, hooks: Sequence[Hook]) -> None:
        """Says where the job's events go, and shows new secrets: here and never again."""
        if hooks:
            bound = maestrale.webhooks.bound(job.id, hooks)
            self._voice.say(*hook_words.bindings(bound))
            self._facts["webhooks"] = [hook_words.bound_facts(one) for one in bound]

    def _write_rejects(self, plan: Plan, target: Path) -> None:
        path = plan.found.write_rejects(outputs.rejects_path(target))
        if path is not None:
            self._voice.say(showing.line("rejects", safe(path, 4000)))
            self._facts["rejects"] = str(path)

    def _leave(self, maestrale: Maestrale, job: Job, target: "Target") -> int:
        if not maestrale.workers():
            self._voice.say(showing.warning(NO_WORKER))
        self._voice.say(
            "",
            showing.hint("Watch it:", f"maestrale watch {job.id}"),
            showing.hint("Write its records:", self._export(job, target)),
        )
        return 0

    def _export(self, job: Job, target: "Target") -> str:
        """The command that writes what was asked for here, once it is there."""
        if self._wish.out is None and self._wish.form is None:
            return f"maestrale export {job.id} --out FILE"
        out = shlex.quote(safe(self._wish.out or "FILE", 4000))
        again = " --overwrite" if self._wish.overwrite else ""
        return f"maestrale export {job.id} --format {target.form} --out {out}{again}"

    def _watch(self, maestrale: Maestrale, job: Job, target: "Target") -> int:
        self._voice.say("")
        with explaining_interrupts(job, self._voice):
            job, limit = follow(maestrale, job, self._voice)
        report(maestrale, job, limit, self._voice)
        self._facts["job"] = facts.job_facts(job)
        if job.state in (JobState.SUCCEEDED, JobState.FAILED) and job.rows_done:
            self._facts["output"] = write_records(maestrale, job, target, self._voice)
        return exit_code(job)

    def _end(self, code: int) -> int:
        if self._voice.as_json:
            self._voice.facts(self._facts)
        return code


@dataclass(frozen=True, slots=True)
class Target:
    """Where records go."""

    path: Path
    form: Format
    overwrite: bool = False


def target_of(job: Job, out: Path | None, form: Format | None, *, overwrite: bool) -> Target:
    """Where the records of a job that is there already go, by its own recipe."""
    try:
        recipe = JobSpec.model_validate_json(job.spec).recipe
    except ValidationError:
        raise BadInputError(
            f"{job.id} was submitted by another version of Maestrale, and this one cannot read "
            "its recipe: export with that version"
        ) from None
    if not recipe:
        raise BadInputError(f"{job.id} is a {job.kind} job, which has no records to write")
    chosen = outputs.choose_format(form, out, recipe["output"]["record"])
    path = out or outputs.default_name(job.input_name, job.name, chosen)
    outputs.check_free(path, overwrite=overwrite)
    return Target(path, chosen, overwrite)


def write_records(maestrale: Maestrale, job: Job, target: Target, voice: Voice) -> dict[str, Any]:
    """Exports the job's records and says where they are; answers the facts."""
    with voice.busy("writing records"):
        exported = maestrale.export(job.id, target.path, target.form, overwrite=target.overwrite)
    side = exports.provenance_path(target.path)
    voice.say(showing.written(exported.path, exported.records, side))
    return {
        "path": str(exported.path),
        "format": target.form,
        "rows": exported.rows,
        "records": exported.records,
        "provenance": str(side.resolve()),
    }


def report(maestrale: Maestrale, job: Job, limit: Limited | None, voice: Voice) -> None:
    """How the job ended, its failures by reason, and what to do next."""
    voice.say(Text("  ") + showing.headline(job), showing.summary(job, limit))
    if job.rows_failed:
        codes = maestrale.failures_by_code(job.id)
        voice.say("", showing.failures_by_code(codes, job.id))
    next_step = showing.what_to_do(job)
    if next_step is not None:
        voice.say("", next_step)


def exit_code(job: Job) -> int:
    """0 for a job that succeeded, or still may."""
    bad = (JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)
    return EXIT_NOT_DONE if job.state in bad else 0
