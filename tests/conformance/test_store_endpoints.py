"""Endpoints on SQLite and PostgreSQL: found by a beginning, rotated with their copies, enabled."""

from typing import Any

from builders import a_stored_job

from models.states import EndpointState
from models.store import deliveries, endpoints, events
from models.store.engine import Store
from models.tables import Endpoint

URL = "https://hooks.example.com/in"


def an_endpoint(store: Store, endpoint_id: str = "ep_a", **changes: Any) -> str:
    """The id of an endpoint that hears everything at `URL`."""
    with store.write() as connection:
        endpoints.create(connection, endpoint_id, **{"url": URL, "secret": "sealed", **changes})
    return endpoint_id


def read(store: Store, endpoint_id: str) -> Endpoint:
    """The endpoint as it stands."""
    with store.read() as connection:
        found = endpoints.get(connection, endpoint_id)
    assert found is not None
    return found


def test_an_endpoint_is_found_by_a_beginning_that_is_its_own(store: Store) -> None:
    """A beginning that two share names none; a whole id names its own, though longer ones are."""
    for name in ("ep_ab", "ep_abc", "ep_x%"):
        an_endpoint(store, name)
    names = ("ep_ab", "ep_", "ep_x", "ep_x_")  # a wildcard of LIKE is a letter like others
    with store.read() as connection:
        found = {text: endpoints.get(connection, text) for text in names}
    assert {text: one and one.id for text, one in found.items()} == {
        "ep_ab": "ep_ab",
        "ep_": None,
        "ep_x": "ep_x%",
        "ep_x_": None,
    }


def test_those_of_all_jobs_come_first_then_the_newest(store: Store) -> None:
    """A job's own endpoints do not push the lasting ones off the list."""
    an_endpoint(store, "ep_lasting")
    an_endpoint(store, "ep_of_job", job_id="job_a")
    an_endpoint(store, "ep_newer", job_id="job_b")
    with store.read() as connection:
        assert [one.id for one in endpoints.all_(connection)] == [
            "ep_lasting",
            "ep_newer",
            "ep_of_job",
        ]
        assert [one.id for one in endpoints.all_(connection, job_id="job_a")] == ["ep_of_job"]
        assert len(endpoints.all_(connection, limit=1)) == 1


def test_rotating_keeps_the_old_secret_for_a_day(store: Store) -> None:
    """By the database's clock."""
    an_endpoint(store)
    with store.write() as connection:
        assert endpoints.rotate(connection, "ep_a", "newer") == 1
    found = read(store, "ep_a")
    assert (found.secret, found.old_secret) == ("newer", "sealed")
    assert found.old_until is not None
    assert 86_000 < found.old_until - store.now() <= 86_400


def test_copies_for_jobs_rotate_with_the_endpoint_they_come_from(store: Store) -> None:
    """Else the receiver would have to know two secrets for one URL, for ever."""
    an_endpoint(store)
    an_endpoint(store, "ep_other", secret="another")
    with store.write() as connection:
        endpoints.rotate(connection, "ep_a", "second")
        endpoints.copy_for_job(connection, "ep_a", "ep_copy", "job_a")
        assert endpoints.rotate(connection, "ep_copy", "third") == 2
    whole, copy, other = (read(store, name) for name in ("ep_a", "ep_copy", "ep_other"))
    assert (whole.secret, whole.old_secret) == (copy.secret, copy.old_secret) == ("third", "second")
    assert (copy.url, copy.job_id, copy.events) == (URL, "job_a", "[]")
    assert other.secret == "another"


def test_a_copy_signs_with_the_old_secret_as_long_as_its_source(store: Store) -> None:
    """A receiver that still has the old secret hears of new jobs too."""
    an_endpoint(store)
    with store.write() as connection:
        endpoints.rotate(connection, "ep_a", "second")
        endpoints.copy_for_job(connection, "ep_a", "ep_copy", "job_a")
    whole, copy = read(store, "ep_a"), read(store, "ep_copy")
    assert (copy.old_secret, copy.old_until) == (whole.old_secret, whole.old_until)


def test_enabling_gives_five_days_anew(store: Store) -> None:
    """And only a disabled endpoint can be enabled."""
    an_endpoint(store)
    with store.write() as connection:
        assert not endpoints.enable(connection, "ep_a")
        deliveries.disable_endpoint(connection, "ep_a", "it answered 410 Gone")
        assert endpoints.enable(connection, "ep_a")
    found = read(store, "ep_a")
    assert (found.state, found.reason, found.failing_since) == (EndpointState.ACTIVE, "", None)


def test_a_url_is_spoken_for_by_a_lasting_active_endpoint_first(store: Store) -> None:
    """Then a lasting one that is disabled, then one of a job."""
    an_endpoint(store, "ep_job", job_id="job_a")
    with store.write() as connection:
        assert endpoints.for_url(connection, URL + "/else") is None
        assert endpoints.for_url(connection, URL).id == "ep_job"  # type: ignore[union-attr]
    an_endpoint(store, "ep_gone")
    with store.write() as connection:
        deliveries.disable_endpoint(connection, "ep_gone", "")
        assert endpoints.for_url(connection, URL).id == "ep_gone"  # type: ignore[union-attr]
    an_endpoint(store, "ep_here")
    with store.read() as connection:
        assert endpoints.for_url(connection, URL).id == "ep_here"  # type: ignore[union-attr]


def test_only_an_active_endpoint_without_a_filter_hears_all(store: Store) -> None:
    """Not one of another URL, of some events, of one job, or a disabled one."""
    an_endpoint(store, "ep_1", url=URL + "/else")
    an_endpoint(store, "ep_2", patterns=["job.failed"])
    an_endpoint(store, "ep_3", job_id="job_a")
    an_endpoint(store, "ep_4")
    with store.write() as connection:
        assert endpoints.hears_all(connection, URL)
        deliveries.disable_endpoint(connection, "ep_4", "")
        assert not endpoints.hears_all(connection, URL)


def test_the_same_wish_is_known_again(store: Store) -> None:
    """By URL, patterns and job together."""
    an_endpoint(store, patterns=["job.failed"], job_id="job_a")
    with store.read() as connection:
        known = {"url": URL, "patterns": ["job.failed"], "job_id": "job_a"}
        assert endpoints.same(connection, **known) == "ep_a"
        for other in ({"url": URL + "/"}, {"patterns": []}, {"job_id": None}):
            assert endpoints.same(connection, **{**known, **other}) is None


def test_later_events_are_those_above_an_id_in_order(store: Store) -> None:
    """Of all subjects: what `maestrale events --follow` reads."""
    with store.read() as connection:
        assert events.last_id(connection) == 0
    jobs = [a_stored_job(store), a_stored_job(store)]
    with store.read() as connection:
        first, second = events.later(connection, 0)
        assert [first.subject_id, second.subject_id] == jobs
        assert [event.id for event in events.later(connection, first.id or 0)] == [second.id]
        assert events.last_id(connection) == second.id
