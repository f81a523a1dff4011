"""One run of `maestrale evaluate`, step by step."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from models.errors import DuplicateJobError
from models.states import JobState
from models.tables import Job
from producers.cli import outputs
from producers.cli.opening import client
from producers.cli.rendering import showing
from producers.cli.rendering.words import counted, safe
from producers.cli.runs import reporting
from producers.cli.runs.asking import Asking, How
from producers.cli.runs.ending import exit_code
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.evaluating import Evaluating, Wish, reports
from producers.evaluating.figures.libraries import require_libraries
from producers.planning import EvaluationPlan


class Evaluation:
    """Checks, estimates, submits, watches, reports; answers the exit code."""

    def __init__(self, wish: Wish, how: How, folder: Path | None, voice: Voice) -> None:
        self._wish = wish
        self._how = how
        self._folder = folder
        self._voice = voice

    def run(self) -> int:
        """The whole of it."""
        with client() as maestrale:
            asking = Asking(maestrale, self._how, self._voice)
            with self._plan(maestrale) as plan:
                self._check_folder(plan)
                job = self._submit(asking, plan)
                if job is None:
                    return asking.end(0)
            if self._how.watch:
                return asking.end(self._watch(maestrale, asking, job))
            return asking.end(asking.leave(job, "Write its report then:", self._make(job.id)))

    def _submit(self, asking: Asking, plan: EvaluationPlan) -> Job | None:
        try:
            for_report = self._folder is not None
            beside = self._beside(plan)
            return asking.submit(plan, beside, *title_of(plan), makes_folder=for_report)
        except DuplicateJobError as error:
            if not error.job_id:
                raise
            words = f"{error}. Write its report: `{self._make(error.job_id)}`"
            raise DuplicateJobError(words, error.job_id) from error

    def _plan(self, maestrale: Maestrale) -> EvaluationPlan:
        with self._voice.busy("reading the suite and its rows"):
            require_libraries()
            return Evaluating(maestrale).plan(self._wish)

    def _check_folder(self, plan: EvaluationPlan) -> None:
        if self._folder is not None:
            name = plan.evaluation.suite.name
            reports.check_folder(self._folder, name, overwrite=self._how.overwrite)

    def _beside(self, plan: EvaluationPlan) -> Path:
        """What the file of rows that were left out is called after: in the report's folder, or
        here, and not like that of a recipe of the same name."""
        called = f"{plan.evaluation.suite.name}.evaluation"
        return (self._folder or Path()) / outputs.default_name(plan.found.name, called, "jsonl")

    def _make(self, job_id: str) -> str:
        """The command that writes the report, once the job is done."""
        out = shlex.quote(safe(self._folder or "DIR", 4000))
        again = " --overwrite" if self._how.overwrite else ""
        return f"maestrale report {job_id} --out {out}{again}"

    def _watch(self, maestrale: Maestrale, asking: Asking, job: Job) -> int:
        job = asking.watch(job)
        if job.state in (JobState.SUCCEEDED, JobState.FAILED) and job.rows_done:
            asking.facts["report"] = write_report(
                maestrale, job, self._folder, self._voice, overwrite=self._how.overwrite
            )
        return exit_code(job)


def title_of(plan: EvaluationPlan) -> Iterator[RenderableType]:
    """Which suite on which rows, who is asked, and who judges."""
    told = plan.evaluation
    yield Text.assemble(
        "  ",
        (told.suite.name, "bold"),
        f"  {told.suite.kind} on {safe(plan.found.name)}, ",
        f"{counted(len(told.contestants or told.judges), 'model')}, ",
        counted(told.attempts, "attempt"),
    )
    if told.contestants:
        names = ", ".join(safe(one.label) for one in told.contestants)
        yield showing.line("models", names)
    if told.judges:
        yield showing.line("judge", ", ".join(map(safe, told.judges)))


def write_report(
    maestrale: Maestrale, job: Job, folder: Path | None, voice: Voice, *, overwrite: bool = False
) -> dict[str, Any]:
    """Makes the report, keeps it with the job, shows its summary, writes it into `folder`."""
    with voice.busy("making the report"):
        made = reports.make(maestrale, job)
    return reporting.tell(made, folder, voice, overwrite=overwrite)
