"""`maestrale sweep ...`: the runs of a sweep compared, as a table and as curves."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from producers.cli.options import AsJson, JobId

if TYPE_CHECKING:
    from models.tables import Job
    from producers.cli.voice import Voice
    from producers.sweeps import Ran

app = typer.Typer(no_args_is_help=True, help="Compare the runs of a sweep.")


@app.callback()
def sweep() -> None:
    """A callback keeps `show` a command of its own."""


@app.command()
def show(
    job_id: JobId,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw learning curves into this folder."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the runs by validation loss; one training job alone is a sweep of one."""
    from producers import sweeps
    from producers.cli.opening import client
    from producers.cli.rendering import training_words
    from producers.cli.voice import Voice
    from producers.training import Training

    with client() as maestrale:
        job = maestrale.get(job_id)
        _check_trains(job)
        training = Training(maestrale)
        runs = sweeps.ranked(training, training.children(job.id) or [job])
        python = maestrale.settings.train_python
    voice = Voice(as_json=as_json)
    voice.say(training_words.headline(job), training_words.ranking(runs))
    facts = {"job": job.id, "state": job.state, "runs": [sweeps.facts_of(run) for run in runs]}
    try:
        if png is not None:
            facts["png"] = _drawn(runs, png, python, voice)
    finally:  # what is known is told, whatever becomes of the curves
        voice.facts(facts)


def _check_trains(job: "Job") -> None:
    from models.errors import BadInputError
    from models.states import JobKind
    from producers.training import spec_of_job

    if job.kind != JobKind.TRAIN:
        raise BadInputError(f"{job.id} is a {job.kind} job: it trains nothing")
    if spec_of_job(job) is None:
        raise BadInputError(
            f"{job.id} was submitted by another version of Maestrale, and this one cannot read "
            "what it trains: ask with that version"
        )


def _drawn(runs: "Sequence[Ran]", folder: Path, python: str, voice: "Voice") -> list[str]:
    from producers import curves
    from producers.cli.rendering import showing

    with voice.busy("drawing"):
        files = [str(path) for path in curves.draw(runs, folder, python=python)]
    voice.say(showing.line("curves", ", ".join(files)))
    return files
