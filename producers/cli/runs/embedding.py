"""One run of `maestrale embed`, step by step; and the export of what such a job embedded."""

from pathlib import Path
from typing import Any

from rich.text import Text

from models.errors import BadInputError, DuplicateJobError
from models.states import JobState
from models.tables import Job
from producers import exports
from producers.cli import outputs
from producers.cli.opening import client
from producers.cli.options import Format
from producers.cli.rendering import showing, store_words
from producers.cli.rendering.words import safe
from producers.cli.runs.asking import Asking, How
from producers.cli.runs.ending import exit_code
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.embedding import Embeddings, Wish
from producers.planning import EmbeddingPlan

LONGEST_TEMPLATE = 1 << 20


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
        if wish.path is not None:
            check_store_file(wish.path, overwrite=how.overwrite or how.dry_run)
        self._wish = wish
        self._how = how
        self._voice = voice

    def run(self) -> int:
        """The whole of it."""
        with client() as maestrale:
            asking = Asking(maestrale, self._how, self._voice)
            embeddings = Embeddings(maestrale)
            with self._plan(embeddings) as plan:
                store = self._wish.path or Path(f"{plan.embedding.store}.parquet")
                job = _submit(asking, plan, store)
                if job is None:
                    return asking.end(0)
            if self._how.watch:
                return asking.end(self._watch(embeddings, asking, job))
            export = f"maestrale export {job.id}"
            return asking.end(asking.leave(job, "Write its store when it is done:", export))

    def _plan(self, embeddings: Embeddings) -> EmbeddingPlan:
        with self._voice.busy(f"reading {safe(self._wish.source)}"):
            return embeddings.plan(self._wish)

    def _watch(self, embeddings: Embeddings, asking: Asking, job: Job) -> int:
        job = asking.watch(job)
        if job.state == JobState.SUCCEEDED and job.rows_done:
            asking.facts["store"] = write_store(embeddings, job, self._voice)
        return exit_code(job)


def _submit(asking: Asking, plan: EmbeddingPlan, store: Path) -> Job | None:
    try:
        return asking.submit(plan, store, title_of(plan))
    except DuplicateJobError as error:
        if not error.job_id:
            raise
        words = (
            f"{error}. Its store is {plan.embedding.store} (`maestrale stores` lists it, "
            f"`maestrale export {error.job_id}` writes it)"
        )
        raise DuplicateJobError(words, error.job_id) from error


def title_of(plan: EmbeddingPlan) -> Text:
    """Which file goes into which store, by which model."""
    told = plan.embedding
    return Text.assemble(
        "  ",
        (safe(plan.found.name), "bold"),
        "  into ",
        (told.store, "bold"),
        f" ({safe(told.model)})",
    )


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
