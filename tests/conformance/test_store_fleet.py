"""Who is alive, what was learnt of limits, and the hands of the clock."""

from functools import partial
from typing import Any

from builders import at_once
from sqlalchemy import func, select, update

from models.limits import Limit
from models.store import fleet
from models.store.engine import Store


def _silent_for(store: Store, worker: str, seconds: float) -> None:
    with store.write() as connection:
        connection.execute(
            update(fleet.workers)
            .where(fleet.workers.c.id == worker)
            .values(seen_at=fleet.workers.c.seen_at - seconds)
        )


def _sign(store: Store, worker: str, slots: int = 8) -> None:
    with store.write() as connection:
        fleet.sign_of_life(connection, worker, slots=slots, rows_in_flight=100)


def test_workers_are_alive_for_a_while(store: Store) -> None:
    """Slots of the living are added up; the silent and those who left do not count."""
    for worker, slots in (("a", 8), ("b", 4), ("c", 2), ("c", 3)):
        _sign(store, worker, slots)
    _silent_for(store, "b", fleet.ALIVE_S + 1)
    with store.write() as connection:
        assert [(seen.id, seen.slots) for seen in fleet.alive(connection)] == [("a", 8), ("c", 3)]
        assert fleet.slots(connection) == 11
        fleet.gone(connection, "a")
        fleet.gone(connection, "never seen")
        assert fleet.slots(connection) == 3
        fleet.gone(connection, "c")
        assert fleet.slots(connection) == fleet.DEFAULT_SLOTS


def test_workers_silent_for_a_day_are_forgotten(store: Store) -> None:
    """The table does not grow with every worker that ever was."""
    _sign(store, "old")
    _silent_for(store, "old", fleet.FORGOTTEN_S + 1)
    _sign(store, "new")
    _silent_for(store, "new", -(fleet.FORGOTTEN_S + 2))
    with store.read() as connection:
        assert [seen.id for seen in fleet.alive(connection)] == ["new"]
    _silent_for(store, "old", -(fleet.FORGOTTEN_S + 1))
    with store.read() as connection:
        assert [seen.id for seen in fleet.alive(connection)] == ["new"], "it is gone for good"


def test_limits_are_learnt_by_account_and_model(store: Store) -> None:
    """The newest stands; unknown parts stay unknown; accounts do not see each other."""
    with store.write() as connection:
        fleet.limit_learnt(connection, "a", "small", Limit(60, 5e5, "header"))
        fleet.limit_learnt(connection, "a", "small", Limit(120, None, "found"))
        fleet.limit_learnt(connection, "a", "large", Limit(None, 1e6, "header"))
        fleet.limit_learnt(connection, "b", "small", Limit(1, 1, "told"))
        assert fleet.limits_learnt(connection, "a") == {
            "small": Limit(120, None, "found"),
            "large": Limit(None, 1e6, "header"),
        }
        assert fleet.limits_learnt(connection, "nobody") == {}


def test_a_duty_is_done_by_one(store: Store) -> None:
    """Of any number of clocks one has the hand, the first time and each time it is due."""

    def claim(name: str, every_s: float) -> bool:
        with store.write() as connection:
            return fleet.claim_hand(connection, name, every_s=every_s)

    assert at_once(*[partial(claim, "sweep", 60)] * 8).count(True) == 1
    assert not claim("sweep", 60)
    assert claim("another duty", 60)
    with store.write() as connection:
        connection.execute(update(fleet.hands).values(next_at=0.0))
    assert at_once(*[partial(claim, "sweep", 60)] * 8).count(True) == 1


def test_a_hand_never_stays_in_a_transaction_that_failed(store: Store) -> None:
    """A clock that dies with the duty in hand leaves it to the next one."""
    try:
        with store.write() as connection:
            assert fleet.claim_hand(connection, "sweep", every_s=60)
            raise RuntimeError("died")
    except RuntimeError:
        pass
    with store.write() as connection:
        assert fleet.claim_hand(connection, "sweep", every_s=60)


def a_limiter_sign(model: str = "small", **changes: Any) -> fleet.LimiterSign:
    """A process that sends ten calls a second below a limit told."""
    values: dict[str, Any] = {
        "model": model,
        "account": "a",
        "limit": Limit(1200, None, "told"),
        "rate_per_s": 20.0,
        "calls_per_s": 10.0,
        "hold_s": 0.0,
        "in_flight": 3,
        "waiting": 2,
        "refusals": 1,
        "redis_away": False,
    }
    return fleet.LimiterSign(**{**values, **changes})


def _limiter_sign(store: Store, worker: str, *signs: fleet.LimiterSign, **changes: int) -> float:
    with store.write() as connection:
        usual = {"slots": 8, "rows_in_flight": 0, **changes}
        return fleet.sign_of_life(connection, worker, limiter=signs, **usual)


def _limiters(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(seen.model, seen.worker) for seen in fleet.limiters_seen(connection)]


def test_a_sign_tells_how_the_process_stands(store: Store) -> None:
    """Its newest figures stand, large ones too; a limit nobody knows is unknown, not zero."""
    _limiter_sign(store, "w", a_limiter_sign("old"), backlog=1)
    unknown = a_limiter_sign("new", limit=None, rate_per_s=None, hold_s=30, redis_away=True)
    now = _limiter_sign(store, "w", unknown, a_limiter_sign("old"), spool_bytes=2**40, backlog=7)
    assert abs(now - store.now()) < 5
    with store.read() as connection:
        (worker,) = fleet.alive(connection)
        new, old = fleet.limiters_seen(connection)
    assert (worker.spool_bytes, worker.backlog) == (2**40, 7)
    assert (old.requests_per_minute, old.source, old.hold_until) == (1200, "told", None)
    assert (old.in_flight, old.waiting, old.refusals) == (3, 2, 1)
    assert (new.requests_per_minute, new.tokens_per_minute, new.source) == (None, None, "")
    assert (new.rate_per_s, new.redis_away) == (None, True)
    assert new.hold_until is not None and 29 < new.hold_until - now < 31


def test_limiters_of_the_silent_and_the_gone_are_not_shown(store: Store) -> None:
    """A worker that died does not use the limit any more; one that leaves takes its rows along."""
    for worker in ("dead", "leaving", "living"):
        _limiter_sign(store, worker, a_limiter_sign())
    with store.write() as connection:
        connection.execute(
            update(fleet.limiters)
            .where(fleet.limiters.c.worker == "dead")
            .values(seen_at=fleet.limiters.c.seen_at - fleet.ALIVE_S - 1)
        )
        fleet.gone(connection, "leaving")
    assert _limiters(store) == [("small", "living")]


def test_limiters_of_the_dead_are_forgotten(store: Store) -> None:
    """The table does not grow with every process that ever called."""
    _limiter_sign(store, "dead", a_limiter_sign())
    with store.write() as connection:
        long_ago = fleet.limiters.c.seen_at - fleet.LIMITER_FORGOTTEN_S - 1
        connection.execute(update(fleet.limiters).values(seen_at=long_ago))
    _limiter_sign(store, "living", a_limiter_sign())
    with store.read() as connection:
        query = select(func.count()).select_from(fleet.limiters)
        assert connection.scalar(query) == 1
