"""I1 under any sequence: a seeded random walk over every operation of the store."""

from random import Random

import pytest
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
from sqlalchemy import Connection, func, select

from models.states import SETTLED, WORKABLE, JobState, ShardState
from models.store import calls, events, jobs, retries, rows, shards
from models.store.engine import Store

ROWS, SHARD = 12, 3
STEPS = 300


class Walk:
    """Workers, users and sweepers that do whatever comes to mind, each in its own transaction."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = Random(seed)
        self.jobs = [
            a_stored_job(store, rows_count=ROWS, shard_size=SHARD, max_failed_share=share)
            for share in (0.0, 1.0)
        ]
        self.held: list[shards.Held] = []
        self.paid = dict.fromkeys(self.jobs, 0)
        self.retried = 0

    def step(self) -> None:
        names = ["claim"] * 4 + ["work"] * 8 + ["settle"] * 4 + ["ring"] * 2
        names += ["pay", "doubt", "hand_back", "beat", "die", "pause", "resume", "resume"] + [
            "retry"
        ] * 2
        if self.random.random() < 0.001:
            names = ["cancel"]
        with self.store.write() as connection:
            getattr(self, self.random.choice(names))(connection, self.random.choice(self.jobs))

    def claim(self, connection: Connection, job_id: str) -> None:
        no = self.random.randrange(ROWS // SHARD)
        lease_s = self.random.choice([60.0, 60.0, 60.0, -1.0])
        if claim := shards.claim(connection, job_id, no, owner="w", lease_s=lease_s):
            self.held.append((claim.job_id, claim.no, claim.token))

    def work(self, connection: Connection, _: str) -> None:
        """Rows of the leases we think we have, the lost ones too: the fence keeps those out."""
        picked = self.random.sample(self.held, min(2, len(self.held)))
        in_force = shards.tokens_in_force(connection, [held[:2] for held in picked] or [("", 0)])
        for held in picked:
            first, count = held[1] * SHARD, self.random.randint(1, SHARD)
            seqs = self.random.sample(range(first, first + SHARD), count)
            outcomes = [self.random.choice([done, done, failed])(held, seq) for seq in seqs]
            if in_force.get(held[:2]) == held[2]:
                rows.settle(connection, outcomes)

    def settle(self, connection: Connection, _: str) -> None:
        if self.held:
            held = self.random.choice(self.held)
            if shards.settle(connection, held):
                self.held.remove(held)

    def hand_back(self, connection: Connection, _: str) -> None:
        if self.held:
            shards.hand_back(connection, self.random.choice(self.held))

    def beat(self, connection: Connection, _: str) -> None:
        self.held = sorted(set(self.held) - shards.heartbeat(connection, self.held, lease_s=60))

    def die(self, connection: Connection, _: str) -> None:
        for job_id, no in shards.reopen_expired(connection):
            rows.count_deaths(connection, job_id, no)

    def ring(self, connection: Connection, job_id: str) -> None:
        messages = shards.take_window(connection, job_id, slots=self.random.randrange(4))
        if self.random.random() < 0.3:
            shards.unpublish(connection, [(m.job_id, m.no) for m in messages])

    def pay(self, connection: Connection, job_id: str) -> None:
        calls.store(connection, [a_call(f"key {self.random.randrange(9)}", job_id=job_id)])
        self.paid[job_id] += 1

    def doubt(self, connection: Connection, job_id: str) -> None:
        calls.doubt(connection, [a_doubt(job_id=job_id)])

    def pause(self, connection: Connection, job_id: str) -> None:
        jobs.pause(connection, job_id, "by hand")

    def resume(self, connection: Connection, job_id: str) -> None:
        jobs.resume(connection, job_id)

    def cancel(self, connection: Connection, job_id: str) -> None:
        jobs.cancel(connection, job_id)

    def retry(self, connection: Connection, job_id: str) -> None:
        self.retried += retries.retry(connection, job_id)

    def check(self, job_id: str) -> None:
        assert_all_rows_accounted_for(self.store, job_id)
        job = the_job(self.store, job_id)
        with self.store.read() as connection:
            state = shards.shards.c.state
            ended = select(func.count()).where(
                shards.shards.c.job_id == job_id, state == ShardState.DONE
            )
            assert connection.scalar(ended) == job.shards_done
            told = [event.seq for event in events.of_subject(connection, job_id)]
        assert told == list(range(1, job.event_seq + 1))
        assert job.calls_made == self.paid[job_id]
        if job.shards_done == job.shards_total:
            assert job.state in SETTLED, "nothing would ever settle it"
        if job.state in (JobState.SUCCEEDED, JobState.FAILED):
            assert job.rows_done + job.rows_failed == job.rows_total

    def finish(self, job_id: str) -> None:
        """The fault stops: an ordinary worker brings open rows to 0, with no hand but a resume."""
        with self.store.write() as connection:
            jobs.resume(connection, job_id)
            for held in self.held:
                shards.hand_back(connection, held)
            shards.reopen_expired(connection)
            may_work = jobs.control(connection, [job_id])[job_id].state in WORKABLE
            waiting = select(shards.shards.c.no).where(
                shards.shards.c.job_id == job_id, shards.shards.c.state != ShardState.DONE
            )
            numbers = list(connection.scalars(waiting))
        for no in numbers if may_work else []:
            held = claimed(self.store, job_id, no)
            with self.store.write() as connection:
                left = rows.open_of_shard(connection, job_id, no)
                rows.settle(connection, [done(held, row.seq) for row in left])
                assert shards.settle(connection, held)


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_accounted_for_whatever_happens(store: Store, seed: int) -> None:
    """After every step counters equal counted rows, and at the end every job can be finished."""
    walk = Walk(store, seed)
    for _ in range(STEPS):
        walk.step()
        walk.check(walk.random.choice(walk.jobs))
    assert walk.retried, "or the walk did not get far"
    for job_id in walk.jobs:
        walk.finish(job_id)
        walk.check(job_id)
        assert JobState(the_job(store, job_id).state) in SETTLED
