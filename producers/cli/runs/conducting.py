"""Watches a run of a pipeline to its end, and conducts it meanwhile."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live

from models.states import SETTLED, WORKABLE, JobState
from models.store.stages_seen import StageSeen
from models.tables import Job
from producers.cli.rendering import showing, stage_words
from producers.cli.runs.following import ENQUIRE_S, LINE_S, LOOK_S, NO_WORKER
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.pipelines import Conductor, Runs
from producers.services import Services

Look = tuple[Job, Sequence[StageSeen], str]
NOBODY = "nobody conducts it: `maestrale up` does, or `maestrale watch {}`"


def follow_run(client: Maestrale, run: Job, voice: Voice) -> tuple[Job, Sequence[StageSeen]]:
    """Conducts and shows the run until it is settled or paused; answers its end."""
    with conducted(client, run):
        shown = _live if voice.is_live else _lines
        run, seen, _ = deque(shown(_looks(client, run.id), client, voice), maxlen=1).pop()
    return run, seen


@contextmanager
def conducted(client: Maestrale, run: Job) -> Iterator[None]:
    """Conducts this one run in a thread, as long as the block lasts; others may beside us."""
    conductor = Conductor(client, only=run.id)
    thread = threading.Thread(target=conductor.run, name="conductor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        conductor.close()
        thread.join(10)


@contextmanager
def explaining_interrupts(client: Maestrale, run: Job, voice: Voice) -> Iterator[None]:
    """Ctrl-C ends the watching, not the run: says so, who goes on with it and how to come back."""
    try:
        yield
    except KeyboardInterrupt:
        who = (
            f"  {run.id} goes on without this window."
            if has_conductor(client)
            else f"  {run.id} stays as it is; jobs under way go on."
        )
        voice.say(
            "",
            who,
            showing.hint("Go on and watch it again:", f"maestrale watch {run.id}"),
            showing.hint("Stop it:", f"maestrale pause {run.id}, or cancel"),
        )
        raise


def has_conductor(client: Maestrale) -> bool:
    """Whether `maestrale up` conducts for this home."""
    return any(service.name == "conductor" for service in Services(client.settings).running())


def _looks(client: Maestrale, run_id: str) -> Iterator[Look]:
    runs, note, enquired_at = Runs(client), "", -ENQUIRE_S
    while True:
        run, seen = client.get(run_id), runs.stages(run_id)
        if time.monotonic() - enquired_at >= ENQUIRE_S:
            enquired_at = time.monotonic()
            is_idle = _waits_for_workers(seen) and not client.workers()
            note = NO_WORKER if is_idle else ""
        yield run, seen, note
        if run.state in SETTLED or run.state == JobState.PAUSED:
            return
        time.sleep(LOOK_S)


def _waits_for_workers(seen: Sequence[StageSeen]) -> bool:
    return any(one.is_own and one.job and one.job.state in WORKABLE for one in seen)


def _live(looks: Iterator[Look], client: Maestrale, voice: Voice) -> Iterator[Look]:
    with Live(console=voice.words, refresh_per_second=4, transient=True) as live:
        for run, seen, note in looks:
            live.update(stage_words.run_view(run, seen, client.store.now(), note))
            yield run, seen, note


def _lines(looks: Iterator[Look], _client: Maestrale, voice: Voice) -> Iterator[Look]:
    due, told = time.monotonic() + LINE_S / 5, ""
    for run, seen, note in looks:
        states = " ".join(one.stage.state for one in seen)
        if time.monotonic() >= due or states != told:
            due, told = time.monotonic() + LINE_S, states
            voice.say(stage_words.run_line(run, seen, note))
        yield run, seen, note
