"""The promises to a user, with real processes: paid once, stopped in time, failed by name, seen."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from builders import eventually

from faults.canaries import holds
from models.payloads import Options
from models.states import FailureCode, JobState
from models.store import events
from models.tables import Job
from producers.processes import listens
from proving.servers import free_port
from proving.stage import Stage

OnStage = Callable[..., Stage]
Texts = Callable[..., Path]


def history(on: Stage, job: Job) -> list[str]:
    """The types of the job's events, in order."""
    with on.client.store.read() as connection:
        return [event.type for event in events.of_subject(connection, job.id)]


def test_amira_makes_three_pairs_a_paper_and_the_second_run_is_free(on_stage: OnStage) -> None:
    """The main job on real abstracts, and again: 0 calls, the same records, all from the ledger."""
    on = on_stage(workers=2)
    sample = Path("recipes/amira/sample.jsonl")
    first = on.client.wait(on.client.generate(sample, recipe="amira", limit=40).id)
    again = on.client.wait(on.client.generate(sample, recipe="amira", limit=40, again=True).id)
    assert first.rows_done + first.rows_failed == 40
    assert first.rows_done >= 38
    assert (again.calls_made, again.cost_nano) == (0, 0)
    assert again.calls_from_ledger == first.calls_made + first.calls_from_ledger
    assert list(on.client.results(first.id)) == list(on.client.results(again.id))
    records = [record for _, found in on.client.results(first.id) for record in found]
    assert len(records) == 3 * first.rows_done
    for record in records:
        assert [message["role"] for message in record["messages"]] == ["user", "assistant"]
    assert history(on, first) == ["job.queued", "job.running", "job.succeeded"]
    assert on.stats()["duplicates"] == 0


def test_a_changed_prompt_pays_only_for_what_changed(on_stage: OnStage, texts: Texts) -> None:
    """More rows of the same file later: only the new ones are paid for."""
    on = on_stage(workers=1)
    source = texts(60)
    on.client.wait(on.client.generate(source, recipe="translate", limit=40).id)
    job = on.client.wait(on.client.generate(source, recipe="translate").id)
    assert (job.calls_made, job.calls_from_ledger) == (20, 40)


def test_equal_rows_are_paid_for_once_across_processes(on_stage: OnStage, tmp_path: Path) -> None:
    """The same text under 400 ids, spread over two processes and many shards, is one call."""
    on = on_stage("--latency-median", "0.5", workers=2)
    source = tmp_path / "twins.jsonl"
    source.write_text("".join(f'{{"id": "t{n}", "text": "The same."}}\n' for n in range(400)))
    job = on.client.wait(on.client.generate(source, recipe="translate").id)
    assert (job.rows_done, job.calls_made, job.calls_from_ledger) == (400, 1, 399)
    assert on.stats()["executed"] == 1


@pytest.mark.parametrize("move", ["pause", "cancel"])
def test_a_stopped_job_starts_nothing_new(on_stage: OnStage, texts: Texts, move: str) -> None:
    """Pause and cancel: soon no new call arrives; a paused job goes on where it stood."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=3000", workers=2)
    job = on.client.generate(texts(800), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 40, "work has begun")
    getattr(on.client, move)(job.id)
    eventually(lambda: on.stats()["in_flight"] == 0, "what was in flight has ended")
    arrived = on.stats()["requests"]
    assert arrived < 400, "far from its end"
    time.sleep(2)
    assert on.stats()["requests"] == arrived
    assert on.client.get(job.id).state == {"pause": "paused", "cancel": "cancelled"}[move]
    if move == "pause":
        on.client.resume(job.id)
        job = on.client.wait(job.id)
        assert (job.state, job.rows_done) == (JobState.SUCCEEDED, 800)
        assert on.stats()["duplicates"] == 0


@pytest.mark.parametrize(
    ("fault", "reason"), [("spending_limit", "money"), ("unauthorized", "account")]
)
def test_money_and_key_faults_pause_the_job_and_lose_no_row(
    on_stage: OnStage, texts: Texts, fault: str, reason: str
) -> None:
    """402 and 401 stop the job with their reason; resumed once mended, every row is done."""
    on = on_stage("--latency-median", "0.1", "--limit", "*=3000", workers=2)
    job = on.client.generate(texts(300), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 30, "work has begun")
    on.steer("faults", rates={fault: 1})
    job = on.client.wait(job.id)
    assert job.state == JobState.PAUSED
    assert job.state_reason.startswith(reason)
    assert job.rows_failed == 0
    on.steer("faults")
    on.client.resume(job.id)
    job = on.client.wait(job.id)
    assert (job.state, job.rows_done) == (JobState.SUCCEEDED, 300)
    assert "job.paused" in history(on, job)


def test_a_brown_out_costs_time_and_no_row(on_stage: OnStage, texts: Texts) -> None:
    """Six seconds of 503, resets and HTML errors: all rows done, and soon back at work."""
    on = on_stage("--latency-median", "0.1", "--limit", "*=3000", workers=2)
    job = on.client.generate(texts(700), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 50, "work has begun")
    names = {"brownout_503": 0.5, "html_520": 0.2, "reset_before": 0.2}
    on.steer("faults", rates=names)
    time.sleep(6)
    on.steer("faults")
    done = on.client.get(job.id).rows_done
    eventually(lambda: on.client.get(job.id).rows_done > done + 150, "back", within_s=60)
    job = on.client.wait(job.id)
    assert (job.rows_done, job.rows_failed) == (700, 0)
    assert job.calls_retried > 0


def test_answered_but_cut_off_is_retried_a_bounded_number_of_times(
    on_stage: OnStage, texts: Texts
) -> None:
    """Paid calls whose answers are lost are in doubt, each on record, and asked again."""
    on = on_stage("--fault", "reset_after=0.1", workers=1)
    job = on.client.wait(on.client.generate(texts(200), recipe="translate").id)
    stats = on.stats()
    assert job.rows_done + job.rows_failed == 200
    assert job.rows_done > 190
    assert stats["duplicates"] <= job.calls_doubtful
    assert job.calls_doubtful == stats["faults"]["reset_after"]


def test_on_uncertain_hold_never_pays_twice(on_stage: OnStage, texts: Texts) -> None:
    """With `hold` a call that may have been paid is a named failure, not a second payment."""
    on = on_stage("--fault", "reset_after=0.1", workers=1)
    options = Options(on_uncertain="hold")
    job = on.client.generate(texts(200), recipe="translate", options=options, max_failed_share=1.0)
    job = on.client.wait(job.id)
    assert on.stats()["duplicates"] == 0
    assert set(on.client.failures_by_code(job.id)) == {FailureCode.UNCERTAIN}
    assert job.rows_failed == job.calls_doubtful > 0


def test_bad_answers_fail_by_name_and_retry_asks_only_those_anew(
    on_stage: OnStage, texts: Texts
) -> None:
    """Empty, cut and refused answers are failures with names; `retry` mends just these rows."""
    faults = ("empty_content=0.05", "cut_short=0.05", "refusal=0.05")
    on = on_stage(*(word for fault in faults for word in ("--fault", fault)), workers=1)
    job = on.client.generate(_papers(texts), recipe="amira", max_failed_share=1.0)
    job = on.client.wait(job.id)
    found = on.client.failures_by_code(job.id)
    names = {FailureCode.EMPTY_ANSWER, FailureCode.TRUNCATED, FailureCode.REFUSED}
    assert names <= set(found)
    paid = job.calls_made
    on.steer("faults")
    assert on.client.retry(job.id) == job.rows_failed
    job = on.client.wait(job.id)
    assert set(on.client.failures_by_code(job.id)) <= {FailureCode.INVALID_ANSWER}
    assert job.calls_made - paid <= 5 * sum(found.values())


def _papers(texts: Texts) -> Path:
    path = texts(1).with_name("papers.jsonl")
    lines = Path("recipes/amira/sample.jsonl").read_text().splitlines()[:60]
    path.write_text("\n".join(lines))
    return path


def pages(on: Stage, *jobs: Job) -> Iterator[bytes]:
    """What Flower shows, ours and its own, and what it tells to Prometheus; and what was sent."""
    port = free_port()
    on.services.start(workers=1, flower_port=port)
    paths = ["jobs", "limits", "webhooks", "metrics", "tasks", "workers", "broker", "api/tasks"]
    for path in [*paths, *(f"job/{job.id}" for job in jobs)]:
        eventually(lambda: listens(port), "Flower listens", within_s=60)
        with suppress(HTTPError):  # Flower's API is closed without a password
            yield urlopen(f"http://127.0.0.1:{port}/{path}", timeout=20).read()
    bodies = "SELECT body FROM deliveries"
    with on.client.store.read() as connection:
        sent = connection.exec_driver_sql(bodies).scalars().all()
    assert len(sent) > 4
    yield "".join(sent).encode()


def test_no_key_and_no_prompt_leaks(on_stage: OnStage, tmp_path: Path) -> None:
    """A canary key and a canary prompt go through success, refusal and error; then we grep."""
    key, prompt = "sk-CANARYKEY0123456789", "CANARYPROMPT0123456789"
    faults = ("server_error=0.1", "reset_after=0.05", "unprocessable=0.1", "malformed=0.1")
    options = [word for fault in faults for word in ("--fault", fault)]
    on = on_stage(*options, workers=1, MISTRAL_API_KEY=key)
    source = tmp_path / "canary.jsonl"
    rows = [{"id": f"c{n}", "text": f"{prompt} number {n}, a text."} for n in range(60)]
    source.write_text("\n".join(json.dumps(row) for row in rows))
    on.client.webhooks.add("https://hook.invalid/in")
    job = on.client.wait(on.client.generate(source, recipe="translate", max_failed_share=1.0).id)
    on.steer("faults", rates={"unauthorized": 1})
    more = on.client.generate(source, recipe="translate", again=True, options=Options(fresh=True))
    on.client.wait(more.id)
    with on.client.store.read() as connection:
        told = [e.data for j in (job, more) for e in events.of_subject(connection, j.id)]
    seen = "\n".join([*told, *(str(f["detail"]) for f in on.client.failures(job.id))]).encode()
    seen += b"".join(p.read_bytes() for p in (on.home / "logs").iterdir())
    sent = b"".join(p.read_bytes() for p in (on.home / "redis").rglob("*.aof"))
    assert job.rows_failed, "the error paths were taken"
    assert b"run_shard" in sent, "what Redis was sent is in its file"
    seen += sent
    assert not holds(seen, key)
    assert not holds(seen, prompt)
    database = b"".join(p.read_bytes() for p in on.home.glob("maestrale.db*"))
    spool = b"".join(p.read_bytes() for p in (on.home / "spool").iterdir())
    assert key.encode() not in database + spool
    shown = b"".join(pages(on, job, more))
    assert job.id.encode() in shown
    assert key.encode() not in shown
    assert prompt.encode() not in shown
    modes = {oct(p.stat().st_mode & 0o077) for p in (on.home, on.home / "spool")}
    assert modes == {"0o0"}, "others of this machine may look in"


def test_a_dead_broker_delays_a_job_and_loses_none(on_stage: OnStage, texts: Texts) -> None:
    """Redis is gone when the user submits: accepted all the same, run when it is back."""
    on = on_stage(workers=1)
    on.kill("server")
    job = on.client.generate(texts(30), recipe="translate")
    on.services.start_server()
    job = on.client.wait(job.id)
    assert job.rows_done == 30


def test_the_whole_path_on_postgresql(on_stage: OnStage, texts: Texts, postgres_url: str) -> None:
    """The same job with PostgreSQL as queue of record, two processes, one killed on the way."""
    simulator = ("--latency-median", "0.2", "--limit", "*=6000")
    on = on_stage(*simulator, workers=2, DATABASE_URL=postgres_url)
    job = on.client.generate(texts(400), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 50, "work has begun")
    on.kill("worker1")
    on.restart_workers()
    job = on.client.wait(job.id)
    assert job.rows_done == 400
    assert on.stats()["duplicates"] <= job.calls_doubtful


def test_nothing_of_the_set_survives_its_end(on_stage: OnStage, texts: Texts) -> None:
    """`stop` ends every process it started, and forgets its notes."""
    on = on_stage(workers=2)
    pids = [service.pid for service in on.services.running()]
    on.services.stop()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists() and _is_running(pid)]
    assert on.services.running() == []


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
