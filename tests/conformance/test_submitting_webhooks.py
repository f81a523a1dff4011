"""A job and the endpoints that hear of it are one transaction, on SQLite and PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import a_submission

from models.errors import BadInputError, SetupError
from models.sealing import Sealer
from models.settings import Settings
from models.store import deliveries, endpoints, jobs
from models.store.engine import Store
from producers.readers import ReadOptions, ReadResult, read
from producers.submitting import submit
from producers.webhooks import Webhooks

URL = "https://hooks.example.com/in"
KEY = "a key that all processes share"


@pytest.fixture
def found(tmp_path: Path) -> Iterator[ReadResult]:
    """Three rows, read."""
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"id": f"r{n}", "text": "t"}) + "\n" for n in range(3)))
    with read(source, ReadOptions(), tmp_path / "staging") as result:
        yield result


@pytest.fixture
def make_hooks(
    make_settings: Callable[..., Settings], store: Store, database_url: str
) -> Callable[..., Webhooks]:
    """The client's webhooks over the test's database."""

    def make(**changes: Any) -> Webhooks:
        settings = make_settings(DATABASE_URL=database_url, **changes)
        return Webhooks(settings, lambda: store, list)

    return make


@pytest.fixture
def hooks(make_hooks: Callable[..., Webhooks]) -> Webhooks:
    """With a key for all processes."""
    return make_hooks(MAESTRALE_SECRET_KEY=KEY)


def test_the_first_event_reaches_the_jobs_endpoint(
    store: Store, hooks: Webhooks, found: ReadResult
) -> None:
    """It is there when the job is, so the relay finds both."""
    prepared = hooks.prepare([URL])
    job, _ = submit(store, a_submission(webhooks=prepared), found)
    with store.write() as connection:
        deliveries.relay(connection)
        (sent,) = deliveries.newest(connection)
    (bound,) = hooks.bound(job.id, prepared)
    assert (sent["event_type"], sent["subject_id"]) == ("job.queued", job.id)
    assert (bound.endpoint_id, bound.how) == (sent["endpoint_id"], "new")


def test_it_hears_of_no_other_job(store: Store, hooks: Webhooks, found: ReadResult) -> None:
    """Bound to its own for ever."""
    submit(store, a_submission(webhooks=hooks.prepare([URL])), found)
    other, _ = submit(store, a_submission(again=True), found)
    with store.write() as connection:
        deliveries.relay(connection)
        assert deliveries.newest(connection, subject_id=other.id) == []


def test_a_submission_that_fails_leaves_no_endpoint(
    store: Store, hooks: Webhooks, found: ReadResult
) -> None:
    """Neither the job nor who should have heard of it."""
    lied = replace(found, accepted=found.accepted + 1)  # as if the file had changed meanwhile
    with pytest.raises(BadInputError, match="changed while it was read"):
        submit(store, a_submission(webhooks=hooks.prepare([URL])), lied)
    with store.read() as connection:
        assert (jobs.newest(connection), endpoints.all_(connection)) == ([], [])


def test_the_same_submission_again_binds_nothing_more(
    store: Store, hooks: Webhooks, found: ReadResult
) -> None:
    """An idempotency key names the job and its endpoints as they were made first."""
    wish = a_submission(idempotency_key="k", webhooks=hooks.prepare([URL]))
    submit(store, wish, found)
    again = a_submission(idempotency_key="k", webhooks=(repeated := hooks.prepare([URL])))
    job, is_new = submit(store, again, found)
    assert not is_new
    assert [one.how for one in hooks.bound(job.id, repeated)] == ["known"]
    assert len(hooks.all_()) == 1


def test_with_postgresql_a_key_for_all_processes_is_needed(
    store: Store, make_hooks: Callable[..., Webhooks]
) -> None:
    """The key file of one home is of no use to a worker of another; SQLite has one home."""
    keyless = make_hooks()
    if store.is_sqlite:
        assert keyless.add(URL)[1].startswith("whsec_")
        return
    for attempt in (lambda: keyless.add(URL), lambda: keyless.prepare([URL])):
        with pytest.raises(SetupError, match="MAESTRALE_SECRET_KEY") as refused:
            attempt()
        assert "token_urlsafe" in str(refused.value)
    assert keyless.all_() == []


def test_a_secret_is_sealed_with_the_key(store: Store, hooks: Webhooks) -> None:
    """Any process with the key opens it; one with another is told why it cannot."""
    endpoint, secret = hooks.add(URL)
    with store.read() as connection:
        stored = endpoints.get(connection, endpoint.id)
    assert stored is not None
    assert secret not in stored.secret
    same, other = (Settings(_env_file=None, MAESTRALE_SECRET_KEY=key) for key in (KEY, "other"))
    assert Sealer(same).open(stored.secret) == secret
    with pytest.raises(SetupError, match="another key"):
        Sealer(other).open(stored.secret)
