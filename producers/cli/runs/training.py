"""One run of `maestrale train`, step by step: a training job, or a sweep of them."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.live import Live

from models.states import WORKABLE, JobState
from models.tables import Job
from models.training.plan import Planned
from producers import sweeps, trainers
from producers.cli.opening import client
from producers.cli.rendering import facts, showing, training_words
from producers.cli.runs import contradictions
from producers.cli.runs.asking import tell_hooks
from producers.cli.runs.ending import exit_code
from producers.cli.runs.following import LINE_S, LOOK_S, NO_WORKER, explaining_interrupts
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.training import Training, Wish, default_name, spec_of_job
from producers.training_jobs import Submission

Look = tuple[Job, list[training_words.Shown], str]
"""A job as it stands, its runs, and a note on what is missing."""


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants it done."""

    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Of a sweep; none: one run."""
    watch: bool = True
    dry_run: bool = False
    priority: int = 5
    webhooks: tuple[str, ...] = ()
    budget: str | None = None
    again: bool = False
    idempotency_key: str | None = None


class Learning:
    """Plans, submits, watches; answers the exit code."""

    def __init__(self, wish: Wish, how: How, voice: Voice) -> None:
        self._wish = wish
        self._how = how
        self._voice = voice
        self._facts: dict[str, Any] = {}

    def run(self) -> int:
        """The whole of it."""
        contradictions.check(self._wish, self._how.axes)
        with client() as maestrale:
            training = Training(maestrale)
            runs = self._plan(training)
            self._announce(runs)
            budget = training.check_budget(runs, self._how.budget)
            if self._how.dry_run:
                self._voice.say("", showing.hint("Nothing was submitted or paid (--dry-run)."))
                return self._end(0)
            if self._wish.trainer == "local":
                trainers.check(maestrale)
            job = self._submit(maestrale, training, runs, budget)
            return self._end(self._see(maestrale, training, job))

    def _plan(self, training: Training) -> list[Planned]:
        with self._voice.busy("reading the dataset"):
            if self._how.axes:
                return training.plan_sweep(self._wish, self._how.axes)
            return [training.plan(self._wish)]

    def _announce(self, runs: Sequence[Planned]) -> None:
        self._voice.say("", training_words.title(runs), training_words.plans(runs))
        self._facts["runs"] = [training_words.plan_facts(run) for run in runs]

    def _submit(
        self, maestrale: Maestrale, training: Training, runs: Sequence[Planned], budget: int | None
    ) -> Job:
        hooks = maestrale.webhooks.prepare(self._how.webhooks)
        how = Submission(
            priority=self._how.priority,
            again=self._how.again,
            idempotency_key=self._how.idempotency_key,
            webhooks=tuple(hooks),
            budget_nano=budget,
        )
        if self._how.axes:
            name = self._wish.name or default_name(runs[0].spec.dataset.name, self._wish.base)
            job = training.submit_sweep(runs, how, name=name)
        else:
            job = training.submit(runs[0], how)
        self._voice.say(showing.line("job", job.id))
        self._facts["job"] = facts.job_facts(job)
        self._facts |= tell_hooks(maestrale, job, hooks, self._voice)
        return job

    def _see(self, maestrale: Maestrale, training: Training, job: Job) -> int:
        note = what_lacks(maestrale, job)
        self._facts["warning"] = note or None
        self._voice.say(*([showing.warning(note)] if note else []))
        if not self._how.watch:
            self._voice.say("", showing.hint("Watch it:", f"maestrale watch {job.id}"))
            return 0
        self._voice.say("")
        with explaining_interrupts(job, self._voice):
            job = follow(maestrale, training, job, self._voice, noted=note)
        self._facts["job"] = facts.job_facts(job)
        self._facts.update(report(maestrale, training, job, self._voice))
        return exit_code(job)

    def _end(self, code: int) -> int:
        if self._voice.as_json:
            self._voice.facts(self._facts)
        return code


def watch(maestrale: Maestrale, job: Job, voice: Voice) -> tuple[Job, int]:
    """`maestrale watch` of a training job: its end, and the exit code."""
    training = Training(maestrale)
    with explaining_interrupts(job, voice):
        job = follow(maestrale, training, job, voice)
    report(maestrale, training, job, voice)
    return job, exit_code(job)


def follow(
    maestrale: Maestrale, training: Training, job: Job, voice: Voice, *, noted: str = ""
) -> Job:
    """Shows the run, or the sweep's runs, until the job is settled or paused; answers its end.

    `noted`: what was said already to be missing.
    """
    looks = _looks(maestrale, training, job)
    shown = _live(looks, voice) if voice.is_live else _lines(looks, voice, noted)
    return deque(shown, maxlen=1).pop()


def _live(looks: Iterator[Look], voice: Voice) -> Iterator[Job]:
    with Live(console=voice.words, refresh_per_second=4, transient=True) as live:
        for job, shown, note in looks:
            lacks = [showing.warning(note)] if note else []
            live.update(Group(*(training_words.progress(one) for one in shown), *lacks))
            yield job


def _lines(looks: Iterator[Look], voice: Voice, noted: str) -> Iterator[Job]:
    due, told = time.monotonic() + LINE_S / 5, ""
    for job, shown, note in looks:
        if note and note != noted:
            noted = note
            voice.say(showing.warning(note))
        lines = [training_words.progress_line(one) for one in shown]
        if time.monotonic() >= due and "\n".join(lines) != told:
            due, told = time.monotonic() + LINE_S, "\n".join(lines)
            voice.say(*lines)
        yield job


def _looks(maestrale: Maestrale, training: Training, job: Job) -> Iterator[Look]:
    children = [child.id for child in training.children(job.id)]
    for now in maestrale.watch(job.id, every_s=LOOK_S):
        runs = [maestrale.get(child) for child in children] or [now]
        shown = [training_words.Shown(run, training.points(run.id)) for run in runs]
        yield now, shown, what_lacks(maestrale, now)


def what_lacks(maestrale: Maestrale, job: Job) -> str:
    """Why the job does not move, as far as can be seen from here; empty if nothing is missing."""
    spec = spec_of_job(job)
    if job.state not in WORKABLE or spec is None:
        return ""
    if spec.trainer == "local" and job.state == JobState.QUEUED:
        return trainers.missing(maestrale)
    return "" if maestrale.workers() else NO_WORKER


def report(maestrale: Maestrale, training: Training, job: Job, voice: Voice) -> dict[str, Any]:
    """How it ended and what to do next; answers the facts."""
    children = training.children(job.id)
    if children:
        ranked = sweeps.ranked(training, children)
        voice.say(training_words.headline(job), "", training_words.ranking(ranked))
        voice.say("", showing.hint("Draw it:", f"maestrale sweep show {job.id} --png FOLDER"))
        return {"ranking": [sweeps.facts_of(run) for run in ranked]}
    voice.say(training_words.headline(job))
    for failure in maestrale.failures(job.id, limit=1):
        voice.say(showing.warning(str(failure["detail"])))
        voice.say(showing.hint("Try it again:", f"maestrale retry {job.id}"))
    model = training.model_of(job.id)
    if model is None or job.state != JobState.SUCCEEDED:
        next_step = showing.what_to_do(job)
        voice.say(*([next_step] if next_step is not None else []))
        return {}
    voice.say(training_words.model(model))
    return {"model": training_words.model_facts(model)}
