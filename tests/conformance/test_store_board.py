"""The lists of the dashboard: which jobs, in which order, and how models stand."""

from itertools import chain

from builders import a_job, a_limiter
from sqlalchemy import event, insert

from dashboard.jobs import look
from models.limits import Limit
from models.store import fleet, jobs
from models.store.engine import Store, read_now
from models.store.views import board
from models.store.views.board import Wanted
from models.tables import Job, LimiterSeen, Spending


def stored(store: Store, *made: Job) -> None:
    """Jobs as they are, without rows."""
    with store.write() as connection:
        connection.execute(insert(jobs.jobs), [job.model_dump() for job in made])


def ids(store: Store, **wanted) -> list[str]:
    """The page of ids that is wanted."""
    with store.read() as connection:
        return [job.id for job in board.listed(connection, Wanted(**wanted))]


def some_jobs(store: Store) -> None:
    """Four jobs, `a` the oldest."""
    stored(
        store,
        a_job(id="a", created_at=1, state="succeeded", rows_total=10, rows_done=10, cost_nano=5),
        a_job(id="b", created_at=2, state="running", rows_total=10, rows_done=5, rows_failed=1),
        a_job(id="c", created_at=3, kind="embed", name="Großes", cost_nano=7, calls_refused=3),
        a_job(id="d_1%", created_at=4, state="failed", input_name="Papers.jsonl", rows_failed=1),
    )


def test_the_newest_come_first(store: Store):
    """As people look for them."""
    some_jobs(store)
    assert ids(store) == ["d_1%", "c", "b", "a"]
    assert ids(store, descending=False) == ["a", "b", "c", "d_1%"]


def test_a_sweep_is_listed_with_what_its_runs_have_cost(store: Store):
    """A cost that is not known in part is told so; its own is nothing."""
    one = {"kind": "train", "parent_id": "sweep", "calls_made": 1}
    stored(
        store,
        a_job(id="sweep", created_at=2, kind="train"),
        a_job(id="run-1", created_at=1, cost_nano=5, **one),
        a_job(id="run-2", created_at=0, calls_unpriced=1, **one),
    )
    with store.read() as connection:
        found = [line.job for line in look(connection, Wanted()).lines]
    costs = [(job.id, job.cost_nano, job.calls_made, job.calls_unpriced) for job in found]
    assert costs == [("sweep", 5, 2, 1), ("run-1", 5, 1, 0), ("run-2", 0, 1, 1)]


def test_filters_take_what_fits_all_of_them(store: Store):
    """State, kind, and a text in id, name or input, whatever its case."""
    some_jobs(store)
    assert ids(store, state="running") == ["b"]
    assert ids(store, kind="embed") == ["c"]
    assert ids(store, text="PAPERS") == ["d_1%"]
    assert ids(store, text="papers", state="running") == []
    with store.read() as connection:
        assert board.count(connection, Wanted(text="papers")) == 1
        assert board.by_state(connection) == {
            "queued": 1,
            "running": 1,
            "succeeded": 1,
            "failed": 1,
        }


def test_signs_of_like_are_text(store: Store):
    """`%` and `_` are found where they stand, and nowhere else."""
    some_jobs(store)
    assert ids(store, text="%") == ids(store, text="_") == ["d_1%"]


def test_every_column_sorts(store: Store):
    """Jobs without rows have no progress, and stand behind all others either way."""
    some_jobs(store)
    assert ids(store, sort="cost")[:2] == ["c", "a"]
    assert ids(store, sort="refusals")[0] == "c"
    assert ids(store, sort="failed", descending=False)[:2] == ["c", "a"]
    assert ids(store, sort="progress") == ["a", "b", "d_1%", "c"]
    assert ids(store, sort="progress", descending=False) == ["b", "a", "d_1%", "c"]
    for sort in board.SORTS:
        assert len(ids(store, sort=sort)) == 4


def test_pages_follow_each_other_without_gap_or_repetition(store: Store):
    """Also when what they are sorted by is the same for all."""
    stored(store, *(a_job(id=f"j{n:03}", created_at=9) for n in range(120)))
    pages = [ids(store, sort="cost", page=page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    assert sorted(chain.from_iterable(pages)) == [f"j{n:03}" for n in range(120)]


def test_the_usual_list_is_found_by_its_index(store: Store):
    """SQLite stores a job's counters behind its long spec: it reads that of the page's jobs only.

    The same for counts. (PostgreSQL keeps long texts aside.)
    """
    if not store.is_sqlite:
        return
    asked: list[tuple[str, tuple]] = []
    told = lambda _c, _u, text, given, *_: asked.append((text, given))  # noqa: E731
    event.listen(store.engine, "before_cursor_execute", told)
    with store.read() as connection:
        board.listed(connection, Wanted())
        board.count(connection, Wanted(text="x"))
        board.by_state(connection)
        for text, given in [one for one in asked if one[0].startswith("SELECT")]:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given).all()
            assert "INDEX jobs_" in str(plan), plan


def test_models_a_job_asked_come_with_their_calls(store: Store):
    """Of all days together."""
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0, "cost_nano": 0}
    spent = [
        {"job_id": job, "model": model, "day": day, "calls": calls} | nothing
        for job, model, day, calls in [("a", "m", 1, 2), ("a", "m", 2, 3), ("a", "n", 2, 1)]
    ]
    with store.write() as connection:
        connection.execute(insert(Spending.__table__), spent)
        assert board.models_asked(connection, ["a", "b"]) == {"a": {"m": 5, "n": 1}}


def test_processes_add_up_to_how_a_model_stands(store: Store):
    """Calls, waiting and refusals are sums; the pace is shared and told by the newest."""
    with store.write() as connection:
        now = read_now(connection)
        told = [
            a_limiter(now - 1, worker="w1", calls_per_s=6.0, waiting=3, rate_per_s=19.0),
            a_limiter(now, worker="w2", calls_per_s=5.0, refusals=2, redis_away=True),
            a_limiter(now, worker="w2", model="other", hold_until=now + 9, rate_per_s=None),
            a_limiter(now - 60, worker="gone", calls_per_s=99.0),
        ]
        table = LimiterSeen.__table__
        connection.execute(insert(table), [one.model_dump() for one in told])
        small, other = board.standings(connection)
    assert (small.model, small.processes, small.calls_per_s) == ("mistral-small-latest", 2, 11.0)
    assert (small.rate_per_s, small.waiting, small.refusals, small.redis_away) == (20.0, 3, 2, 1)
    assert other.hold_until == now + 9
    assert small.hold_until is None


def test_a_limit_once_learnt_is_listed_when_nobody_uses_it(store: Store):
    """And once only while somebody does."""
    with store.write() as connection:
        fleet.limit_learnt(connection, "acc", "m", Limit(60.0, None, "found"))
        (idle,) = board.standings(connection)
        assert (idle.requests_per_minute, idle.source, idle.processes) == (60.0, "found", 0)
        seen = a_limiter(read_now(connection), account="acc", model="m")
        connection.execute(insert(LimiterSeen.__table__), [seen.model_dump()])
        (used,) = board.standings(connection)
        assert (used.requests_per_minute, used.processes) == (1200.0, 1)
