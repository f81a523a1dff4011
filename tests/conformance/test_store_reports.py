"""Kept reports, on SQLite and PostgreSQL: put, put again, read with the job's page, forgotten."""

from typing import Any

from builders import a_stored_job, claimed, settled
from sqlalchemy import update

from models.payloads import RowSettled, Succeeded
from models.states import JobKind
from models.store import jobs, pruning, reports
from models.store.engine import Store
from models.store.reports import Answered
from models.store.views import jobpage


def an_answer(model: str, problem: str = "", what: str = "answer") -> dict[str, Any]:
    """As workers write it."""
    return {"what": what, "model": model, "problem": problem}


def settle(store: Store, job_id: str, *records: list[dict[str, Any]]) -> None:
    """The rows of the job's one shard, with these outcomes."""
    held = claimed(store, job_id)
    done = [RowSettled(*held, seq, Succeeded(told)) for seq, told in enumerate(records)]
    settled(store, held, done)


def test_a_report_is_kept_and_replaced(store: Store):
    """The later one counts; its moment is the database's."""
    job_id = a_stored_job(store)
    for version in ("1", "2"):
        with store.write() as connection:
            reports.put(connection, job_id, f'{{"v": {version}}}', f"<h1>{version}</h1>")
    with store.read() as connection:
        kept = reports.get(connection, job_id)
        assert kept is not None
        assert (kept.report, reports.page(connection, job_id)) == ('{"v": 2}', "<h1>2</h1>")
        assert abs(kept.made_at - store.now()) < 60


def test_there_is_none(store: Store):
    """Neither report nor page."""
    with store.read() as connection:
        assert reports.get(connection, "job_none") is None
        assert reports.page(connection, "job_none") is None


def test_a_job_page_counts_answers_until_there_is_a_report(store: Store):
    """By model, those of no use apart; groundings are no answers; then the report takes over."""
    job_id = a_stored_job(store, kind=JobKind.EVALUATE, rows_count=3, shard_size=3)
    first = [an_answer("a"), an_answer("b", "invalid_answer"), an_answer("a", what="grounds")]
    settle(store, job_id, first, [an_answer("a"), {"what": "verdict", "judge": "j"}])
    with store.read() as connection:
        page = jobpage.read(connection, job_id)
    assert page is not None
    assert page.evaluation is not None
    assert (page.evaluation.kept, page.evaluation.looked_at) == (None, 2)
    assert page.evaluation.answered == [
        Answered("a", 2, 0),
        Answered("b", 1, 1),
        Answered("j", 1, 0),
    ]
    with store.write() as connection:
        reports.put(connection, job_id, "{}", "")
        page = jobpage.read(connection, job_id)
    assert page is not None
    assert page.evaluation is not None
    assert page.evaluation.kept is not None


def test_only_so_many_rows_are_looked_at(store: Store, monkeypatch):
    """A page is asked for every few seconds: a large evaluation costs it no more than a small."""
    monkeypatch.setattr(reports, "LOOKED_AT", 2)
    job_id = a_stored_job(store, kind=JobKind.EVALUATE, rows_count=4, shard_size=4)
    settle(store, job_id, *[[an_answer("a")]] * 3)
    with store.read() as connection:
        page = reports.answered(connection, job_id)
    assert (page.looked_at, page.answered) == (2, [Answered("a", 2, 0)])


def test_other_jobs_have_a_report_if_they_were_given_one(store: Store):
    """A pipeline's; nothing is said of jobs that have none."""
    job_id = a_stored_job(store)
    with store.write() as connection:
        page = jobpage.read(connection, job_id)
        assert page is not None
        assert page.evaluation is None
        reports.put(connection, job_id, "{}", "")
        page = jobpage.read(connection, job_id)
        assert page is not None
        assert page.evaluation is not None


def over(store: Store, ago_s: float, **changes: Any) -> str:
    """An evaluation with a done row that ended so long ago."""
    job_id = a_stored_job(store, **{"kind": JobKind.EVALUATE, "rows_done": 1, **changes})
    with store.write() as connection:
        ended = {"state": "succeeded", "finished_at": store.now() - ago_s}
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**ended))
    return job_id


def test_evaluations_without_a_report_of_their_end_are_found(store: Store):
    """Not those that ended just now, nor other kinds, nor a pipeline's, nor those that have one."""
    lacking, older, kept = over(store, 60), over(store, 120), over(store, 60)
    over(store, 1)
    over(store, 60, kind=JobKind.GENERATE)
    over(store, 60, rows_done=0)
    over(store, 60, parent_id=lacking)
    a_stored_job(store, kind=JobKind.EVALUATE, rows_done=1)
    with store.write() as connection:
        for one in (kept, older):
            reports.put(connection, one, "{}", "")
        before = reports.reports.c.job_id == older
        connection.execute(update(reports.reports).where(before).values(made_at=store.now() - 300))
        assert reports.lacking(connection) == [lacking, older]


def test_it_goes_with_its_job(store: Store):
    """Forgotten as all else that a job leaves behind."""
    job_id, other = a_stored_job(store), a_stored_job(store)
    with store.write() as connection:
        for one in (job_id, other):
            reports.put(connection, one, "{}", "")
        done = update(jobs.jobs).where(jobs.jobs.c.id == job_id)
        connection.execute(done.values(state="cancelled", finished_at=1.0, event_seq=0))
        connection.execute(jobs.jobs.delete().where(jobs.jobs.c.id == job_id))
        while pruning.forget_some(connection, job_id):
            pass
        assert reports.get(connection, job_id) is None
        assert reports.get(connection, other) is not None
