"""The doctor, on both databases: each thing that can be wrong is found, with what to do."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from builders import a_job, a_stored_job
from pydantic import SecretStr
from sqlalchemy import insert, update

from models.births import born
from models.payloads import JobSpec
from models.sealing import Sealer
from models.settings import Settings
from models.states import JobKind
from models.store import events, fleet, stages
from models.store.engine import Store
from models.store.views import checkup
from models.tables import Delivery, Endpoint
from producers.client import Maestrale
from producers.doctor import Finding, Verdict, account, examine, places, processes, telling
from producers.services import Services


@pytest.fixture
def client(
    make_settings: Callable[..., Settings], database_url: str, store: Store
) -> Iterator[Maestrale]:
    """A client of the test's database, with a home of its own."""
    with Maestrale(make_settings(database_url=database_url)) as opened:
        yield opened


def an_endpoint(client: Maestrale, endpoint_id: str, **changes: Any) -> None:
    """An endpoint whose secret this client's key has sealed."""
    sealed = Sealer(client.settings).seal("whsec_x")
    values = {"id": endpoint_id, "url": "https://x.example/", "secret": sealed, "created_at": 1.0}
    whole = Endpoint(**{**values, **changes}).model_dump(exclude_none=True)
    with client.store.write() as connection:
        connection.execute(insert(checkup.endpoints).values(**whole))


def a_late_delivery(client: Maestrale, endpoint_id: str) -> None:
    """A delivery that has been due for a quarter of an hour."""
    whole = Delivery(
        message_id="msg_1", event_type="job.queued", subject_id="job_x", endpoint_id=endpoint_id,
        body="{}", next_at=client.store.now() - 900, created_at=1.0,
    ).model_dump(exclude_none=True)  # fmt: skip
    with client.store.write() as connection:
        connection.execute(insert(checkup.deliveries).values(**whole))


def a_worker(client: Maestrale) -> None:
    """A worker that is alive."""
    with client.store.write() as connection:
        fleet.sign_of_life(connection, "w1", slots=8, rows_in_flight=0)


def only(found: Iterator[Finding], verdict: Verdict) -> Finding:
    """The one finding with this verdict."""
    (one,) = [finding for finding in found if finding.verdict is verdict]
    return one


def test_whole_and_empty_is_well(client: Maestrale):
    """A new database with a worker has nothing to complain about in its own checks."""
    a_worker(client)
    checks = (
        places.check_home(client.settings),
        places.check_database(client),
        places.check_spool(client),
        processes.check_workers(client),
        processes.check_clock(client),
        account.check_prices(client),
        account.check_paused(client),
        telling.check_secrets(client),
        telling.check_endpoints(client),
        telling.check_events(client),
    )
    assert {finding.verdict for found in checks for finding in found} == {Verdict.GOOD}


def test_every_check_is_asked_and_every_complaint_says_what_to_do(client: Maestrale):
    """The whole examination, with neither server nor key nor worker: each is named, with advice."""
    found = examine(client.settings)
    bad = {finding.what: finding.advice for finding in found if finding.is_bad}
    assert set(bad) == {"redis", "key", "workers"}
    assert all(bad.values())


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("REDIS_URL", "redis://:canary/x@127.0.0.1:6379/0", "canary"),
        ("REDIS_URL", "redis://:123/canary@127.0.0.1:6379/0", "canary"),
        ("REDIS_URL", "redis://user:canary/x@127.0.0.1:6379/0", "canary"),
        ("DATABASE_URL", "postgresql+psycopg2://canary@127.0.0.1/x", "canary"),
        ("DATABASE_URL", "postgresql://u:canary/x@h:canary/db", "canary"),
        ("DATABASE_URL", "postgresql://u:p@127.0.0.1:1/db", "doctor"),
        ("MISTRAL_API_KEY", "canary\nkey", "canary"),
        ("MISTRAL_API_KEY", "canary\u2026", "canary"),
        ("MISTRAL_BASE_URL", "no-url-at-all", "canary"),
    ],
)
def test_a_setting_that_cannot_be_used_is_a_finding_without_secrets(
    make_settings: Callable[..., Settings], name: str, value: str, secret: str
):
    """Neither a bug nor a part of a password; and nobody is sent to the doctor by the doctor."""
    found = examine(make_settings(**{"MISTRAL_API_KEY": "k", name: value}))
    what = {"REDIS_URL": "redis", "DATABASE_URL": "database"}.get(name, "key")
    (one,) = (finding for finding in found if finding.what == what)
    assert one.is_bad
    assert secret not in one.found + one.advice


def test_a_job_whose_spec_is_damaged_stops_no_check(client: Maestrale):
    """What it asks is not known; all that can be checked is."""
    a_stored_job(client.store, spec='{"recipe": "canary')
    assert [finding.verdict for finding in account.check_prices(client)] == [Verdict.GOOD]


def test_the_key_does_not_follow_a_redirect(make_settings: Callable[..., Settings]) -> None:
    """A server that sends us elsewhere sends us there without the key."""
    asked: list[tuple[str, str | None]] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("authorization")))
            self.send_response(302 if self.path == "/v1/models" else 200)
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        list(account.check_key(make_settings(base_url=url, api_key=SecretStr("sk-canary"))))
        server.shutdown()
    assert asked == [("/v1/models", "Bearer sk-canary"), ("/elsewhere", None)]


def test_secrets_sealed_with_another_key_are_found(
    client: Maestrale, make_settings: Callable[..., Settings], database_url: str
):
    """Who has the key hears that it opens all; who has another one, what to do."""
    an_endpoint(client, "end_1")
    assert "all 1" in only(telling.check_secrets(client), Verdict.GOOD).found
    changed = make_settings(database_url=database_url, MAESTRALE_SECRET_KEY="another")
    with Maestrale(changed) as other:
        told = only(telling.check_secrets(other), Verdict.BAD)
    assert "end_1" in told.found
    assert "MAESTRALE_SECRET_KEY" in told.advice


def test_endpoints_that_fail_or_are_disabled_are_named(client: Maestrale):
    """A failing one with since when, a disabled one with why; a healthy one is not."""
    hours = client.store.now() - 7_200
    an_endpoint(client, "end_good")
    an_endpoint(client, "end_bad", failing_since=hours, last_error="HTTP 500")
    an_endpoint(client, "end_off", state="disabled", reason="410", failing_since=hours)
    failing, disabled = telling.check_endpoints(client)
    assert "end_bad" in failing.found
    assert "2 h 00 min" in failing.found
    assert "end_off" in disabled.found
    assert "webhooks enable end_off" in disabled.advice


def test_deliveries_that_nobody_sends_are_bad(client: Maestrale):
    """Due for minutes at an active endpoint; one at a disabled endpoint is not late."""
    an_endpoint(client, "end_1")
    a_late_delivery(client, "end_1")
    assert "1 late" in only(telling.check_endpoints(client), Verdict.BAD).found
    with client.store.write() as connection:
        connection.execute(update(checkup.endpoints).values(state="disabled", reason="gone"))
    assert not any(finding.is_bad for finding in telling.check_endpoints(client))


def test_events_that_stay_in_the_outbox_are_told(client: Maestrale):
    """Older than a minute and not relayed; a fresh one is no news."""
    a_stored_job(client.store)
    assert list(telling.check_events(client)) == []
    with client.store.write() as connection:
        connection.execute(update(events.events).values(created_at=client.store.now() - 300))
    assert "not relayed" in only(telling.check_events(client), Verdict.NOTE).found


def test_a_model_without_a_price_is_named_while_its_job_is_open(client: Maestrale):
    """Its cost would be unknown, and a budget would stop the job."""
    recipe = {"steps": [{"model": "model-of-nobody"}, {"model": "mistral-small-latest"}]}
    a_stored_job(client.store, spec=JobSpec(recipe=recipe).model_dump_json())
    told = only(account.check_prices(client), Verdict.NOTE)
    assert told.found.startswith("model-of-nobody:")
    assert "MAESTRALE_PRICES" in told.advice


def test_paused_jobs_say_why_and_how_to_go_on(client: Maestrale):
    """One stopped by its budget needs more money, another a resume; many are counted."""
    spent = a_stored_job(
        client.store, state="paused", state_reason="paused: the budget is spent", budget_nano=5
    )
    (told,) = account.check_paused(client)
    assert f"resume {spent} --budget" in told.advice
    for _ in range(4):
        a_stored_job(client.store, state="paused", state_reason="paused by the user")
    assert "2 more" in list(account.check_paused(client))[-1].found


def test_answers_of_a_dead_process_are_found_and_those_of_the_living_are_not(client: Maestrale):
    """A locked spool has its owner; an unlocked one waits for a worker of this home."""
    folder = client.settings.home / "spool"
    folder.mkdir(parents=True)
    (folder / "1-a-000001.spool").write_text('["paid"]\n')
    assert "maestrale up" in only(places.check_spool(client), Verdict.BAD).advice
    a_worker(client)
    assert only(places.check_spool(client), Verdict.NOTE).found.startswith("1 files")
    with Path(folder / "1-a-000001.spool").open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        only(places.check_spool(client), Verdict.GOOD)


def test_a_clock_that_nobody_keeps_and_one_that_is_wrong(
    client: Maestrale, monkeypatch: pytest.MonkeyPatch
):
    """Workers alive, and the sweep long overdue; a machine ten minutes ahead of the database."""
    a_worker(client)
    with client.store.write() as connection:
        fleet.claim_hand(connection, "sweep", every_s=-600)
    assert "swept" in only(processes.check_clock(client), Verdict.BAD).found
    now = time.time()
    monkeypatch.setattr(processes.time, "time", lambda: now + 600)
    assert "ahead of" in only(processes.check_clock(client), Verdict.NOTE).found


def a_lonely_run(client: Maestrale, *, for_s: float, needs: str = "pairs", **first: Any) -> str:
    """A run of two stages that was submitted so long ago; `first`: how the first one stands."""
    run = a_job(kind=JobKind.PIPELINE, rows_total=2, max_failed_share=0.0)
    planned = [{"name": name, "kind": "generate", "needs": []} for name in ("pairs", "exam")]
    planned[1]["needs"] = [needs] if needs else []
    when = client.store.now() - for_s
    with client.store.write() as connection:
        stages.create(connection, run, planned)
        mine = update(stages.jobs).where(stages.jobs.c.id == run.id)
        connection.execute(mine.values(created_at=when))
        mine = update(stages.stages).where(stages.stages.c.name == "pairs")
        connection.execute(
            mine.where(stages.stages.c.run_id == run.id).values(**first or {"owner": ""})
        )
    return run.id


def test_a_run_that_nobody_conducts_is_named(client: Maestrale):
    """By its id, with both ways out; a conductor of this home is alive, or it is not."""
    run = a_lonely_run(client, for_s=300)
    told = only(processes.check_conductor(client), Verdict.BAD)
    assert run in told.found
    assert f"maestrale watch {run}" in told.advice
    assert "maestrale up" in told.advice
    me = {"name": "conductor", "pid": os.getpid(), "born": born(os.getpid()), "address": ""}
    client.settings.home.mkdir(parents=True)
    Services(client.settings)._note(services=[me])
    only(processes.check_conductor(client), Verdict.GOOD)


@pytest.mark.parametrize(
    "first",
    [
        {"state": "done", "finished_at": 1.0},  # the next one is due
        {"state": "running", "job_id": "job_gone"},  # to be collected
        {"state": "working", "claimed_until": 1.0},  # of a conductor that died
    ],
)
def test_a_stage_that_is_due_in_any_way_counts_as_waiting(client: Maestrale, first: dict[str, Any]):
    """To begin, to collect, to take over."""
    run = a_lonely_run(client, for_s=300, **first)
    assert run in only(processes.check_conductor(client), Verdict.BAD).found


def test_a_run_that_somebody_conducts_or_that_waits_for_others_is_not(client: Maestrale):
    """Claimed, at work, told why it waits, or new: a conductor elsewhere gives no other sign."""
    later = client.store.now() + 60
    at_work = a_stored_job(client.store, state="running")
    a_lonely_run(client, for_s=300, state="running", job_id=at_work)
    a_lonely_run(client, for_s=300, reason="3 of 50 pairs are judged")
    a_lonely_run(client, for_s=5)
    assert list(processes.check_conductor(client)) == []
    a_lonely_run(client, for_s=300, state="working", claimed_until=later)
    a_lonely_run(client, for_s=300)  # whoever has the claim comes to it, too
    assert list(processes.check_conductor(client)) == []


def test_a_schema_of_the_future_is_not_migrated_but_upgraded_to(client: Maestrale):
    """An old program beside a new one is told to be upgraded."""
    with client.store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "upgrade this machine" in only(places.check_database(client), Verdict.BAD).advice
