"""One run of `maestrale run`, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.text import Text

from models.errors import BadInputError
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.store.stages_seen import StageSeen
from models.tables import Job
from producers.cli.opening import client
from producers.cli.rendering import facts, showing, stage_words
from producers.cli.rendering.words import counted, safe
from producers.cli.runs import reporting
from producers.cli.runs.asking import check_models, tell_hooks
from producers.cli.runs.conducting import NOBODY, explaining_interrupts, follow_run, has_conductor
from producers.cli.runs.ending import exit_code
from producers.cli.runs.following import OTHER_ACCOUNT
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.pipelines import Runs, beforehand
from producers.pipelines.collecting import report_of
from producers.pipelines.planning import plan
from producers.pipelines.runs import check_input, check_limit
from producers.services import Services


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall be run."""

    recipe: str
    input_file: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    via: Literal["realtime", "batch", "auto"] | None = None
    again: bool = False

    def told(self) -> RunSpec:
        """The pipeline as it stands in its files now, and how it is run.

        Raises `RecipeError` or `BadInputError` for what cannot be used.
        """
        pipeline = load_pipeline(self.recipe, variables=self.variables, input_file=self.input_file)
        check_input(pipeline)
        told = RunSpec(pipeline=pipeline, again=self.again, limit=self.limit, via=self.via)
        check_limit(told)
        return told


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants it done."""

    plan: bool = False
    watch: bool = True
    report: Path | None = None
    budget: str | None = None
    priority: int = 5
    webhooks: tuple[str, ...] = ()
    resume: bool = False


class PipelineRun:
    """Loads, plans, starts or goes on, conducts, watches; answers the exit code."""

    def __init__(self, wish: Wish, how: How, voice: Voice) -> None:
        if how.resume and (how.plan or how.webhooks or wish.again):
            raise BadInputError(
                "--resume goes on with a run as it was begun: leave --plan, --webhook and --again "
                "out"
            )
        self._wish = wish
        self._how = how
        self._voice = voice
        self._facts: dict[str, Any] = {}

    def run(self) -> int:
        """The whole of it."""
        told = self._wish.told()
        check_report(self._how.report, told.pipeline.name)
        with client() as maestrale:
            self._announce(told)
            if self._how.plan:
                return self._end(self._plan(maestrale, told))
            run = (
                self._resume(maestrale, told) if self._how.resume else self._start(maestrale, told)
            )
            self._warn(maestrale, run)
            return self._end(self._see(maestrale, run))

    def _announce(self, told: RunSpec) -> None:
        pipeline = told.pipeline
        title = Text.assemble(
            (pipeline.name, "bold"), f"  {counted(len(pipeline.stages), 'stage')}"
        )
        source = f" on {safe(Path(pipeline.input).name)}" if pipeline.input else ""
        self._voice.say("", Text("  ") + title + source)
        if pipeline.description:
            self._voice.say(showing.hint(safe(pipeline.description, 300)))

    def _plan(self, maestrale: Maestrale, told: RunSpec) -> int:
        check_models(beforehand.names_written(told), maestrale)
        with self._voice.busy("reading what there is"):
            found = plan(maestrale, told, budget=self._how.budget)
        self._facts["stages"] = [stage_words.planned_facts(one) for one in found]
        self._facts |= stage_words.total_facts(found)
        self._voice.say("", stage_words.planned(found), "")
        self._voice.say(showing.line("cost", stage_words.total(found)))
        if lacking := stage_words.not_in_total(found):
            self._voice.say(showing.line("", lacking))
        self._voice.say("", showing.hint("Nothing was begun or paid (--plan)."))
        return 0

    def _start(self, maestrale: Maestrale, told: RunSpec) -> Job:
        how = self._how
        check_models(beforehand.names_written(told), maestrale)
        hooks = maestrale.webhooks.prepare(how.webhooks)
        run, is_new = Runs(maestrale).start(
            told, priority=how.priority, budget=how.budget, webhooks=hooks
        )
        self._voice.say(showing.line("run", Text(run.id, style="bold")))
        if not is_new:
            self._voice.say(showing.hint("The same is under way: this goes on with it."))
        else:
            self._facts |= tell_hooks(maestrale, run, hooks, self._voice)
        return run

    def _resume(self, maestrale: Maestrale, told: RunSpec) -> Job:
        run = Runs(maestrale).go_on(told, budget=self._how.budget)
        self._voice.say(showing.line("run", Text(f"{run.id} goes on", style="bold")))
        return run

    def _warn(self, maestrale: Maestrale, run: Job) -> None:
        if not Services(maestrale.settings).serves_us:
            self._voice.say(showing.warning(OTHER_ACCOUNT))
        if lack := Runs(maestrale).what_lacks(run):
            self._voice.say(showing.warning(lack))

    def _see(self, maestrale: Maestrale, run: Job) -> int:
        voice = self._voice
        if not self._how.watch:
            self._facts["run"] = run_facts(maestrale, run)
            if not has_conductor(maestrale):
                voice.say(showing.warning(NOBODY.format(run.id)))
            voice.say("", showing.hint("Watch it:", f"maestrale watch {run.id}"))
            return 0
        voice.say("")
        run = see(maestrale, run, voice)
        self._facts["run"] = run_facts(maestrale, run)
        if self._how.report is not None:
            self._facts["report"] = write_report(maestrale, run, self._how.report, voice)
        return exit_code(run)

    def _end(self, code: int) -> int:
        if self._voice.as_json:
            self._voice.facts(self._facts)
        return code


def see(maestrale: Maestrale, run: Job, voice: Voice) -> Job:
    """Conducts and watches it to its end, and tells that."""
    with explaining_interrupts(maestrale, run, voice):
        run, seen = follow_run(maestrale, run, voice)
    tell_end(maestrale, run, seen, voice)
    return run


def tell_end(maestrale: Maestrale, run: Job, seen: Sequence[StageSeen], voice: Voice) -> None:
    """How the run ended, stage by stage, and what to do next."""
    page = report_of(maestrale.settings, run.id)
    voice.say(stage_words.run_page(run, seen, maestrale.store.now(), page), "")
    voice.say(*stage_words.ended(seen))
    if run.state == "failed":
        voice.say(showing.hint("Go on once it is mended:", f"maestrale retry {run.id}"))
    if (next_step := showing.what_to_do(run)) is not None:
        voice.say(next_step)


def run_facts(maestrale: Maestrale, run: Job) -> dict[str, Any]:
    """A run as programs read it."""
    seen = Runs(maestrale).stages(run.id)
    page = report_of(maestrale.settings, run.id)
    return {
        **facts.job_facts(run),
        "stages": [stage_words.stage_facts(one) for one in seen],
        "report": str(page) if page else None,
        "warnings": stage_words.warned(seen),
    }


def check_report(folder: Path | None, name: str) -> None:
    """Raises `BadInputError` before anything is paid if the report could not be written there."""
    if folder is not None:
        from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import

        reports.check_folder(folder, name)


def write_report(maestrale: Maestrale, run: Job, folder: Path, voice: Voice) -> list[str]:
    """Writes the run's report into the folder; answers its files."""
    from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import
    from producers.pipelines.collecting import collect  # noqa: PLC0415 # as above

    # who conducted it may not have been able to make one
    if reports.read_kept(maestrale, run) or collect(maestrale, run):
        return reporting.write(reports.made_or_kept(maestrale, run), folder, voice)
    return []
