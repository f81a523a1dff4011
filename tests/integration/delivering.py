"""A deliverer on a loop of its own: within a test, or as a process of its own.

`python tests/integration/delivering.py DATABASE_URL` delivers until it is killed (it wants the
repository and `tests` in `PYTHONPATH`).
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from sinks import LOOPBACK

from models.settings import Settings
from models.store.engine import Store, open_store
from worker.database import Database
from worker.webhooks.deliverer import Deliverer


@asynccontextmanager
async def delivering(
    store: Store, *, total_s: float = 5.0, **settings: object
) -> AsyncIterator[Deliverer]:
    """A deliverer at work, which may send to sinks on this machine."""
    with ThreadPoolExecutor(4) as threads:
        made = Settings(_env_file=None, **{**LOOPBACK, **settings})
        deliverer = Deliverer(made, Database(store, threads), total_s=total_s)
        await deliverer.open()
        try:
            yield deliverer
        finally:
            await deliverer.close()


async def _for_ever(url: str) -> None:
    home = tempfile.gettempdir()
    store = open_store(Settings(_env_file=None, DATABASE_URL=url, MAESTRALE_HOME=home))
    async with delivering(store):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_for_ever(sys.argv[1]))  # noqa: TID251 # a __main__
