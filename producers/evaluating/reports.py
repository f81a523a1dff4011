"""Reports of evaluations: made from what is there, kept in the database, written into folders.

Making is cheap beside asking, changes nothing but the kept report, and may be done by several at
once: whoever comes last has counted at least as many rows.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection

from models.crashing import crash_point
from models.errors import BadInputError, MaestraleError, NotFoundError, SetupError
from models.payloads import JobSpec
from models.states import SETTLED, JobKind
from models.store import registry, reports
from models.suites import Evaluation
from models.tables import Job, TunedModel
from models.whole_files import write_whole
from producers.client import Maestrale
from producers.evaluating import where
from producers.evaluating.evaluating import Evaluating
from producers.evaluating.rendering import charts, markdown, page
from producers.evaluating.report import Report, to_json
from producers.evaluating.rereading import to_report

if TYPE_CHECKING:
    from producers.evaluating.figures.facts import Facts

PAGE, TEXT, FACTS = "report.html", "report.md", "report.json"
log = logging.getLogger(__name__)
_CHART = re.compile(r"charts/[0-9]{2,3}-[a-z0-9][a-z0-9-]{0,59}\.png")
"""What charts of ours are called: see `charts.draw`."""


@dataclass(frozen=True, slots=True)
class Made:
    """A report as it was kept."""

    job: Job
    report: Report
    document: dict[str, Any]
    """The report as JSON, with when and by which version it was made."""
    page: str
    drawn: Sequence[Sequence[charts.Drawn]]
    """The charts of each section."""


def make(maestrale: Maestrale, job: Job) -> Made:
    """Builds the report of an evaluation from its done rows, and keeps it with the job.

    A job that still runs has its figures so far. Raises `BadInputError` for a job that evaluates
    nothing, before its first answer, and where the extra `maestrale[evaluate]` is missing.
    """
    from producers.evaluating.figures.build import build  # noqa: PLC0415 # numpy takes a while

    job = maestrale.get(job.id)
    evaluating = Evaluating(maestrale)
    evaluation = evaluating.evaluation(job)
    if not job.rows_done:
        raise BadInputError(
            f"{job.id} has no done row yet, and nothing to report: `maestrale watch {job.id}`"
        )
    more = _facts(maestrale, job, evaluation)
    return keep(maestrale, job, build(evaluation, job, evaluating.found(job), more))


def ensure(maestrale: Maestrale, job: Job) -> bool:
    """Makes the report of a job that is over, unless one was made since; answers whether it did.

    For those who see that a job ended. Nothing is done for a job without done rows.
    """
    job = maestrale.get(job.id)
    if job.state not in SETTLED or not job.rows_done:
        return False
    with maestrale.store.read() as connection:
        kept = reports.get(connection, job.id)
    if kept is not None and job.finished_at is not None and kept.made_at >= job.finished_at:
        return False
    make(maestrale, job)
    return True


def catch_up(maestrale: Maestrale, passed_over: set[str]) -> list[str]:
    """Makes the reports of evaluations that ended with nobody watching; answers their jobs.

    What cannot be made is said once in the log, and put to `passed_over`, which is left alone.
    """
    with maestrale.store.read() as connection:
        found = [job for job in reports.lacking(connection) if job not in passed_over]
    made = []
    for job_id in found:
        try:
            ensure(maestrale, maestrale.get(job_id))
            made.append(job_id)
        except MaestraleError as error:
            passed_over.add(job_id)
            log.warning("%s has no report: %s", job_id, error)
    return made


def keep(maestrale: Maestrale, job: Job, report: Report) -> Made:
    """Renders any report (a pipeline's, too) and keeps it with the job."""
    if not charts.can_draw():
        report = replace(report, warnings=[*report.warnings, charts.MISSING])
    drawn = charts.draw_all(report)
    made_at = datetime.fromtimestamp(maestrale.store.now(), UTC)
    document = {
        "maestrale": version("maestrale"),
        "made_at": made_at.isoformat(timespec="seconds"),
        "name": job.name,
        **to_json(report),
    }
    html = page.html(report, drawn, f"{made_at:%Y-%m-%d %H:%M}")
    with maestrale.store.write() as connection:
        reports.put(connection, job.id, _json(document), html)
    crash_point("report.kept")
    return Made(job, report, document, html, drawn)


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as it was last made, without its page."""

    report: Report
    document: dict[str, Any]

    @property
    def made_at(self) -> str:
        """When, in ISO 8601, UTC."""
        return str(self.document.get("made_at", ""))


def read_kept(maestrale: Maestrale, job: Job) -> Kept | None:
    """The report as it was last made; None if there is none that this version can read."""
    with maestrale.store.read() as connection:
        found = reports.get(connection, job.id)
    document = orjson.loads(found.report) if found else None
    report = to_report(document) if document else None
    return Kept(report, document) if report is not None and document else None


def made_or_kept(maestrale: Maestrale, job: Job) -> Made:
    """An evaluation's report, made anew; of another kind of job the one that it was given."""
    if job.kind == JobKind.EVALUATE:
        return make(maestrale, job)
    found = read_kept(maestrale, job)
    with maestrale.store.read() as connection:
        html = reports.page(connection, job.id)
    if found is None or html is None:
        raise NotFoundError(f"{job.id} is a {job.kind} job, and there is no report of it")
    return Made(job, found.report, found.document, html, charts.draw_all(found.report))


def _facts(maestrale: Maestrale, job: Job, evaluation: Evaluation) -> "Facts":
    """What the report has to say besides what was found."""
    from producers.evaluating.figures.facts import Facts  # noqa: PLC0415 # as above

    told = evaluation.asked_as
    named = {one.model for one in evaluation.contestants} | set(evaluation.judges)
    with maestrale.store.read() as connection:
        tuned = {name: _tuned(connection, name) for name in named}
    return Facts(
        suite=told.get("suite", ""),
        data=told.get("data", ""),
        store=told.get("store", ""),
        server=told.get(where.SERVER, ""),
        limit=int(told["limit"]) if "limit" in told else None,
        via=JobSpec.model_validate_json(job.spec).options.via,
        failures=maestrale.failures_by_code(job.id),
        models={name: _lineage(model) for name, model in tuned.items() if model},
    )


def _tuned(connection: Connection, name: str) -> TunedModel | None:
    """By its name here, or the provider's."""
    return registry.by_name(connection, name) or registry.by_place(connection, name)


def _lineage(model: TunedModel) -> str:
    data = (
        f"{model.dataset_name} ({model.dataset_hash[:16]})" if model.dataset_name else "a dataset"
    )
    return f"{model.base} tuned on {data} by {model.job_id}"


# -- into a folder ---------------------------------------------------------------------------------


def check_folder(folder: Path, name: str, *, overwrite: bool = False) -> None:
    """`BadInputError` if a report cannot be written there. Ask before anything is paid for.

    Files that are there are kept, unless they are a report of the same `name` (the suite's or the
    recipe's), whosever job it is of: any is made anew from its job at any time. Of charts, those
    that it lists.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is no folder: name another one for the report")
    there = has_report(folder)
    written = _written(folder)
    if not there or overwrite or written.get("name") == name:
        return
    whose = f"the report of {written['job_id']}" if written else f"no report on {name}"
    raise BadInputError(
        f"{folder} has a {there} already, and it is {whose}: choose another folder, or replace "
        "what is there (--overwrite)"
    )


def job_there(folder: Path) -> str:
    """The job whose report lies there; empty if none does."""
    return str(_written(folder).get("job_id", ""))


def has_report(folder: Path) -> str:
    """The first file of a report, or what is named like one, that is there; empty if none is."""
    return next((one for one in (PAGE, TEXT, FACTS, "charts") if (folder / one).exists()), "")


def write(made: Made, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Writes page, Markdown, JSON and charts into the folder; answers the files, the page first.

    Raises `BadInputError` as `check_folder` does, `SetupError` for a disk that is full.
    """
    check_folder(folder, made.job.name, overwrite=overwrite)
    pictures = {f"charts/{one.file}": one.picture() for part in made.drawn for one in part}
    when = str(made.document["made_at"])[:16].replace("T", " ")
    text = markdown.markdown(made.report, made.drawn, when)
    files = {PAGE: made.page.encode(), TEXT: text.encode(), **pictures}
    names = [*files, FACTS]
    facts = _json({**made.document, "files": names}, indented=True).encode()
    try:  # the facts first: they say whose report it is to whoever writes it again after a death
        _write_all(folder, {FACTS: facts, **files})
    except OSError as error:
        raise SetupError(
            f"the report cannot be written into {folder} ({error.strerror or error}): free some "
            "space or choose another folder"
        ) from error
    return [folder / name for name in names]


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files, each whole or not at all. The charts that the report before it lists go first,
    while its list is there: so whoever dies here leaves none that nobody lists."""
    for name in _charts_of(_written(folder)) - files.keys():
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        crash_point("report.writing")


def _charts_of(written: Mapping[str, Any]) -> set[str]:
    """Names of ours alone, whatever else somebody wrote into the list."""
    listed = written.get("files")
    names = listed if isinstance(listed, list) else []
    return {name for name in names if isinstance(name, str) and _CHART.fullmatch(name)}


def _written(folder: Path) -> Mapping[str, Any]:
    """What the report that is there says of itself; nothing if there is none."""
    try:
        found = orjson.loads((folder / FACTS).read_bytes())
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(found, dict) and "maestrale" in found and "job_id" in found
    return found if is_ours else {}


def _json(document: Mapping[str, Any], *, indented: bool = False) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else 0).decode()
