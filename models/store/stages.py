"""Stages of pipelines' runs: claims with a lease, and one guarded move per state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from models.events import REASON_LENGTH
from models.states import (
    STAGE_GOOD,
    STAGE_LOST,
    STAGE_OPEN,
    STAGE_TRANSITIONS,
    WORKABLE,
    JobKind,
    JobState,
    StageState,
)
from models.store import events, reading, stages_seen
from models.store import jobs as job_moves
from models.store.engine import now_s
from models.store.families import family
from models.tables import Job, Stage, table_of

stages = table_of(Stage)
jobs = table_of(Job)

SWEEP = "sweep"
"""Note of a stage whose runs are being ranked by a suite: the sweep's job."""

SUMMED = tuple(name for name in job_moves.COUNTERS if not name.startswith("rows_"))
"""What a run counts by its jobs; its rows are its stages."""


@dataclass(frozen=True, slots=True)
class StageInHand:
    """A stage that this process may work on until its claim runs out. `owner`: of this claim."""

    stage: Stage
    owner: str

    @property
    def key(self) -> tuple[str, str]:
        """Its run and its name."""
        return self.stage.run_id, self.stage.name


def create(connection: Connection, run: Job, planned: Sequence[Mapping[str, Any]]) -> None:
    """Inserts the run with its event, and its stages: `name`, `kind` and `needs` of each."""
    job_moves.create(connection, run)
    for place, one in enumerate(planned):
        told = {"name": one["name"], "kind": one["kind"], "place": place, "run_id": run.id}
        needs = orjson.dumps(one["needs"]).decode()
        values = {**told, "needs": needs, "state": StageState.WAITING}
        stage = Stage(**values)
        connection.execute(insert(stages).values(**stage.model_dump()))


def set_budget(connection: Connection, run_id: str, budget_nano: int) -> None:
    """What the run may spend from now on; stages that begin share what is left of it."""
    mine = update(jobs).where(jobs.c.id == run_id, jobs.c.kind == JobKind.PIPELINE)
    connection.execute(mine.values(budget_nano=budget_nano))


# -- moves ---------------------------------------------------------------------------------------


def claim(
    connection: Connection, run_id: str, name: str, owner: str, *, hold_s: float
) -> StageInHand | None:
    """Takes a stage that waits, whose job is over, or whose claim ran out; starts its run.

    None: somebody else has it, or its run is paused or over. What it needs is the caller's to know.
    """
    job_moves.lock(connection, [run_id])
    state = connection.scalar(select(jobs.c.state).where(jobs.c.id == run_id))
    if state not in WORKABLE:
        return None
    before = _get(connection, run_id, name)
    lapsed = (stages.c.state == StageState.WORKING) & (stages.c.claimed_until <= now_s())
    free = stages.c.state.in_((StageState.WAITING, StageState.RUNNING))
    taken = connection.execute(
        update(stages)
        .where(_is(run_id, name), or_(free, lapsed))
        .values(
            state=StageState.WORKING,
            owner=owner,
            claimed_until=now_s() + hold_s,
            started_at=func.coalesce(stages.c.started_at, now_s()),
        )
    )
    if not taken.rowcount or before is None:
        return None
    job_moves.start(connection, run_id)
    if before.started_at is None:
        _tell(connection, run_id, name, "stage.started")
    found = _get(connection, run_id, name)
    assert found is not None
    return StageInHand(found, owner)


def renew(connection: Connection, held: StageInHand, *, hold_s: float) -> bool:
    """Keeps the claim; False: somebody else took it, or the run was given up."""
    kept = connection.execute(
        update(stages).where(_mine(held)).values(claimed_until=now_s() + hold_s)
    )
    return bool(kept.rowcount)


def note_hash(connection: Connection, held: StageInHand, digest: str) -> bool:
    """Notes what the stage is known by."""
    return bool(connection.execute(update(stages).where(_mine(held)).values(hash=digest)).rowcount)


def hand_back(connection: Connection, held: StageInHand, reason: str = "") -> bool:
    """working -> waiting, or running where a job does it already: another claim goes on."""
    target = StageState.RUNNING if held.stage.job_id else StageState.WAITING
    return _move(connection, held, target, reason=reason)


def submitted(
    connection: Connection, held: StageInHand, job_id: str, notes: Mapping[str, Any]
) -> bool:
    """working -> running: a job does it. It is stopped with a run that was stopped meanwhile."""
    run_id = held.stage.run_id
    job_moves.lock(connection, [run_id, *family(connection, job_id)])
    output = orjson.dumps(dict(notes)).decode()
    moved = _move(connection, held, StageState.RUNNING, job_id=job_id, output=output)
    run = job_moves.get(connection, run_id)
    if run is not None and run.state == JobState.CANCELLED:
        job_moves.cancel(connection, job_id)
    elif run is not None and run.state == JobState.PAUSED:
        job_moves.pause(connection, job_id, run.state_reason)
    return moved


def finish(connection: Connection, held: StageInHand, output: Mapping[str, Any]) -> bool:
    """working -> done, with what later stages read."""
    told = orjson.dumps(dict(output)).decode()
    job_id = output.get("job", held.stage.job_id)  # of a sweep that was ranked: not the ranking's
    return _end(connection, held, StageState.DONE, output=told, job_id=job_id)


def reuse(connection: Connection, held: StageInHand, known: Stage) -> bool:
    """working -> reused, with the outputs of an earlier run, and the job that made them."""
    reason = f"as in {known.run_id}"
    values = {"output": known.output, "job_id": known.job_id, "reason": reason}
    return _end(connection, held, StageState.REUSED, **values)


def fail(connection: Connection, held: StageInHand, reason: str) -> bool:
    """working -> failed."""
    return _end(connection, held, StageState.FAILED, reason=reason)


def skip(connection: Connection, run_id: str, name: str, reason: str) -> bool:
    """waiting -> skipped: a stage that it needs is lost."""
    job_moves.lock(connection, [run_id])
    moved = connection.execute(
        update(stages)
        .where(_is(run_id, name), stages.c.state == StageState.WAITING)
        .values(state=StageState.SKIPPED, reason=reason[:REASON_LENGTH], finished_at=now_s())
    )
    return bool(moved.rowcount)


def reopen(connection: Connection, stage: Stage, *, job_id: str | None) -> bool:
    """failed or skipped -> running with its job, or waiting to be begun anew if that is None.

    With its sweep instead of what ranked the runs it is the sweep that is done, under another
    attempt: they are ranked anew.
    """
    target = StageState.RUNNING if job_id else StageState.WAITING
    values: dict[str, Any] = {} if job_id else {"hash": "", "started_at": None}
    if job_id is None or job_id != stage.job_id:
        values |= {"attempt": stages.c.attempt + 1, "job_id": job_id, "output": "{}"}
    moved = connection.execute(
        update(stages)
        .where(
            _is(stage.run_id, stage.name),
            stages.c.state == stage.state,
            stages.c.state.in_(_sources_of(target)),
        )
        .values(state=target, reason="", finished_at=None, **values)
    )
    return bool(moved.rowcount)


def sweep_of(stage: Stage) -> str | None:
    """The sweep whose runs are being ranked, or were when it failed."""
    sweep = orjson.loads(stage.output).get(SWEEP)
    return sweep if isinstance(sweep, str) else None  # outputs have a list of that name


# -- the run ---------------------------------------------------------------------------------------


def recount(connection: Connection, run_id: str) -> None:
    """Counts the run anew: calls, tokens and cost of its jobs and theirs; stages as its rows."""
    job_moves.lock(connection, [run_id])
    mine = select(jobs.c.id).where(jobs.c.parent_id == run_id)
    theirs = or_(jobs.c.parent_id == run_id, jobs.c.parent_id.in_(mine))
    sums = [func.coalesce(func.sum(jobs.c[name]), 0).label(name) for name in SUMMED]
    counted = connection.execute(select(*sums).where(theirs)).mappings().one()
    query = select(stages.c.state, func.count()).where(stages.c.run_id == run_id)
    found = {one[0]: int(one[1]) for one in connection.execute(query.group_by(stages.c.state))}
    good = sum(found.get(state, 0) for state in STAGE_GOOD)
    lost = sum(found.get(state, 0) for state in STAGE_LOST)
    values = {name: int(counted[name]) for name in SUMMED}
    values |= {"rows_done": good, "rows_failed": lost, "shards_done": good + lost}
    differs = or_(*(jobs.c[name] != value for name, value in values.items()))
    connection.execute(update(jobs).where(jobs.c.id == run_id, differs).values(**values))


def settle(connection: Connection, run_id: str) -> JobState | None:
    """Settles a run none of whose stages is open: succeeded, or failed by name of the first lost.

    One that failed goes before one that was passed over for it: that is where to look.
    Answers the final state if this call settled it.
    """
    recount(connection, run_id)
    found = stages_seen.of_run(connection, run_id)
    if any(stage.state in STAGE_OPEN for stage in found):
        return None
    lost = [stage for stage in found if stage.state in STAGE_LOST]
    lost.sort(key=lambda stage: stage.state != StageState.FAILED)
    reason = f"stage {lost[0].name}: {lost[0].reason}" if lost else ""
    target = JobState.FAILED if lost else JobState.SUCCEEDED
    moved = job_moves.move(
        connection, run_id, target, reason=reason[:REASON_LENGTH], finished_at=now_s()
    )
    return target if moved else None


def _move(
    connection: Connection,
    held: StageInHand,
    target: StageState,
    *,
    reason: str = "",
    **values: Any,
) -> bool:
    """The guarded write behind the moves of a stage in hand."""
    assert target in STAGE_TRANSITIONS[StageState.WORKING], target
    free = {"owner": "", "claimed_until": None, "reason": reason[:REASON_LENGTH]}
    moved = connection.execute(
        update(stages).where(_mine(held)).values(state=target, **free, **values)
    )
    return bool(moved.rowcount)


def _end(connection: Connection, held: StageInHand, target: StageState, **values: Any) -> bool:
    job_moves.lock(connection, [held.stage.run_id])
    if not _move(connection, held, target, finished_at=now_s(), **values):
        return False
    recount(connection, held.stage.run_id)
    kind = "stage.failed" if target == StageState.FAILED else "stage.done"
    _tell(connection, *held.key, kind)
    return True


def _tell(connection: Connection, run_id: str, name: str, kind: str) -> None:
    stage = _get(connection, run_id, name)
    assert stage is not None
    events.write(
        connection,
        run_id,
        kind,
        stage=name,
        stage_kind=stage.kind,
        stage_state=stage.state,
        stage_job=stage.job_id,
        stage_reason=stage.reason,
    )


def _get(connection: Connection, run_id: str, name: str) -> Stage | None:
    return reading.one(connection, select(stages).where(_is(run_id, name)), Stage)


def _is(run_id: str, name: str) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = and_(stages.c.run_id == run_id, stages.c.name == name)
    return mine


def _mine(held: StageInHand) -> ColumnElement[bool]:
    in_hand = and_(stages.c.state == StageState.WORKING, stages.c.owner == held.owner)
    return and_(_is(*held.key), in_hand)


def _sources_of(target: StageState) -> list[StageState]:
    return [state for state, nexts in STAGE_TRANSITIONS.items() if target in nexts]
