"""The database as pages ask it: patient for a while, open once."""

import threading

import pytest

from dashboard.database import Database
from models.errors import SetupError, StoreBusyError
from models.store.engine import open_store, read_now


async def test_a_database_that_hangs_is_given_up(make_settings):
    """The page says so; the thread is the database's own."""
    hangs = threading.Event()

    def opening():
        hangs.wait(30)
        raise SetupError("too late")

    database = Database(opening, patience_s=0.01)
    with pytest.raises(StoreBusyError, match="did not answer"):
        await database.read(read_now)
    hangs.set()


async def test_it_is_opened_once_and_tried_again_after_a_failure(make_settings):
    """A database that comes later is found without a restart."""
    attempts = []

    def opening():
        attempts.append(1)
        if len(attempts) == 1:
            raise SetupError("not there yet")
        return open_store(make_settings())

    database = Database(opening)
    with pytest.raises(SetupError, match="not there yet"):
        await database.read(read_now)
    assert await database.read(read_now) > 1.7e9
    assert await database.read(read_now) > 1.7e9
    assert len(attempts) == 2
    database.store().close()
