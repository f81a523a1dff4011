"""Watches a job to its end: live in a terminal, a line now and then elsewhere."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live

from models.states import WORKABLE, JobState
from models.tables import Job
from producers.cli.rendering import display, operation_words, showing
from producers.cli.rendering.display import Progress
from producers.cli.rendering.facts import estimate_of, paced_by
from producers.cli.rendering.pace import Pace, Seen
from producers.cli.rendering.showing import Limited
from producers.cli.voice import Voice
from producers.client import Maestrale

LOOK_S = 0.5
LINE_S = 5.0
"""How often a line is printed where no display can move."""
WAITING_LINE_S = 60.0
"""The same while the job waits for remote work, which takes hours."""
ENQUIRE_S = 2.0
"""How often workers and limits are asked for."""
NO_WORKER = "no worker is running: start them with `maestrale up`"
OTHER_ACCOUNT = (
    "the workers here were started with another MISTRAL_API_KEY or MISTRAL_BASE_URL: "
    "`maestrale down`, then `maestrale up`"
)


class Follower:
    """One job under observation."""

    def __init__(self, client: Maestrale, job: Job) -> None:
        self._client = client
        estimate = estimate_of(job)
        self._calls_expected = estimate.calls if estimate else 0
        self._models = paced_by(job)
        self._pace = Pace(rows=job.rows_total, calls=self._calls_expected)
        self._enquired_at = -ENQUIRE_S
        self._note = ""
        self._waits_for: Sequence[str] = ()
        self.limit: Limited | None = None

    def look(self, job: Job) -> Progress:
        """What to show of the job as it stands now."""
        now = time.monotonic()
        if now - self._enquired_at >= ENQUIRE_S:
            self._enquired_at = now
            self._enquire(job)
        answered = job.calls_made + job.calls_from_ledger
        settled = job.rows_done + job.rows_failed
        self._pace.note(Seen(now, job.calls_made, answered, settled))
        return Progress(
            job=job,
            calls_expected=self._calls_expected,
            calls_per_s=self._pace.calls_per_s,
            seconds_left=self._pace.seconds_left,
            limit=self.limit,
            note=self._note,
            waits_for=self._waits_for if job.state == JobState.WAITING else (),
        )

    def _enquire(self, job: Job) -> None:
        self.limit = showing.limited(self._models, self._client.limits())
        is_idle = job.state in WORKABLE and not self._client.workers()
        self._note = NO_WORKER if is_idle else ""
        if job.state == JobState.WAITING:
            found = self._client.operations(job.id)
            self._waits_for = operation_words.lines(found, self._client.store.now())


def follow(client: Maestrale, job: Job, voice: Voice) -> tuple[Job, Limited | None]:
    """Shows the job until it is settled or paused; answers its end and the limit it ran under."""
    follower = Follower(client, job)
    shown = _live if voice.is_live else _lines
    looks = shown(follower, client.watch(job.id, every_s=LOOK_S), voice)
    return deque(looks, maxlen=1).pop(), follower.limit


def _live(follower: Follower, looks: Iterator[Job], voice: Voice) -> Iterator[Job]:
    with Live(console=voice.words, refresh_per_second=4, transient=True) as live:
        for job in looks:
            live.update(display.progress(follower.look(job)))
            yield job


def _lines(follower: Follower, looks: Iterator[Job], voice: Voice) -> Iterator[Job]:
    due = time.monotonic() + LINE_S / 5
    for job in looks:
        progress = follower.look(job)
        if time.monotonic() >= due:
            waits = job.state == JobState.WAITING
            due = time.monotonic() + (WAITING_LINE_S if waits else LINE_S)
            voice.say(display.progress_line(progress))
        yield job


@contextmanager
def explaining_interrupts(job: Job, voice: Voice) -> Iterator[None]:
    """Ctrl-C ends the watching, not the job: says so and how to come back."""
    try:
        yield
    except KeyboardInterrupt:
        voice.say(
            "",
            f"  {job.id} goes on without this window.",
            showing.hint("Watch it again:", f"maestrale watch {job.id}"),
            showing.hint("Stop it:", f"maestrale pause {job.id}, or cancel"),
        )
        raise
