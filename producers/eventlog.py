"""The events of jobs as a producer reads them: all of one job's, or each as it becomes true."""

import time
from collections.abc import Callable, Iterator

from models.states import SETTLED
from models.store import events, jobs
from models.store.engine import Store
from models.tables import Event

LOOK_BACK = 1000
"""Ids to look back by: a long transaction makes its event visible after later ones."""
_LOOK_S = 0.5


class EventLog:
    """Reads events. `store` is asked when it is needed."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def of(self, job_id: str) -> list[Event]:
        """The events of a job (by its whole id), in order."""
        with self._store().read() as connection:
            return events.of_subject(connection, job_id)

    def follow_job(self, job_id: str) -> Iterator[Event]:
        """Every event of a job from the first on, as it comes; ends when the job is settled."""
        after = 0
        while True:
            with self._store().read() as connection:
                job = jobs.get(connection, job_id)
                found = events.of_subject(connection, job_id, after=after)
            for event in found:
                after = event.seq
                yield event
            if job is None or job.state in SETTLED:
                return
            time.sleep(_LOOK_S)

    def follow(self) -> Iterator[Event]:
        """Events of all jobs and endpoints from now on, for ever, each once."""
        with self._store().read() as connection:
            floor = events.last_id(connection) - LOOK_BACK
            seen = {event.id or 0 for event in events.later(connection, floor)}
        while True:
            with self._store().read() as connection:
                found = events.later(connection, floor)
            yield from (event for event in found if event.id not in seen)
            seen = {event.id or 0 for event in found}
            floor = max(seen, default=floor + LOOK_BACK) - LOOK_BACK
            time.sleep(_LOOK_S)
