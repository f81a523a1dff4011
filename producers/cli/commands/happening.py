"""`maestrale events`: what happened to a job, or what happens just now."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from producers.cli.options import AsJson

if TYPE_CHECKING:
    from models.tables import Event
    from producers.cli.voice import Voice


def events(
    job_id: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB", help="The job's id, or a unique beginning of it.", show_default=False
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Go on as they come: to the job's end, or of all jobs until Ctrl-C."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the events of a job, or follow those of all jobs."""
    from models.errors import BadInputError
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    if job_id is None and not follow:
        raise BadInputError("say which job: `maestrale events JOB`, or --follow for all of them")
    voice = Voice(as_json=as_json)
    with client() as maestrale:
        job = maestrale.get(job_id) if job_id else None
        if follow:
            come = maestrale.events.follow_job(job.id) if job else maestrale.events.follow()
            _tell(come, voice)
            return
        found = maestrale.events.of(job.id) if job else []
    voice.facts(
        [webhook_words.event_facts(event) for event in found],
        *(webhook_words.event_line(event) for event in found),
    )


def _tell(come: Iterable["Event"], voice: "Voice") -> None:
    """One line each, or one line of JSON each, as they come."""
    from producers.cli.rendering import webhook_words

    for event in come:
        if voice.as_json:
            voice.fact_line(webhook_words.event_facts(event))
        else:
            voice.say(webhook_words.event_line(event))
