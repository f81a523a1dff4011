"""The lifecycles of `models/states.py` are what the store does: the fixture that holds it, held."""

import pytest
from builders import a_stored_job
from moves import STORE, Move
from sqlalchemy import Connection, Update, update

from models.states import JobState, ShardState
from models.store import jobs, shards
from models.store.engine import Store

WILD = """
def wild(connection, statement):
    connection.execute(statement)
"""
JUMP = update(jobs.jobs).values(state=JobState.SUCCEEDED)
PARKED = update(shards.shards).values(state=ShardState.WAITING)


def wild(connection: Connection, statement: Update) -> None:
    """As if a module of the store executed it."""
    module: dict[str, object] = {}
    exec(compile(WILD, f"{STORE}/wild.py", "exec"), module)
    module["wild"](connection, statement)  # type: ignore[operator] # a function, just defined


@pytest.mark.parametrize(
    ("statement", "move"),
    [
        (JUMP, Move("jobs", "queued", "succeeded", "models/store/wild.py:3")),
        (PARKED, Move("shards", "open", "waiting", "models/store/wild.py:3")),
    ],
)
def test_a_move_that_is_on_no_map_is_seen(
    store: Store, unmapped_moves: list[Move], statement: Update, move: Move
) -> None:
    """On both databases, with the statement's place."""
    a_stored_job(store)
    with store.write() as connection:
        wild(connection, statement)
    assert set(unmapped_moves) == {move}
    unmapped_moves.clear()


def test_what_is_on_the_map_and_what_tests_set_up_is_not(
    store: Store, unmapped_moves: list[Move]
) -> None:
    """A builder may put a thing where it wants to have it; the product moves by the map."""
    job_id = a_stored_job(store)
    with store.write() as connection:
        connection.execute(JUMP)
        connection.execute(update(jobs.jobs).values(state=JobState.QUEUED))
        assert jobs.pause(connection, job_id, "by hand")
    assert unmapped_moves == []
