"""A machine for hypothesis: workers, users and sweepers do what comes to mind to two jobs.

Every rule is one transaction, as in a process of its own. After each, the lifecycles of
`models.states` are held against what the database says.
"""

from collections.abc import Mapping
from typing import Any

from builders import (
    a_call,
    a_doubt,
    a_stored_job,
    assert_all_rows_accounted_for,
    claimed,
    done,
    failed,
    the_job,
)
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from models.states import (
    JOB_TRANSITIONS,
    ROW_TRANSITIONS,
    SETTLED,
    SHARD_TRANSITIONS,
    WORKABLE,
    JobState,
    RowState,
    ShardState,
)
from models.store import batches, calls, events, jobs, retries, rows, shards
from models.store.engine import Store

ROWS, SHARD = 6, 2
SHARDS = ROWS // SHARD
JOBS = st.integers(0, 1)
NUMBERS = st.integers(0, SHARDS - 1)
HELD = st.integers(0, 30)
"""Which of the leases that we think we have, old ones among them."""


class Lifecycles(RuleBasedStateMachine):
    """Two jobs, one of which fails with its first failed row."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.held: list[shards.Held] = []
        self.paid = [0, 0]
        self.doubted = [0, 0]

    @initialize()
    def submit(self) -> None:
        self.jobs = [
            a_stored_job(self.store, rows_count=ROWS, shard_size=SHARD, max_failed_share=share)
            for share in (0.0, 1.0)
        ]
        self.before = [self._seen(job_id) for job_id in self.jobs]

    # -- workers ------------------------------------------------------------------------------

    @rule(job=JOBS, no=NUMBERS, is_dead=st.sampled_from([False, False, False, True]))
    def claim(self, job: int, no: int, is_dead: bool) -> None:
        """A lease; of a process that dies with it, one that has run out."""
        lease_s = -1.0 if is_dead else 60.0
        with self.store.write() as connection:
            claim = shards.claim(connection, self.jobs[job], no, owner="w", lease_s=lease_s)
        if claim is not None:
            self.held.append((claim.job_id, claim.no, claim.token))
        self._check("claim")

    @rule(which=HELD, offsets=st.sets(st.integers(0, SHARD - 1), min_size=1), fails=st.booleans())
    def work(self, which: int, offsets: set[int], fails: bool) -> None:
        """Rows of a lease, a lost one too: the fence keeps those out."""
        if not self.held:
            return
        held = self.held[which % len(self.held)]
        outcome = failed if fails else done
        with self.store.write() as connection:
            if shards.tokens_in_force(connection, [held[:2]]).get(held[:2]) == held[2]:
                first = held[1] * SHARD
                rows.settle(connection, [outcome(held, first + at) for at in sorted(offsets)])
        self._check("work")

    @rule(which=HELD)
    def settle(self, which: int) -> None:
        self._with_lease(which, "settle")

    @rule(which=HELD)
    def hand_back(self, which: int) -> None:
        self._with_lease(which, "hand_back")

    @rule(which=HELD)
    def park(self, which: int) -> None:
        """For remote work."""
        self._with_lease(which, "wait")

    def _with_lease(self, which: int, what: str) -> None:
        if self.held:
            with self.store.write() as connection:
                getattr(shards, what)(connection, self.held[which % len(self.held)])
        self._check(what)

    @rule(job=JOBS, key=st.integers(0, 3))
    def pay(self, job: int, key: int) -> None:
        with self.store.write() as connection:
            calls.store(connection, [a_call(f"key {key}", job_id=self.jobs[job])])
        self.paid[job] += 1
        self._check("pay")

    @rule(job=JOBS)
    def doubt(self, job: int) -> None:
        doubted = a_doubt(job_id=self.jobs[job])
        for _ in range(2):  # the second is a commit that is repeated
            with self.store.write() as connection:
                calls.doubt(connection, [doubted])
        self.doubted[job] += 1
        self._check("doubt")

    # -- sweepers -----------------------------------------------------------------------------

    @rule()
    def sweep(self) -> None:
        """Leases run out; what waited for remote work goes on; jobs at rest wait."""
        with self.store.write() as connection:
            for job_id, no in shards.reopen_expired(connection):
                rows.count_deaths(connection, job_id, no)
        self._check("sweep")

    @rule()
    def rest(self) -> None:
        with self.store.write() as connection:
            for job_id in batches.jobs_at_rest(connection):
                jobs.wait(connection, job_id)
        self._check("rest")

    @rule()
    def open_ready(self) -> None:
        with self.store.write() as connection:
            batches.open_ready(connection)
        self._check("open_ready")

    @rule(job=JOBS, slots=st.integers(0, 3), is_lost=st.booleans())
    def ring(self, job: int, slots: int, is_lost: bool) -> None:
        with self.store.write() as connection:
            sent = shards.take_window(connection, self.jobs[job], slots=slots)
            if is_lost:
                shards.unpublish(connection, [(one.job_id, one.no) for one in sent])
        self._check("ring")

    # -- users --------------------------------------------------------------------------------

    @rule(job=JOBS)
    def pause(self, job: int) -> None:
        with self.store.write() as connection:
            jobs.pause(connection, self.jobs[job], "by hand")
        self._check("pause")

    @rule(job=JOBS)
    def resume(self, job: int) -> None:
        with self.store.write() as connection:
            jobs.resume(connection, self.jobs[job])
        self._check("resume")

    @rule(job=JOBS)
    def retry(self, job: int) -> None:
        with self.store.write() as connection:
            retries.retry(connection, self.jobs[job])
        self._check("retry")

    @rule(job=JOBS, surely=st.integers(0, 9))
    def cancel(self, job: int, surely: int) -> None:
        """Seldom, or nothing else would be seen."""
        if surely == 9:
            with self.store.write() as connection:
                jobs.cancel(connection, self.jobs[job])
        self._check("cancel")

    # -- what holds ---------------------------------------------------------------------------

    def _check(self, what: str) -> None:
        for number, job_id in enumerate(self.jobs):
            assert_all_rows_accounted_for(self.store, job_id)
            seen = self._seen(job_id)
            _check_moves(self.before[number], seen, is_retry=what == "retry")
            self.before[number] = seen
            self._check_counters(number, seen)

    def _check_counters(self, number: int, seen: Mapping[str, Any]) -> None:
        job = the_job(self.store, self.jobs[number])
        with self.store.read() as connection:
            told = [event.seq for event in events.of_subject(connection, job.id)]
        assert told == list(range(1, job.event_seq + 1)), "a gap in the events' numbers"
        ended = sum(state == ShardState.DONE for state in seen["shards"])
        assert job.shards_done == ended
        assert (job.calls_made, job.calls_doubtful) == (self.paid[number], self.doubted[number])
        if ended == job.shards_total:
            assert job.state in SETTLED, "nothing would ever settle it"
        if job.state in (JobState.SUCCEEDED, JobState.FAILED):
            assert job.rows_done + job.rows_failed == job.rows_total

    def _seen(self, job_id: str) -> dict[str, Any]:
        def in_order(table: Any, *columns: str) -> list[Any]:
            picked = [table.c[name] for name in columns]
            query = select(*picked).where(table.c.job_id == job_id)
            return list(connection.execute(query.order_by(table.primary_key.columns.values()[1])))

        with self.store.read() as connection:
            found = in_order(shards.shards, "state", "token")
            return {
                "job": JobState(jobs.control(connection, [job_id])[job_id].state),
                "rows": [RowState(row.state) for row in in_order(rows.rows, "state")],
                "shards": [ShardState(shard.state) for shard in found],
                "tokens": [shard.token for shard in found],
            }

    def teardown(self) -> None:
        """The faults stop: an ordinary worker brings open rows to 0, with no hand but a resume."""
        for number, job_id in enumerate(getattr(self, "jobs", [])):
            for no in self._left(job_id):
                held = claimed(self.store, job_id, no)
                with self.store.write() as connection:
                    left = rows.open_of_shard(connection, job_id, no)
                    rows.settle(connection, [done(held, row.seq) for row in left])
                    assert shards.settle(connection, held)
            assert JobState(the_job(self.store, job_id).state) in SETTLED
            self._check_counters(number, self._seen(job_id))

    def _left(self, job_id: str) -> list[int]:
        """Shards of a job that is not over, all of them open by now."""
        with self.store.write() as connection:
            jobs.resume(connection, job_id)
            for held in self.held:
                shards.hand_back(connection, held)
            shards.reopen_expired(connection)
            batches.open_ready(connection)
            if jobs.control(connection, [job_id])[job_id].state not in WORKABLE:
                return []
            table = shards.shards
            is_left = (table.c.job_id == job_id) & (table.c.state != ShardState.DONE)
            return list(connection.scalars(select(table.c.no).where(is_left).order_by(table.c.no)))


def _check_moves(before: Mapping[str, Any], after: Mapping[str, Any], *, is_retry: bool) -> None:
    """Only moves of the lifecycles, and final states are left by retry alone."""
    was, now = before["job"], after["job"]
    assert now in _reached(was), f"a job moved from {was} to {now}"
    if was in SETTLED and not is_retry:
        assert now == was, f"a settled job moved from {was} to {now}"
    for one, other in zip(before["rows"], after["rows"], strict=True):
        assert one == other or other in ROW_TRANSITIONS[one], f"a row moved: {one} to {other}"
        assert is_retry or one == RowState.OPEN or one == other
    for one, other in zip(before["shards"], after["shards"], strict=True):
        assert one == other or other in SHARD_TRANSITIONS[one], f"a shard: {one} to {other}"
        assert is_retry or one != ShardState.DONE or other == one
    assert all(old <= new for old, new in zip(before["tokens"], after["tokens"], strict=True))


def _reached(state: JobState) -> set[JobState]:
    """Where up to three moves lead: one transaction may start a job and settle it."""
    found = {state}
    for _ in range(3):
        found |= {target for one in found for target in JOB_TRANSITIONS[one]}
    return found if state not in SETTLED else {state, *JOB_TRANSITIONS[state]}
