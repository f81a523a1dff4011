"""`maestrale sweep ...`: the runs of a sweep compared, as a table and as curves."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated

import typer

from producers.cli.options import AsJson, JobId

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
    from models.errors import BadInputError
    from producers import sweeps
    from producers.cli import learning_words, showing
    from producers.cli.opening import client
    from producers.cli.voice import Voice
    from producers.training import Training, spec_of_job

    with client() as maestrale:
        job = maestrale.get(job_id)
        if spec_of_job(job) is None:
            raise BadInputError(f"{job.id} is a {job.kind} job: it trains nothing")
        training = Training(maestrale)
        runs = sweeps.ranked(training, training.children(job.id) or [job])
    facts = {"job": job.id, "state": job.state, "runs": [sweeps.facts_of(run) for run in runs]}
    words = [learning_words.headline(job), learning_words.ranking(runs)]
    if png is not None:
        from producers import curves

        drawn = curves.draw(runs, png)
        facts["png"] = [str(path) for path in drawn]
        words.append(showing.line("curves", ", ".join(str(path) for path in drawn)))
    Voice(as_json=as_json).facts(facts, *words)
