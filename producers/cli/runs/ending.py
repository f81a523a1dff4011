"""How a job that was watched ended: in words, and as an exit code."""

from rich.text import Text

from models.states import JobState
from models.tables import Job
from producers.cli import codes
from producers.cli.rendering import showing
from producers.cli.rendering.showing import Limited
from producers.cli.voice import Voice
from producers.client import Maestrale


def report(maestrale: Maestrale, job: Job, limit: Limited | None, voice: Voice) -> None:
    """How the job ended, its failures by reason, and what to do next."""
    voice.say(Text("  ") + showing.headline(job), showing.summary(job, limit))
    if job.rows_failed:
        codes = maestrale.failures_by_code(job.id)
        voice.say("", showing.failures_by_code(codes, job.id))
    next_step = showing.what_to_do(job)
    if next_step is not None:
        voice.say("", next_step)


def exit_code(job: Job) -> int:
    """0 for a job that succeeded, or still may."""
    bad = (JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)
    return codes.NOT_DONE if job.state in bad else codes.DONE
