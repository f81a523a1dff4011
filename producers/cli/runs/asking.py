"""What the runs of commands that ask models share: how it is done, and its steps."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from rich.console import RenderableType
from rich.text import Text

from models.errors import BadInputError
from models.payloads import Options
from models.prices import load_prices
from models.tables import Job
from producers import offered, spending, trainers
from producers.cli import outputs
from producers.cli.rendering import facts, money_words, plan_words, showing, webhook_words
from producers.cli.rendering.words import safe
from producers.cli.runs.ending import report
from producers.cli.runs.following import NO_WORKER, OTHER_ACCOUNT, explaining_interrupts, follow
from producers.cli.voice import Voice, remark
from producers.client import Maestrale
from producers.planning import Checked
from producers.services import Services
from producers.submitting import Terms
from producers.webhooks import Hook


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants it done, whatever is asked."""

    overwrite: bool
    watch: bool
    dry_run: bool
    on_timeout: Literal["resubmit", "realtime"] | None
    priority: int
    webhook: Sequence[str] | None
    budget: str | None
    partial: bool
    idempotency_key: str | None
    again: bool
    fresh: bool
    on_uncertain: Literal["retry", "hold"]
    max_failed_share: float

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Out of a command's parameters, which are named alike.

        Raises `BadInputError` for an option that would be passed over.
        """
        if given["on_timeout"] is not None and given["via"] == "realtime":
            raise BadInputError(
                "--on-timeout goes with --via batch or auto: it is for calls that a batch ended "
                "without"
            )
        return cls(**{one.name: given[one.name] for one in fields(cls)})

    def terms(self, hooks: Sequence[Hook]) -> Terms:
        """What the job is submitted with; the way of its calls is the plan's."""
        after = self.on_timeout or "resubmit"
        return Terms(
            priority=self.priority,
            idempotency_key=self.idempotency_key,
            again=self.again,
            max_failed_share=self.max_failed_share,
            options=Options(on_uncertain=self.on_uncertain, fresh=self.fresh, on_timeout=after),
            webhooks=hooks,
            budget=self.budget,
            partial=self.partial,
        )


class Asking:
    """The steps of one run, said as they are taken; `facts` are what `--json` tells of them."""

    def __init__(self, maestrale: Maestrale, how: How, voice: Voice) -> None:
        self._maestrale = maestrale
        self._how = how
        self._voice = voice
        self._hooks = maestrale.webhooks.prepare(how.webhook or ())
        self.facts: dict[str, Any] = {}

    def submit(
        self, plan: Checked, beside: Path, *title: RenderableType, makes_folder: bool = False
    ) -> Job | None:
        """Says what the plan will take and submits it. None: it was a dry run.

        The rows that were left out are listed beside `beside`, in a draft until the job is there:
        whoever cannot write has paid nothing, and who is refused keeps the list of an earlier job.
        Raises `BadInputError` for a model that the server does not have.
        """
        if not plan.reads_here:
            check_models(plan.models, self._maestrale, plan.embedding_models)
        self._announce(plan, title)
        self._check_budget(plan)
        if self._how.dry_run:
            self._voice.say("", showing.hint("Nothing was submitted or paid (--dry-run)."))
            return None
        if plan.reads_here:
            trainers.check(self._maestrale)
        list_at = outputs.rejects_path(beside)
        with plan.found.listing_rejects(list_at, makes_folder=makes_folder) as rejects:
            job = self._maestrale.submit(plan, **self._how.terms(self._hooks))
        self._warn(plan)
        self._voice.say(showing.line("job", Text(job.id, style="bold")))
        self.facts["job"] = facts.job_facts(job)
        self.facts |= tell_hooks(self._maestrale, job, self._hooks, self._voice)
        if rejects is not None:
            self._voice.say(showing.line("rejects", safe(rejects, 4000)))
            self.facts["rejects"] = str(rejects)
        return job

    def _announce(self, plan: Checked, title: Sequence[RenderableType]) -> None:
        self._voice.say("", *title, plan_words.planned(plan))
        self.facts["estimate"] = facts.estimate_facts(plan.estimate)
        self.facts["route"] = plan_words.route_facts(plan)
        self.facts["input"] = facts.input_facts(plan.found)

    def _check_budget(self, plan: Checked) -> None:
        """Before a dry run ends, too."""
        how, prices = self._how, load_prices(self._maestrale.settings.prices_file)
        nano = spending.checked_budget(
            how.budget, plan, plan.route.via, prices, partial=how.partial
        )
        if nano is not None:
            words = money_words.planned_budget(nano, plan.estimate.cost_usd)
            self._voice.say(showing.line("budget", words))

    def _warn(self, plan: Checked) -> None:
        if not Services(self._maestrale.settings).serves_us:
            self._voice.say(showing.warning(OTHER_ACCOUNT))
        if plan.reads_here and (lack := trainers.missing(self._maestrale)):
            self._voice.say(showing.warning(lack))

    def leave(self, job: Job, then: str, command: str) -> int:
        """Says how to watch the job and what to do `then`; answers the exit code."""
        if not self._maestrale.workers():
            self._voice.say(showing.warning(NO_WORKER))
        watch = showing.hint("Watch it:", f"maestrale watch {job.id}")
        self._voice.say("", watch, showing.hint(then, command))
        return 0

    def watch(self, job: Job) -> Job:
        """Watches the job to its end, tells that, and answers the job as it stands then."""
        self._voice.say("")
        with explaining_interrupts(job, self._voice):
            job, limit = follow(self._maestrale, job, self._voice)
        report(self._maestrale, job, limit, self._voice)
        self.facts["job"] = facts.job_facts(job)
        return job

    def end(self, code: int) -> int:
        """Tells the facts where they are asked for; answers the exit code."""
        if self._voice.as_json:
            self._voice.facts(self.facts)
        return code


def check_models(
    names: Iterable[str], maestrale: Maestrale, embedding: Container[str] = ()
) -> None:
    """`BadInputError` for a model that the server does not have; a word on stderr where it may."""
    for doubt in offered.check_offered(names, maestrale, embedding=embedding):
        remark(showing.warning(safe(doubt, 600)))


def tell_hooks(
    maestrale: Maestrale, job: Job, hooks: Sequence[Hook], voice: Voice
) -> dict[str, Any]:
    """Says where the job's events go, and shows new secrets: here and never again."""
    if not hooks:
        return {}
    bound = maestrale.webhooks.bound(job.id, hooks)
    voice.say(*webhook_words.bindings(bound))
    return {"webhooks": [webhook_words.bound_facts(one) for one in bound]}
