"""One run of `maestrale generate`, step by step."""

import shlex
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.text import Text

from models.errors import BadInputError
from models.payloads import JobSpec
from models.recipes import Recipe, load_recipe
from models.states import JobState
from models.tables import Job
from producers import exports
from producers.cli import outputs
from producers.cli.opening import client
from producers.cli.options import Format
from producers.cli.rendering import showing
from producers.cli.rendering.words import safe
from producers.cli.runs.asking import Asking, How
from producers.cli.runs.ending import exit_code
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.planning import Plan
from producers.readers import OnDuplicate
from producers.routing import ViaWish


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
    via: ViaWish = "realtime"
    by: timedelta | None = None
    on_duplicate: OnDuplicate = "stop"
    max_rejected_share: float = 0.05


class Generation:
    """Checks, estimates, submits, watches, exports; answers the exit code."""

    def __init__(self, wish: Wish, how: How, voice: Voice) -> None:
        self._wish = wish
        self._how = how
        self._voice = voice

    def run(self) -> int:
        """The whole of it."""
        recipe = load_recipe(self._wish.recipe)
        target = self._target(recipe)
        with client() as maestrale:
            asking = Asking(maestrale, self._how, self._voice)
            with self._plan(maestrale, recipe) as plan:
                job = asking.submit(plan, target.path, title_of(plan))
                if job is None:
                    return asking.end(0)
            if self._how.watch:
                return asking.end(self._watch(maestrale, asking, job, target))
            left = asking.leave(job, "Write its records:", self._export(job, target))
            return asking.end(left)

    def _target(self, recipe: Recipe) -> "Target":
        """Decides and checks the output before anything is paid for."""
        wish, how = self._wish, self._how
        form = outputs.choose_format(wish.form, wish.out, recipe.output.record)
        path = wish.out or outputs.default_name(wish.source, recipe.name, form)
        outputs.check_named(path)
        if how.watch and not how.dry_run:
            outputs.check_free(path, overwrite=how.overwrite)
        return Target(path, form, how.overwrite)

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

    def _export(self, job: Job, target: "Target") -> str:
        """The command that writes what was asked for here, once it is there."""
        if self._wish.out is None and self._wish.form is None:
            return f"maestrale export {job.id} --out FILE"
        out = shlex.quote(safe(self._wish.out or "FILE", 4000))
        again = " --overwrite" if self._how.overwrite else ""
        return f"maestrale export {job.id} --format {target.form} --out {out}{again}"

    def _watch(self, maestrale: Maestrale, asking: Asking, job: Job, target: "Target") -> int:
        job = asking.watch(job)
        if job.state in (JobState.SUCCEEDED, JobState.FAILED) and job.rows_done:
            asking.facts["output"] = write_records(maestrale, job, target, self._voice)
        return exit_code(job)


def title_of(plan: Plan) -> Text:
    """Which file goes through which recipe, by which models."""
    models = ", ".join(dict.fromkeys(step.model for step in plan.recipe.steps))
    return Text.assemble(
        "  ",
        (safe(plan.found.name), "bold"),
        "  by ",
        (plan.recipe.name, "bold"),
        f" ({safe(models)})",
    )


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
