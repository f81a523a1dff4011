"""One run of `maestrale evaluate`, step by step."""

import shlex
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
from producers import spending, trainers
from producers.cli import facts, hook_words, money_words, plan_words, reporting, showing
from producers.cli.following import NO_WORKER, OTHER_ACCOUNT, explaining_interrupts, follow
from producers.cli.generation import exit_code
from producers.cli.generation import report as tell_end
from producers.cli.opening import client
from producers.cli.voice import Voice
from producers.cli.words import counted, safe
from producers.client import Maestrale
from producers.evaluating import Evaluating, Wish, reports
from producers.evaluating.figures.libraries import require_libraries
from producers.planning import EvaluationPlan
from producers.services import Services
from producers.webhooks import Hook


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants it done."""

    report: Path | None = None
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


class Evaluation:
    """Checks, estimates, submits, watches, reports; answers the exit code."""

    def __init__(self, wish: Wish, how: How, voice: Voice) -> None:
        if how.on_timeout is not None and wish.via == "realtime":
            raise BadInputError("--on-timeout goes with --via batch or auto")
        self._wish = wish
        self._how = how
        self._voice = voice
        self._facts: dict[str, Any] = {}

    def run(self) -> int:
        """The whole of it."""
        with client() as maestrale:
            hooks = maestrale.webhooks.prepare(self._how.webhooks)
            evaluating = Evaluating(maestrale)
            with self._voice.busy("reading the suite and its rows"):
                require_libraries()
                plan = evaluating.plan(self._wish)
            with plan:
                self._check_folder(plan)
                self._announce(plan)
                self._check_budget(maestrale, plan)
                if self._how.dry_run:
                    self._voice.say("", showing.hint("Nothing was submitted or paid (--dry-run)."))
                    return self._end(0)
                job = self._submit(maestrale, evaluating, plan, hooks)
            return self._end(self._see(maestrale, job))

    def _check_folder(self, plan: EvaluationPlan) -> None:
        how = self._how
        if how.report is not None:
            reports.check_folder(how.report, plan.evaluation.suite.name, overwrite=how.overwrite)

    def _announce(self, plan: EvaluationPlan) -> None:
        told = plan.evaluation
        title = Text.assemble(
            (told.suite.name, "bold"),
            f"  {told.suite.kind} on {safe(plan.found.name)}, ",
            f"{counted(len(told.contestants or told.judges), 'model')}, ",
            counted(told.attempts, "attempt"),
        )
        self._voice.say("", Text("  ") + title)
        if told.contestants:
            names = ", ".join(safe(one.label) for one in told.contestants)
            self._voice.say(showing.line("models", names))
        if told.judges:
            self._voice.say(showing.line("judge", ", ".join(map(safe, told.judges))))
        self._voice.say(plan_words.planned(plan))
        self._facts["estimate"] = facts.estimate_facts(plan.estimate)
        self._facts["route"] = plan_words.route_facts(plan)
        self._facts["input"] = facts.input_facts(plan.found)

    def _check_budget(self, maestrale: Maestrale, plan: EvaluationPlan) -> None:
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
        evaluating: Evaluating,
        plan: EvaluationPlan,
        hooks: Sequence[Hook],
    ) -> Job:
        how = self._how
        job = evaluating.submit(
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
        if plan.reads_here and (lack := trainers.missing(maestrale)):
            self._voice.say(showing.warning(lack))
        self._voice.say(showing.line("job", Text(job.id, style="bold")))
        self._facts["job"] = facts.job_facts(job)
        if hooks:
            bound = maestrale.webhooks.bound(job.id, hooks)
            self._voice.say(*hook_words.bindings(bound))
            self._facts["webhooks"] = [hook_words.bound_facts(one) for one in bound]
        return job

    def _see(self, maestrale: Maestrale, job: Job) -> int:
        voice = self._voice
        if not self._how.watch:
            if not maestrale.workers():
                voice.say(showing.warning(NO_WORKER))
            voice.say("", showing.hint("Watch it:", f"maestrale watch {job.id}"))
            out = shlex.quote(safe(self._how.report or "DIR", 4000))
            again = " --overwrite" if self._how.overwrite else ""
            make = f"maestrale report {job.id} --out {out}{again}"
            voice.say(showing.hint("Write its report then:", make))
            return 0
        voice.say("")
        with explaining_interrupts(job, voice):
            job, limit = follow(maestrale, job, voice)
        tell_end(maestrale, job, limit, voice)
        self._facts["job"] = facts.job_facts(job)
        if job.state in (JobState.SUCCEEDED, JobState.FAILED) and job.rows_done:
            self._facts["report"] = write_report(
                maestrale, job, self._how.report, voice, overwrite=self._how.overwrite
            )
        return exit_code(job)

    def _end(self, code: int) -> int:
        if self._voice.as_json:
            self._voice.facts(self._facts)
        return code


def write_report(
    maestrale: Maestrale, job: Job, folder: Path | None, voice: Voice, *, overwrite: bool = False
) -> dict[str, Any]:
    """Makes the report, keeps it with the job, shows its summary, writes it into `folder`."""
    with voice.busy("making the report"):
        made = reports.make(maestrale, job)
    return reporting.tell(made, folder, voice, overwrite=overwrite)
