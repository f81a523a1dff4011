"""Claims and outcomes: one claimer each, late outcomes change nothing, what ends an endpoint."""

from functools import partial

from builders import a_stored_job, at_once
from sinks import an_endpoint, due_now, sealer, states_of
from sqlalchemy import update
from test_store_deliveries import (
    GIVE_UP_S,
    attempted,
    claim,
    look,
    record,
    relay,
    the_endpoint,
    write,
)

from models.states import DeliveryState, EndpointState
from models.store import attempts, deliveries, endpoints, events
from models.store.engine import Store


def pending(store: Store, endpoints_count: int = 1, each: int = 4) -> list[str]:
    """Endpoints with this many deliveries due at each."""
    job = a_stored_job(store)
    relay(store)
    ids = [an_endpoint(store, patterns=("job.progressed",)) for _ in range(endpoints_count)]
    write(store, job, *["job.progressed"] * each)
    relay(store)
    return ids


def failing_for(store: Store, endpoint_id: str, seconds: float) -> None:
    """The endpoint began to fail this long ago."""
    table = deliveries.endpoints
    moved = update(table).where(table.c.id == endpoint_id)
    with store.write() as connection:
        connection.execute(moved.values(failing_since=table.c.failing_since - seconds))


def row_of(store: Store, delivery_id: int) -> dict[str, object]:
    """A delivery as the log shows it."""
    with store.read() as connection:
        return next(r for r in deliveries.newest(connection) if r["id"] == delivery_id)


def test_each_endpoint_gets_what_it_has_room_for(store: Store) -> None:
    """A crowd at one endpoint takes no other's place; the longest due go first."""
    crowded, other = pending(store, 2, each=6)
    taken = claim(store, **{crowded: 2, other: 1})
    assert [c.endpoint_id for c in taken].count(crowded) == 2
    assert [c.endpoint_id for c in taken].count(other) == 1
    first = [c.message_id for c in taken if c.endpoint_id == crowded]
    rest = [c.message_id for c in claim(store, **{crowded: 99})]
    assert len(first + rest) == len(set(first + rest)) == 6
    assert claim(store, **{crowded: 1, "ep_none": 3}) == []


def test_claimers_at_once_never_share(store: Store) -> None:
    """Eight processes, each delivery to one of them."""
    (endpoint,) = pending(store, each=40)
    found = at_once(*[partial(claim, store, **{endpoint: 8})] * 8)
    ids = [claimed.id for claims in found for claimed in claims]
    ids += [claimed.id for claimed in claim(store, **{endpoint: 99})]
    assert len(ids) == len(set(ids)) == 40


def test_a_claim_that_ran_out_is_due_again_with_the_same_id(store: Store) -> None:
    """A dead worker's delivery; its outcome, should it still come, changes nothing."""
    (endpoint,) = pending(store, each=1)
    (dead,) = claim(store, **{endpoint: 1})
    assert claim(store, **{endpoint: 1}) == []
    due_now(store)
    (second,) = claim(store, **{endpoint: 1})
    assert (second.id, second.message_id, second.body) == (dead.id, dead.message_id, dead.body)
    assert second.claims > dead.claims
    assert record(store, attempted(dead, "exhausted")) == 0
    assert record(store, attempted(second)) == 1
    assert states_of(store) == {"delivered": 1}


def test_an_outcome_counts_once(store: Store) -> None:
    """A writer that lost the commit's answer records again: no second attempt in the log."""
    (endpoint,) = pending(store, each=1)
    (claimed,) = claim(store, **{endpoint: 1})
    made = attempted(claimed, "pending", after_s=60.0)
    assert (record(store, made), record(store, made)) == (1, 0)
    row = row_of(store, claimed.id)
    assert (row["tries"], row["attempts"], row["last_status"]) == (1, 1, 500)
    with store.read() as connection:
        assert len(deliveries.attempts_of(connection, claimed.id)) == 1


def test_a_failed_attempt_is_due_after_its_wait(store: Store) -> None:
    """And not before; its place in the table rises."""
    (endpoint,) = pending(store, each=1)
    (claimed,) = claim(store, **{endpoint: 1})
    record(store, attempted(claimed, "pending", after_s=300.0, status=None, error="timeout"))
    assert look(store) == []
    row = row_of(store, claimed.id)
    wait_s = float(str(row["next_at"])) - store.now()
    assert 290 < wait_s <= 300
    assert (row["last_error"], row["last_status"], row["settled_at"]) == ("timeout", None, None)
    due_now(store)
    (again,) = claim(store, **{endpoint: 1})
    assert again.tries == 1


def test_released_claims_are_due_at_once(store: Store) -> None:
    """For others to try; a claim that is not ours any more is left alone."""
    (endpoint,) = pending(store, each=2)
    one, two = claim(store, **{endpoint: 2})
    record(store, attempted(two))
    with store.write() as connection:
        attempts.release(connection, [one, two])
        attempts.release(connection, [])
    (again,) = claim(store, **{endpoint: 2})
    assert (again.id, again.tries) == (one.id, 0)
    with store.write() as connection:
        attempts.release(connection, [one])
    assert claim(store, **{endpoint: 2}) == []


def test_an_endpoint_knows_how_it_fares(store: Store) -> None:
    """Failing since the first failure after the last success; status, word and times."""
    (endpoint,) = pending(store, each=4)
    one, two, three, four = claim(store, **{endpoint: 4})
    record(store, attempted(one))
    well = the_endpoint(store, endpoint)
    assert (well.last_status, well.failing_since, well.last_error) == (204, None, "")
    assert well.last_success_at is not None
    record(store, attempted(two, "pending"))
    since = the_endpoint(store, endpoint).failing_since
    assert since is not None
    record(store, attempted(three, "pending", status=None, error="timeout"))
    ill = the_endpoint(store, endpoint)
    assert (ill.last_status, ill.last_error, ill.failing_since) == (None, "timeout", since)
    record(store, attempted(four))
    assert the_endpoint(store, endpoint).failing_since is None


def test_410_ends_an_endpoint(store: Store) -> None:
    """It is disabled with all that waits, and the event says so; others are not touched."""
    gone, other = pending(store, 2, each=3)
    claimed, *_ = claim(store, **{gone: 1})
    record(store, attempted(claimed, "disabled", error="gone"))
    found = the_endpoint(store, gone)
    assert (found.state, found.reason) == (EndpointState.DISABLED, "it answered 410 Gone")
    assert states_of(store, gone) == {"disabled": 3}
    assert states_of(store, other) == {"pending": 3}
    with store.read() as connection:
        assert [e.type for e in events.of_subject(connection, gone)] == ["endpoint.disabled"]


def test_five_days_without_a_success_end_an_endpoint(store: Store) -> None:
    """A failure just before is one more failure; the next one after is the last."""
    (endpoint,) = pending(store, each=4)
    one, two, three, _ = claim(store, **{endpoint: 4})
    record(store, attempted(one, "pending"))
    failing_for(store, endpoint, GIVE_UP_S - 60)
    record(store, attempted(two, "pending"))
    assert the_endpoint(store, endpoint).state == EndpointState.ACTIVE
    failing_for(store, endpoint, 60)
    record(store, attempted(three, "pending"))
    found = the_endpoint(store, endpoint)
    assert (found.state, found.reason) == ("disabled", "no attempt succeeded for 5 days")
    assert states_of(store, endpoint) == {"disabled": 4}


def test_a_success_begins_the_five_days_anew(store: Store) -> None:
    """What failed for long and works again is no candidate."""
    (endpoint,) = pending(store, each=3)
    one, two, three = claim(store, **{endpoint: 4})
    record(store, attempted(one, "pending"))
    failing_for(store, endpoint, 2 * GIVE_UP_S)
    record(store, attempted(two))
    record(store, attempted(three, "pending"))
    assert the_endpoint(store, endpoint).state == EndpointState.ACTIVE


def test_nothing_is_claimed_for_a_disabled_endpoint(store: Store) -> None:
    """A worker that looked before it was disabled gets nothing."""
    (endpoint,) = pending(store, each=2)
    with store.write() as connection:
        deliveries.disable_endpoint(connection, endpoint, "")
    assert claim(store, **{endpoint: 4}) == []


def test_an_outcome_for_a_disabled_endpoint_is_dropped(store: Store) -> None:
    """Its delivery has moved already; nothing is pending again behind its back."""
    (endpoint,) = pending(store, each=1)
    (claimed,) = claim(store, **{endpoint: 1})
    with store.write() as connection:
        deliveries.disable_endpoint(connection, endpoint, "")
    assert record(store, attempted(claimed, "pending")) == 0
    assert states_of(store) == {"disabled": 1}


def test_both_secrets_while_one_is_rotated(store: Store) -> None:
    """The new one first; the old one only as long as it signs."""
    (endpoint,) = pending(store, each=2)
    with store.write() as connection:
        endpoints.rotate(connection, endpoint, sealer().seal("whsec_bmV3"))
    (claimed,) = claim(store, **{endpoint: 1})
    assert [sealer().open(sealed)[-4:] for sealed in claimed.secrets] == ["bmV3", "LaSw"]
    with store.write() as connection:
        connection.execute(update(deliveries.endpoints).values(old_until=1.0))
    (claimed,) = claim(store, **{endpoint: 1})
    assert len(claimed.secrets) == 1


def test_groups_at_once_do_not_lock_each_other_out(store: Store) -> None:
    """Records of many endpoints in any order, relays and claims beside them: no deadlock."""
    ids = pending(store, 4, each=8)
    claimed = claim(store, **dict.fromkeys(ids, 8))
    halves = [claimed[::2], list(reversed(claimed[1::2]))]

    def in_groups(some: list[attempts.Claimed]) -> int:
        return sum(record(store, *[attempted(c) for c in some[at::4]]) for at in range(4))

    job = a_stored_job(store)
    for _ in range(3):
        write(store, job, "job.progressed")
    done = at_once(
        *[partial(in_groups, half) for half in halves],
        partial(relay, store),
        partial(claim, store, **dict.fromkeys(ids, 8)),
    )
    assert sum(done[:2]) == 32
    assert states_of(store)[DeliveryState.DELIVERED] == 32
