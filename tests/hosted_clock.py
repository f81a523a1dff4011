"""One process's hand for remote work, turned by tests: every operation is due at each turn."""

import asyncio
from random import Random
from typing import Any

from sqlalchemy import select, update

from models.states import RemoteState
from models.store import remote
from models.store.engine import Store
from models.tables import RemoteOperation
from worker.remote.operations import Operations
from worker.remote.outcomes import Handler


class HostedClock:
    """Turns its handler's only operation step by step."""

    def __init__(self, store: Store, kind: str, handler: Handler) -> None:
        self.store = store
        self.operations = Operations(
            write=self.write,
            read=self.read,
            ring_for=self.ring_for,
            handlers={kind: handler},
            random=Random(1),
        )

    async def ring_for(self, _job_id: str) -> bool:
        return True

    async def write(self, function: Any, *args: Any, **named: Any) -> Any:
        with self.store.write() as connection:
            return function(connection, *args, **named)

    async def read(self, function: Any, *args: Any) -> Any:
        with self.store.read() as connection:
            return function(connection, *args)

    def change(self, **values: Any) -> None:
        """Tests alone may bypass the moves."""
        with self.store.write() as connection:
            connection.execute(update(remote.operations).values(**values))

    async def turn(self) -> RemoteOperation:
        """One step of the operation; answers how it stands after."""
        self.change(next_check_at=0.0)
        await self.operations.turn()
        await asyncio.gather(*self.operations._in_hand.values())
        with self.store.read() as connection:
            return RemoteOperation(**connection.execute(select(remote.operations)).mappings().one())

    async def until(self, *states: RemoteState) -> RemoteOperation:
        """Turns until the operation stands so."""
        for _ in range(400):
            operation = await self.turn()
            if operation.state in states:
                return operation
            await asyncio.sleep(0.02)  # the simulator's own clock
        raise AssertionError(f"it stands at {operation.state}: {operation.reason}")
