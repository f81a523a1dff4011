"""From the outbox to deliveries: who hears what, each once; the log, replay, disabling."""

import re
from functools import partial

import orjson
import pytest
from builders import a_stored_job, at_once
from sinks import an_endpoint, due_now, states_of
from sqlalchemy import select, update

from models.errors import BadInputError, NotFoundError
from models.states import DELIVERY_TRANSITIONS, DeliveryState, EndpointState
from models.store import attempts, deliveries, endpoints, events
from models.store.attempts import Attempted, Claimed
from models.store.engine import Store

GIVE_UP_S = 5 * 86_400.0


def relay(store: Store, limit: int = 200) -> int:
    """One relay, as a worker does it."""
    with store.write() as connection:
        return deliveries.relay(connection, limit)


def look(store: Store) -> list[str]:
    """What there is to do."""
    with store.read() as connection:
        return deliveries.look(connection)


def write(store: Store, job_id: str, *kinds: str) -> None:
    """Events of a job."""
    with store.write() as connection:
        for kind in kinds:
            events.write(connection, job_id, kind)


def types_at(store: Store, endpoint_id: str) -> list[str]:
    """Types of the events that were made for an endpoint, oldest first."""
    with store.read() as connection:
        found = deliveries.newest(connection, endpoint_id=endpoint_id)
    return [delivery["event_type"] for delivery in reversed(found)]


def claim(store: Store, **room: int) -> list[Claimed]:
    """Claims for a minute."""
    with store.write() as connection:
        return attempts.claim_due(connection, room, claim_s=60)


def attempted(claimed: Claimed, state: str = "delivered", **changes: object) -> Attempted:
    """An attempt that ended so."""
    status = {"delivered": 204, "disabled": 410}.get(state, 500)
    values = {
        "claimed": claimed,
        "state": DeliveryState(state),
        "after_s": 5.0,
        "status": status,
        "ms": 12,
        "error": "" if status == 204 else "server_error",
        "excerpt": "thanks",
    }
    return Attempted(**{**values, **changes})


def record(store: Store, *made: Attempted, give_up_s: float = GIVE_UP_S) -> int:
    """Records in one transaction."""
    with store.write() as connection:
        return attempts.record(connection, made, give_up_s=give_up_s)


def the_endpoint(store: Store, endpoint_id: str) -> endpoints.Endpoint:
    """The endpoint as it stands."""
    with store.read() as connection:
        found = endpoints.get(connection, endpoint_id)
    assert found is not None
    return found


def test_each_endpoint_hears_what_it_asked_for(store: Store) -> None:
    """Patterns, families, one job only; a disabled endpoint hears nothing."""
    job, other = a_stored_job(store), a_stored_job(store)
    all_of_it = an_endpoint(store)
    ends = an_endpoint(store, patterns=("job.succeeded", "budget.*"))
    of_one = an_endpoint(store, job_id=job, patterns=("job.*",))
    deaf = an_endpoint(store)
    with store.write() as connection:
        deliveries.disable_endpoint(connection, deaf, "told so")
    relay(store)
    write(store, job, "job.running", "budget.reached")
    write(store, other, "job.succeeded")
    assert relay(store) == 3
    assert relay(store) == 0, "each event once"
    told = types_at(store, all_of_it)
    assert told[-3:] == ["job.running", "budget.reached", "job.succeeded"]
    assert types_at(store, ends)[-2:] == ["budget.reached", "job.succeeded"]
    assert "job.succeeded" not in types_at(store, of_one)
    assert types_at(store, of_one)[-1] == "job.running"
    assert types_at(store, deaf) == []


def test_a_delivery_holds_the_bytes_that_are_signed(store: Store) -> None:
    """The body is a Standard Webhooks payload, the id names the event."""
    job, endpoint = a_stored_job(store), an_endpoint(store, patterns=("job.running",))
    write(store, job, "job.running")
    relay(store)
    (claimed,) = claim(store, **{endpoint: 4})
    body = orjson.loads(claimed.body)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["timestamp"].endswith("Z")
    assert claimed.message_id == f"evt_{job}_{body['data']['seq']}"
    assert "secret" not in repr(claimed)
    assert "example.com" not in repr(claimed), "a URL may hold a token"


def test_an_endpoint_is_not_told_of_its_own_end(store: Store) -> None:
    """`endpoint.disabled` goes to the others, not to the one it is about, enabled again or not."""
    gone, other = an_endpoint(store), an_endpoint(store)
    with store.write() as connection:
        assert deliveries.disable_endpoint(connection, gone, "it answered 410 Gone")
        assert not deliveries.disable_endpoint(connection, gone, "again"), "only once"
        endpoints.enable(connection, gone)
    relay(store)
    assert types_at(store, other) == ["endpoint.disabled"]
    assert types_at(store, gone) == []


def test_two_relays_make_each_delivery_once(store: Store) -> None:
    """Whoever is second leaves what the first one has in hand."""
    job = a_stored_job(store)
    ids = [an_endpoint(store) for _ in range(3)]
    for _ in range(10):
        write(store, job, *["job.progressed"] * 5)
    relayed = sum(at_once(*[partial(relay, store, 7)] * 6))
    while more := relay(store, 7):
        relayed += more
    with store.read() as connection:
        made = connection.execute(
            select(deliveries.deliveries.c.endpoint_id, deliveries.deliveries.c.message_id)
        ).all()
    assert len(made) == len(set(made)) == relayed * len(ids)


def test_events_are_relayed_without_endpoints_too(store: Store) -> None:
    """What nobody hears does not wait for ever."""
    write(store, a_stored_job(store), "job.running")
    assert look(store) == [deliveries.EVENTS_WAIT]
    assert relay(store) > 0
    assert look(store) == []


def test_looking_tells_who_has_something_due(store: Store) -> None:
    """Only active endpoints with something due now; claimed and settled is not due."""
    job = a_stored_job(store)
    one, two = an_endpoint(store), an_endpoint(store, patterns=("job.failed",))
    relay(store)
    write(store, job, "job.running")
    relay(store)
    assert look(store) == [one]
    claimed = claim(store, **{one: 10, two: 10})
    assert look(store) == []
    due_now(store)
    assert look(store) == [one], "its claims ran out"
    again = claim(store, **{one: 10})
    record(store, *[attempted(c) for c in again])
    assert look(store) == []
    assert len(claimed) == len(again)


def test_looking_finds_each_of_many(store: Store) -> None:
    """Every endpoint with something due, past those with nothing, and past disabled ones."""
    job = a_stored_job(store)
    of_job = [an_endpoint(store, job_id=job) for _ in range(3)]
    for _ in range(3):
        an_endpoint(store, job_id="another job, long done")
    relay(store)
    assert sorted(look(store)) == sorted(of_job)
    with store.write() as connection:
        connection.execute(
            update(deliveries.endpoints)
            .where(deliveries.endpoints.c.id == min(of_job))
            .values(state="disabled")
        )
    assert sorted(look(store)) == sorted(of_job)[1:]


def test_a_test_goes_to_one_endpoint_past_the_relay(store: Store) -> None:
    """`webhook.test` is due at once, for the asked one alone, whatever it subscribed to."""
    asked, _other = an_endpoint(store, patterns=("job.failed",)), an_endpoint(store)
    with store.write() as connection:
        delivery_id = deliveries.enqueue_test(connection, asked)
    assert relay(store) == 0
    (claimed,) = claim(store, **{asked: 1})
    assert claimed.id == delivery_id
    assert orjson.loads(claimed.body)["type"] == "webhook.test"
    assert states_of(store) == {"pending": 1}
    with store.write() as connection:
        deliveries.disable_endpoint(connection, asked, "")
    with store.write() as connection:
        with pytest.raises(BadInputError, match="enable"):
            deliveries.enqueue_test(connection, asked)
        with pytest.raises(NotFoundError):
            deliveries.enqueue_test(connection, "ep_none")


def test_disabling_takes_what_waits_along(store: Store) -> None:
    """Pending deliveries are disabled, others stay; the event says why; replay needs `enable`."""
    job, endpoint = a_stored_job(store), an_endpoint(store, url="https://user.test/hook?token=abc")
    write(store, job, "job.running", "job.progressed")
    relay(store)
    first, *_ = claim(store, **{endpoint: 1})
    record(store, attempted(first))
    with store.write() as connection:
        deliveries.disable_endpoint(connection, endpoint, "tired of it")
    assert states_of(store, endpoint)["delivered"] == 1
    assert "pending" not in states_of(store, endpoint)
    with store.read() as connection:
        (event,) = events.of_subject(connection, endpoint)
        rows = deliveries.newest(connection, endpoint_id=endpoint)
    assert event.type == "endpoint.disabled"
    assert "tired of it" in event.data
    assert "token" not in event.data, "path and query may be secret"
    assert {row["origin"] for row in rows} == {"https://user.test"}
    assert not any("body" in row or "url" in row for row in rows)
    with store.write() as connection:
        assert deliveries.replay(connection, endpoint_id=endpoint) == 0
        assert endpoints.enable(connection, endpoint)
        assert deliveries.replay(connection, endpoint_id=endpoint, failed_only=True) == 2


def test_replay_begins_the_table_anew_with_the_same_id(store: Store) -> None:
    """Tries start at 0, attempts are numbered on, the message id stays; filters add up."""
    job, one, two = a_stored_job(store), an_endpoint(store), an_endpoint(store)
    write(store, job, "job.running")
    relay(store)
    claimed = claim(store, **{one: 9, two: 9})
    lost, *others = claimed
    record(store, attempted(lost, "exhausted"), *[attempted(c) for c in others])
    with store.write() as connection:
        assert deliveries.replay(connection, failed_only=True, endpoint_id=two) == 0
        assert deliveries.replay(connection, ids=[]) == 0
        assert deliveries.replay(connection, since=2e10) == 0
        assert deliveries.replay(connection, ids=[lost.id], failed_only=True) == 1
    (again,) = claim(store, **{one: 9, two: 9})
    assert (again.id, again.message_id, again.tries) == (lost.id, lost.message_id, 0)
    record(store, attempted(again))
    with store.read() as connection:
        log = deliveries.attempts_of(connection, lost.id)
        counts = deliveries.counts(connection)
    assert [(entry["no"], entry["status"]) for entry in log] == [(1, 500), (2, 204)]
    assert counts == {"pending": 0, "delivered": len(claimed), "exhausted": 0, "disabled": 0}
    with store.write() as connection:
        assert deliveries.replay(connection, since=0.0) == len(claimed)


def test_the_newest_come_first_and_the_failed_can_be_asked_for(store: Store) -> None:
    """By endpoint, by job, failed only: exhausted, disabled, or failing still."""
    job, endpoint = a_stored_job(store), an_endpoint(store)
    write(store, job, "job.running", "job.progressed", "job.failed")
    relay(store)
    ok, failing, lost, *_ = claim(store, **{endpoint: 9})
    record(store, attempted(ok), attempted(failing, "pending"), attempted(lost, "exhausted"))
    with store.read() as connection:
        newest = deliveries.newest(connection, limit=3)
        failed = deliveries.newest(connection, failed=True)
        assert deliveries.newest(connection, subject_id="job_none") == []
        assert len(deliveries.newest(connection, subject_id=job)) >= 3
    assert [row["id"] for row in newest] == sorted((r["id"] for r in newest), reverse=True)
    assert [row["id"] for row in failed] == [lost.id, failing.id]


def test_every_move_is_one_of_the_lifecycle(store: Store) -> None:
    """A delivery moves from pending to what came of it, and by replay back; nothing else."""
    moves = {(a, b) for a, nexts in DELIVERY_TRANSITIONS.items() for b in nexts}
    job, endpoint = a_stored_job(store), an_endpoint(store)
    write(store, job, "job.running", "job.progressed")
    relay(store)
    for target in ("delivered", "exhausted", "disabled"):
        one, *_rest = claim(store, **{endpoint: 1})
        record(store, attempted(one, target))
        assert (DeliveryState.PENDING, DeliveryState(target)) in moves
        with store.write() as connection:
            endpoints.enable(connection, endpoint)
            assert deliveries.replay(connection) > 0
        assert (DeliveryState(target), DeliveryState.PENDING) in moves


def test_two_who_disable_write_one_event(store: Store) -> None:
    """The move is guarded."""
    endpoint = an_endpoint(store)

    def disable() -> bool:
        with store.write() as connection:
            return deliveries.disable_endpoint(connection, endpoint, "gone")

    assert at_once(*[disable] * 4).count(True) == 1
    with store.read() as connection:
        assert len(events.of_subject(connection, endpoint)) == 1
    assert the_endpoint(store, endpoint).state == EndpointState.DISABLED


def test_the_relay_takes_no_endpoint_that_is_being_disabled(store: Store) -> None:
    """Whatever the order, nothing stays pending at a disabled endpoint."""
    job = a_stored_job(store)
    for _ in range(5):
        endpoint = an_endpoint(store)
        write(store, job, *["job.progressed"] * 3)

        def disable(endpoint: str = endpoint) -> bool:
            with store.write() as connection:
                return deliveries.disable_endpoint(connection, endpoint, "now")

        at_once(partial(relay, store), disable, partial(relay, store))
        assert "pending" not in states_of(store, endpoint)


def test_due_is_found_by_index(store: Store) -> None:
    """The look that every idle process has, again and again, reads no table from end to end."""
    an_endpoint(store)
    a_stored_job(store)
    relay(store)
    compiled = deliveries.looking().compile(store.engine, compile_kwargs={"literal_binds": True})
    with store.read() as connection:
        if not store.is_sqlite:  # a table this small is read from end to end, unless told not to
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN ANALYZE"
        plan = "\n".join(str(s[-1]) for s in connection.exec_driver_sql(f"{explain} {compiled}"))
    sought = re.findall(r"COVERING INDEX deliveries_\w+ \((.*)|Index Cond: (.*endpoint_id.*)", plan)
    assert "endpoint_id=? AND next_at<?" in str(sought) or "next_at <=" in str(sought), plan
    assert any(re.search(r"endpoint_id ?>", str(found)) for found in sought), plan
    assert "events_to_relay" in plan, plan
    assert "SCAN deliveries" not in plan, plan
    assert not re.search(r"TEMP B-TREE|SCAN endpoints|Scan on endpoints", plan), plan
