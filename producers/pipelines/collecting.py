"""The report of a run: what each stage came to, and the reports of its evaluations in one."""

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from models.errors import MaestraleError
from models.nano import NANO
from models.pipelines.schema import RunSpec
from models.prices import TUNED
from models.settings import Settings
from models.states import STAGE_GOOD
from models.store import stages
from models.store.stages_seen import StageSeen
from models.tables import Job
from models.words import duration
from producers.client import Maestrale
from producers.evaluating.report import Cell, Comparison, Example, Figure, Report, Section, Table
from producers.pipelines.hand import WARNINGS, made_folder, run_folder, told_of
from producers.pipelines.runs import Runs

if TYPE_CHECKING:
    from producers.evaluating.reports import Kept, Made

EXAMPLES = 10
"""Of each evaluation; its own report has them all."""
PAGE = "report.html"
COLUMNS = ("stage", "kind", "state", "rows", "calls", "cost", "time", "what it made")

T = TypeVar("T")
log = logging.getLogger(__name__)


def collect(maestrale: Maestrale, run: Job) -> "Made | None":
    """Makes the report and keeps it with the run, and its page among the run's files.

    None: it cannot be made; the run is as good without it, and the log says why.
    """
    from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import

    try:
        with maestrale.store.write() as connection:
            stages.recount(connection, run.id)
        run = maestrale.get(run.id)
        made = reports.keep(maestrale, run, build(maestrale, run))
        (made_folder(maestrale.settings, run.id) / PAGE).write_text(made.page, "utf-8")
    except (MaestraleError, OSError) as error:
        log.warning("%s has no report: %s", run.id, error)
        return None
    except Exception:  # a bug of ours: the run is over all the same
        log.exception("%s has no report", run.id)
        return None
    return made


def report_of(settings: Settings, run_id: str) -> Path | None:
    """The run's own page; None: it has none (yet)."""
    page = run_folder(settings, run_id) / PAGE
    return page if page.is_file() else None


def build(maestrale: Maestrale, run: Job) -> Report:
    """The report as data."""
    seen = Runs(maestrale).stages(run.id)
    told, short = told_of(run), short_names(seen)
    exams = [
        (one.stage.name, renamed(made.report, short))
        for one in seen
        for made in _reports(maestrale, one)
    ]
    return Report(
        title=f"{run.name}: {told.pipeline.description}" if told.pipeline.description else run.name,
        kind="pipeline",
        job_id=run.id,
        summary=Table("Stages", COLUMNS, [_row(one) for one in seen]),
        comparisons=[_named(name, one) for name, exam in exams for one in exam.comparisons],
        sections=[part for name, exam in exams for part in _sections(name, exam)],
        examples=[one for name, exam in exams for one in _examples(name, exam)],
        warnings=[
            *(f"{one.stage.name}: {word}" for one in seen for word in one.output.get(WARNINGS, ())),
            *(f"{name}: {word}" for name, exam in exams for word in exam.warnings),
        ],
        facts=_facts(run, seen),
        repeat=repeat(told),
        figures=_figures(exams),
    )


def short_names(seen: Sequence[StageSeen]) -> dict[str, str]:
    """The registry's name of each model that the run trained, by the provider's long one."""
    made = (one.output for one in seen if one.output.get("registered"))
    return {one["model"]: one["registered"] for one in made if one["model"].startswith(TUNED)}


def renamed(told: T, short: Mapping[str, str]) -> T:
    """The part of a report with the short names in all its texts; its figures keep their keys."""
    value: Any = told
    if isinstance(value, str):
        for long, name in short.items():
            value = value.replace(long, name)
    elif isinstance(value, list | tuple):
        value = type(value)(renamed(one, short) for one in value)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {one.name: renamed(getattr(value, one.name), short) for one in fields(value)}
        value = replace(value, **parts)
    return cast("T", value)


def repeat(told: RunSpec) -> str:
    """The command that repeats the run: free where nothing changed."""
    pipeline = told.pipeline
    words = ["maestrale", "run", pipeline.file or pipeline.folder]
    if pipeline.is_input_given:
        words += ["--input", pipeline.input or ""]
    for name, value in pipeline.given.items():
        words += ["--set", f"{name}={value}"]
    if told.limit is not None:
        words += ["--limit", str(told.limit)]
    if told.via is not None:
        words += ["--via", told.via]
    return shlex.join(words)


def _reports(maestrale: Maestrale, one: StageSeen) -> Iterator["Kept"]:
    from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import

    if one.stage.kind == "evaluate" and one.stage.state in STAGE_GOOD and one.job:
        found = reports.read_kept(maestrale, one.job)
        if found is not None:
            yield found


def _row(one: StageSeen) -> list[Cell]:
    stage, job = one.stage, one.job
    cost = Figure(one.cost_nano / NANO, "usd")
    return [
        stage.name,
        stage.kind,
        stage.state,
        Figure(job.rows_done, "count") if job else Figure(None, "count", why="no job does it"),
        Figure(one.spent.calls_made, "count"),
        Figure(None, "usd", why="a model's price is not known")
        if one.spent.calls_unpriced
        else cost,
        duration((stage.finished_at or 0) - (stage.started_at or stage.finished_at or 0)),
        stage.reason if stage.state not in STAGE_GOOD else what_it_made(one),
    ]


def what_it_made(one: StageSeen) -> str:
    """The outputs of a stage in a line, for people."""
    output = one.output
    match one.stage.kind:
        case "generate":
            return f"{output.get('count', 0):,} records by {output.get('job')}"
        case "dataset":
            counts = output.get("counts", {})
            return ", ".join(f"{count:,} {part}" for part, count in counts.items())
        case "embed":
            return f"{output.get('documents', 0):,} documents in {output.get('store')}"
        case "train":
            return f"{output.get('registered') or output.get('model')} by {output.get('job')}"
        case "evaluate":
            return f"the report of {output.get('job')}"
        case _:
            return f"{output.get('pairs', 0):,} pairs in {output.get('review')}"


def _named(name: str, one: Comparison) -> Comparison:
    return replace(one, metric=f"{name}: {one.metric}")


def _sections(name: str, exam: Report) -> Iterator[Section]:
    yield Section(f"{name}: {exam.title}", f"Evaluation {exam.job_id}.", [exam.summary])
    yield from (replace(part, title=f"{name}: {part.title}") for part in exam.sections)


def _examples(name: str, exam: Report) -> Sequence[Example]:
    return [replace(one, row_id=f"{name}: {one.row_id}") for one in exam.examples[:EXAMPLES]]


def _figures(exams: Sequence[tuple[str, Report]]) -> dict[str, dict[str, Figure]]:
    found: dict[str, dict[str, Figure]] = {}
    for name, exam in exams:
        for model, figures in exam.figures.items():
            told = {f"{name}.{key}": figure for key, figure in figures.items()}
            found.setdefault(model, {}).update(told)
    return found


def _facts(run: Job, seen: Sequence[StageSeen]) -> list[tuple[str, str]]:
    told = told_of(run)
    variables = ", ".join(f"{key}={value}" for key, value in told.pipeline.variables.items())
    hashes = [(f"stage {one.stage.name}", one.stage.hash) for one in seen if one.stage.hash]
    return [
        ("run", run.id),
        ("input", run.input_name or "none"),
        ("variables", variables or "none"),
        *((f"model {name}", long) for long, name in short_names(seen).items()),
        *hashes,
    ]
