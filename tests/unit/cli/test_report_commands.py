"""What commands say of evaluations, over a database of the test's own."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, claimed, settled
from cli_builders import Ended
from report_builders import a_report

from models.payloads import JobSpec, RowSettled, Succeeded
from models.states import JobKind, JobState
from models.store import jobs, rows
from models.store.engine import Store
from models.suites import Contestant, Evaluation, load_suite
from producers import Maestrale
from producers.evaluating import reports
from producers.evaluating.rendering import charts

Run = Callable[..., Ended]
ROWS = 6
NEWS, OTHER = "news_related", "not_news_related"


def answers(seq: int) -> list[dict[str, Any]]:
    """`small` is always right, `large` says one label to every row and nothing of use to one."""
    gold = NEWS if seq % 2 else OTHER
    paid = {"calls": 1, "latency_ms": 40 + seq, "prompt_tokens": 20, "completion_tokens": 4}
    usual = {"what": "answer", "attempt": 1, "gold": gold, "paid": {**paid, "cost_nano": 900}}
    bad = {"text": "hm", "problem": "invalid_answer"}
    said = bad if seq == 5 else {"text": OTHER, "value": OTHER}
    right = {"text": gold, "value": gold}
    return [{**usual, "model": "small", **right}, {**usual, "model": "large", **said}]


def an_evaluation(store: Store, done: int = ROWS, **changes: Any) -> str:
    """An evaluation of `tak`, over if all its rows are done."""
    suite, _data = load_suite("tak")
    contestants = [Contestant(model="small"), Contestant(model="large")]
    told = Evaluation(suite=suite, contestants=contestants, asked_as={"data": "here/queries.jsonl"})
    spec = JobSpec(evaluation=told.model_dump(mode="json")).model_dump_json()
    usual = {"kind": JobKind.EVALUATE, "name": "tak", "spec": spec, "input_name": "queries.jsonl"}
    job_id = a_stored_job(store, rows_count=ROWS, shard_size=ROWS, **{**usual, **changes})
    with store.write() as connection:
        data = json.dumps({"query": "what is the news", "label": NEWS})
        connection.execute(rows.rows.update().where(rows.rows.c.job_id == job_id).values(data=data))
    held = claimed(store, job_id)
    settled(store, held, [RowSettled(*held, seq, Succeeded(answers(seq))) for seq in range(done)])
    return job_id


@pytest.fixture
def job_id(user_store: Store) -> str:
    """One that is over."""
    return an_evaluation(user_store)


def test_a_report_is_shown_and_kept(run: Run, user_store: Store, job_id: str):
    """Figures with their intervals by model, warnings, verdicts, and how to have all of it."""
    told = run("report", job_id)
    assert told.code == 0
    (line,) = [one for one in told.out.splitlines() if one.strip().startswith("Accuracy ")]
    assert "100.0% [" in line
    assert line.count("n=6") == 2
    assert "6 rows only" in told.out
    assert f"maestrale report {job_id} --out DIR" in told.out
    with user_store.read() as connection:
        page = reports.reports.page(connection, job_id)
    assert page is not None
    assert "<h1><bdi>tak" in page


def test_a_report_is_written(run: Run, job_id: str):
    """Page, Markdown, JSON and charts; made again, it replaces itself."""
    for _ in range(2):
        facts = run("report", job_id, "--out", "rep", "--json").facts
        files = {Path(one).relative_to("rep").as_posix() for one in facts["report"]["files"]}
        assert {"report.html", "report.md", "report.json"} < files
        assert sum(one.startswith("charts/") for one in files) >= 2
        assert {one for one in files if not Path("rep", one).is_file()} == set()
    told = json.loads(Path("rep/report.json").read_text())
    assert (told["job_id"], told["name"], told["kind"]) == (job_id, "tak", "classification")
    assert set(told["files"]) == files
    assert told["figures"]["small"]["accuracy"]["value"] == 1.0
    assert "maestrale evaluate tak --models small,large --data here/queries.jsonl" in (
        Path("rep/report.md").read_text()
    )


def test_the_files_of_others_are_kept(run: Run, job_id: str):
    """A page that is no report of this suite stays, unless the user says otherwise."""
    Path("rep").mkdir()
    Path("rep/report.html").write_text("mine")
    refused = run("report", job_id, "--out", "rep")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert Path("rep/report.html").read_text() == "mine"
    assert run("report", job_id, "--out", "rep", "--overwrite").code == 0
    Path("rep/notes.txt").write_text("mine")
    assert run("report", job_id, "--out", "rep").code == 0
    assert Path("rep/notes.txt").read_text() == "mine"


def test_a_report_of_another_suite_is_kept(run: Run, user_store: Store, job_id: str):
    """The folder is told by what stands in it, not by the files' names."""
    other = an_evaluation(user_store, name="eurlex")
    assert run("report", other, "--out", "rep").code == 0
    refused = run("report", job_id, "--out", "rep")
    assert refused.code == 2
    assert f"the report of {other}" in refused.err
    assert run("report", job_id, "--out", "rep", "--overwrite").code == 0
    (file := Path("file")).write_text("mine")
    assert "no folder" in run("report", job_id, "--out", str(file)).err


def test_a_report_of_another_job_on_the_suite_is_replaced(run: Run, user_store: Store, job_id: str):
    """As `evaluate --report` does, and it is said whose it was: that one can be made again."""
    assert "replaces" not in run("report", job_id, "--out", "rep").out
    assert "replaces" not in run("report", job_id, "--out", "rep").out
    other = an_evaluation(user_store)
    told = run("report", other, "--out", "rep")
    assert told.code == 0
    assert f"It replaces the report of {job_id}" in told.out
    assert json.loads(Path("rep/report.json").read_text())["job_id"] == other


def test_answers_of_no_use_are_told_with_failed_rows(run: Run, job_id: str):
    """No row failed, and yet one answer cannot be used: the report says why."""
    told = run("failures", job_id)
    assert told.code == 0
    assert "has no failed rows" in told.out
    assert "1 of 12 answers of done rows cannot be used" in told.out
    assert f"maestrale report {job_id}" in told.out
    assert run("failures", job_id, "--json").facts == []


def test_a_report_is_made_before_it_is_made_again(run: Run, job_id: str):
    """`show` knows whether there is one."""
    assert f"Make its report: maestrale report {job_id}" in run("show", job_id).out
    run("report", job_id)
    assert f"Make its report again: maestrale report {job_id}" in run("show", job_id).out


def test_answers_of_this_machine_are_marked(run: Run, user_store: Store, job_id: str):
    """On the page and in Markdown: a simulator's answers say nothing about models."""
    words = "answers came from a server on this machine (127.0.0.1:8790)"
    run("report", job_id, "--out", "other")
    assert words not in Path("other/report.html").read_text()
    with user_store.write() as connection:
        spec = jobs.get(connection, job_id).spec.replace(
            '"asked_as":{', '"asked_as":{"server":"127.0.0.1:8790",'
        )
        connection.execute(jobs.jobs.update().values(spec=spec))
    assert words in run("report", job_id, "--out", "rep").out
    assert words in Path("rep/report.html").read_text()
    assert words in Path("rep/report.md").read_text()


def test_charts_of_the_report_before_go(run: Run, user_store: Store, job_id: str):
    """What the one before lists and is named as ours; never what lies elsewhere, nor somebody's
    own, whatever it is called."""
    with Maestrale() as maestrale:
        made = reports.keep(maestrale, maestrale.get(job_id), a_report(job_id=job_id))
        reports.write(made, Path("rep"))
        told = json.loads(Path("rep/report.json").read_text())
        told["files"] += ["../precious.png", "charts/../report.md", "charts/mine.png", 7]
        Path("rep/report.json").write_text(json.dumps(told))
        Path("precious.png").write_text("mine")
        own = ("mine.png", "10-mine.png")
        for name in own:
            Path("rep/charts", name).write_text("mine")
        few = a_report(job_id=job_id, sections=a_report().sections[:1])
        reports.write(reports.keep(maestrale, maestrale.get(job_id), few), Path("rep"))
    there = {one.name for one in Path("rep/charts").iterdir()}
    assert there == {"01-shares-by-model.png", "02-what-news-smol-said.png", *own}
    assert Path("precious.png").read_text() == "mine"


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_charts_of_the_report_before_go_also_where_a_writer_died(
    user_store: Store, job_id: str, monkeypatch: pytest.MonkeyPatch, dies_at: int
):
    """Whichever file was its last: whoever writes after it leaves the charts of its own alone."""
    points = iter(range(1, 100))

    def die(name: str) -> None:
        if name == "report.writing" and next(points) == dies_at:
            raise KeyboardInterrupt

    with Maestrale() as maestrale:
        job = maestrale.get(job_id)
        few = a_report(job_id=job_id, sections=a_report().sections[:1])
        whole = reports.keep(maestrale, job, a_report(job_id=job_id))
        reports.write(whole, Path("rep"))
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            dying.setattr(reports, "crash_point", die)
            reports.write(reports.keep(maestrale, job, few), Path("rep"))
        none = reports.keep(maestrale, job, a_report(job_id=job_id, sections=[]))
        reports.write(none, Path("rep"))
    assert list(Path("rep/charts").iterdir()) == []


def test_charts_beside_no_report_are_kept(user_store: Store, job_id: str):
    """Under a name that ours may have, in a folder that is somebody's own."""
    (own := Path("rep/charts/10-mine.png")).parent.mkdir(parents=True)
    own.write_text("mine")
    with Maestrale() as maestrale:
        made = reports.keep(maestrale, maestrale.get(job_id), a_report(job_id=job_id))
        reports.write(made, Path("rep"), overwrite=True)
    assert own.read_text() == "mine"


def test_who_dies_while_writing_a_report_may_write_it_again(
    user_store: Store, job_id: str, monkeypatch: pytest.MonkeyPatch
):
    """Without --overwrite: its first file says whose report it is."""

    def die(name: str) -> None:
        if name == "report.writing":
            raise KeyboardInterrupt

    with Maestrale() as maestrale:
        made = reports.keep(maestrale, maestrale.get(job_id), a_report(job_id=job_id))
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            dying.setattr(reports, "crash_point", die)
            reports.write(made, Path("rep"))
        assert reports.has_report(Path("rep"))
        reports.check_folder(Path("rep"), made.job.name)
        files = reports.write(made, Path("rep"))
    assert files[0] == Path("rep/report.html")
    assert all(path.is_file() for path in files)


def test_a_job_that_runs_has_figures_so_far(run: Run, user_store: Store):
    """And the report says so; before the first answer there is none."""
    running = an_evaluation(user_store, done=3)
    told = run("report", running)
    assert told.code == 0
    assert "the figures of the rows that are done" in told.out
    assert f"{running} is running" in told.out
    empty = run("report", an_evaluation(user_store, done=0))
    assert (empty.code, empty.out) == (2, "")
    assert "nothing to report" in empty.err


def test_other_jobs_have_no_report(run: Run, user_store: Store):
    """Unless they were given one."""
    job_id = a_stored_job(user_store)
    assert run("report", job_id).code == 2
    with Maestrale() as maestrale:
        reports.keep(maestrale, maestrale.get(job_id), a_report(job_id=job_id))
    told = run("report", job_id, "--out", "rep")
    assert told.code == 0
    assert "87.0% [81.6, 91.0] n=200" in told.out


def test_show_says_what_is_asked_and_what_was_found(run: Run, job_id: str):
    """Suite and models at once; figures when there is a report."""
    before = run("show", job_id)
    for told in ("tak, classification", "small, large", "1 attempt at each row"):
        assert told in before.out
    assert "Accuracy" not in before.out
    run("report", job_id)
    assert "Accuracy" in run("show", job_id).out
    facts = run("show", job_id, "--json").facts
    assert facts["evaluation"]["models"] == ["small", "large"]
    assert facts["evaluation"]["report"]["figures"]["small"]["accuracy"]["value"] == 1.0


def test_a_watch_ends_in_the_report(run: Run, job_id: str):
    """As the evaluation itself does."""
    assert "Accuracy" in run("watch", job_id).out
    assert "accuracy" in run("watch", job_id, "--json").facts["report"]["figures"]["large"]


def test_outcomes_are_exported(run: Run, job_id: str):
    """One a line with its row and what it took, as JSON lines, CSV or Parquet; never as chat."""
    assert run("export", job_id).code == 0
    first = json.loads(Path("queries.tak.outcomes.jsonl").read_text().splitlines()[0])
    assert (first["row"], first["model"], first["value"], first["calls"]) == (
        "r0",
        "small",
        OTHER,
        1,
    )
    assert "paid" not in first
    assert run("export", job_id, "--out", "outcomes.csv").code == 0
    with Path("outcomes.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 2 * ROWS
    assert {row["problem"] for row in found if row["model"] == "large"} == {"", "invalid_answer"}
    assert run("export", job_id, "--out", "columns.parquet").code == 0
    assert run("export", job_id, "-f", "chat").code == 2


def test_without_matplotlib_there_are_no_charts(
    run: Run, job_id: str, monkeypatch: pytest.MonkeyPatch
):
    """The report says how to get them, and has all else."""
    monkeypatch.setattr(charts, "can_draw", lambda: False)
    told = run("report", job_id, "--out", "rep")
    assert "pip install 'maestrale[evaluate]'" in told.out
    assert not Path("rep/charts").exists()


def test_without_libraries_nothing_is_paid(run: Run, monkeypatch: pytest.MonkeyPatch, home: Path):
    """Said before anything is submitted."""
    monkeypatch.setattr("models.extras.missing", list)
    Path("q.jsonl").write_text('{"id": "1", "query": "news?", "label": "news_related"}\n')
    refused = run("evaluate", "tak", "-m", "a,b", "--data", "q.jsonl")
    assert refused.code == 2
    assert "pip install 'maestrale[evaluate]'" in refused.err
    assert run("jobs", "--json").facts == []


def test_a_folder_that_is_taken_is_refused_before_anything_is_paid(run: Run, home: Path):
    """An hour later would be too late."""
    Path("q.jsonl").write_text('{"id": "1", "query": "news?", "label": "news_related"}\n')
    Path("rep").mkdir()
    Path("rep/report.md").write_text("mine")
    refused = run("evaluate", "tak", "-m", "a,b", "--data", "q.jsonl", "--report", "rep")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert run("jobs", "--json").facts == []


def test_those_who_see_a_job_end_may_ask_again_and_again(user_store: Store, job_id: str):
    """Made once for each end of the job; nothing is done for a job that runs."""
    running = an_evaluation(user_store, done=2)
    with Maestrale() as maestrale:
        job = maestrale.get(job_id)
        assert job.state == JobState.SUCCEEDED
        assert [reports.ensure(maestrale, job) for _ in range(3)] == [True, False, False]
        with user_store.write() as connection:
            later = jobs.jobs.update().where(jobs.jobs.c.id == job_id)
            connection.execute(later.values(finished_at=user_store.now() + 60))
        assert reports.ensure(maestrale, job)
        assert not reports.ensure(maestrale, maestrale.get(running))


def test_what_nobody_watched_is_reported_later(user_store: Store, job_id: str):
    """Once; a report that cannot be made is not tried for ever."""
    broken = an_evaluation(user_store)
    with Maestrale() as maestrale:
        with user_store.write() as connection:
            past = {"finished_at": user_store.now() - 60}
            connection.execute(jobs.jobs.update().values(**past))
            bad = jobs.jobs.update().where(jobs.jobs.c.id == broken)
            connection.execute(bad.values(spec="{}"))
        passed_over: set[str] = set()
        assert reports.catch_up(maestrale, passed_over) == [job_id]
        assert passed_over == {broken}
        assert reports.catch_up(maestrale, passed_over) == []
