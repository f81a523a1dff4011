"""Which stages of a run are due, given how all of them stand. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from models.states import SETTLED, STAGE_GOOD, STAGE_LOST, STAGE_OPEN, JobState, StageState
from models.tables import Job, Stage


@dataclass(frozen=True, slots=True)
class Due:
    """What may be done about a run just now."""

    begin: list[str]
    """Stages all of whose needs are done."""
    collect: list[str]
    """Stages whose job is over, and those whose claim ran out: whoever had them died."""
    skip: dict[str, str]
    """Stages one of whose needs is lost, with the reason."""
    is_over: bool
    """Whether no stage is open any more."""
    stands: str = ""
    """Why nothing can move: every job that the rest waits for is paused."""


def due(stages: Sequence[Stage], jobs: Mapping[str, Job], now: float) -> Due:
    """What may be done, by the stages of one run and the jobs that do them.

    `now`: seconds since the epoch by the database's clock.
    """
    states = {stage.name: StageState(stage.state) for stage in stages}
    skip = _lost(stages, states)
    begin = [stage.name for stage in stages if _may_begin(stage, states)]
    running = [stage for stage in stages if states[stage.name] == StageState.RUNNING]
    over = [stage.name for stage in running if _state_of(stage, jobs) in SETTLED]
    in_hand = [stage for stage in stages if states[stage.name] == StageState.WORKING]
    lapsed = [stage.name for stage in in_hand if (stage.claimed_until or 0.0) <= now]
    is_over = not any(state in STAGE_OPEN for state in states.values())
    waits = {stage.name for stage in stages if stage.reason}  # looked at: others have to move
    moves = in_hand or skip or {*begin, *over} - waits
    at_work = [stage for stage in running if stage.name not in over]
    paused = [stage for stage in at_work if _state_of(stage, jobs) == JobState.PAUSED]
    stands = "" if moves or not paused or len(paused) < len(at_work) else _why(paused[0], jobs)
    return Due(begin, [*over, *lapsed], skip, is_over, stands)


def alone_s(run: Job, stages: Sequence[Stage], jobs: Mapping[str, Job], now: float) -> float:
    """For how many seconds nobody has done what is due; 0: nothing is.

    A stage that says what it waits for was looked at: it is for others to move.
    """
    told = due(stages, jobs, now)
    waits = {stage.name for stage in stages if not stage.reason}
    is_due = told.is_over or bool(waits & {*told.begin, *told.collect})
    claims = [stage.claimed_until for stage in stages if stage.claimed_until is not None]
    if not is_due:
        return 0.0
    theirs = [job for stage in stages if (job := jobs.get(stage.job_id or ""))]
    ends = [one.finished_at or 0.0 for one in stages] + [job.finished_at or 0.0 for job in theirs]
    return max(0.0, now - max(run.created_at, *ends, *claims))


def needs_of(stage: Stage) -> list[str]:
    """The stages that must be done before it."""
    return list(orjson.loads(stage.needs))


def _may_begin(stage: Stage, states: Mapping[str, StageState]) -> bool:
    is_waiting = states[stage.name] == StageState.WAITING
    return is_waiting and all(states[need] in STAGE_GOOD for need in needs_of(stage))


def _lost(stages: Sequence[Stage], states: Mapping[str, StageState]) -> dict[str, str]:
    """Those that wait for what will not come, and so on down to the last."""
    lost = {name for name, state in states.items() if state in STAGE_LOST}
    found: dict[str, str] = {}
    waiting = [stage for stage in stages if states[stage.name] == StageState.WAITING]
    while more := [
        (stage.name, need)
        for stage in waiting
        for need in needs_of(stage)
        if stage.name not in lost and need in lost
    ]:
        for name, need in more:
            found.setdefault(name, f"it needs {need}, which was not done")
            lost.add(name)
    return found


def _state_of(stage: Stage, jobs: Mapping[str, Job]) -> JobState | None:
    """Of its job; one that is gone is as good as cancelled."""
    job = jobs.get(stage.job_id or "")
    return JobState(job.state) if job else JobState.CANCELLED


def _why(stage: Stage, jobs: Mapping[str, Job]) -> str:
    job = jobs[stage.job_id or ""]
    return f"stage {stage.name}: {job.id} is paused: {job.state_reason}"
