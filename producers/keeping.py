"""Retention: forgets finished jobs bit by bit, and says how much."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from models.errors import BadInputError
from models.store import pruning
from models.store.engine import Store

LONGEST_BREATH_S = 0.5


@dataclass(slots=True)
class Pruned:
    """What a run has forgotten so far."""

    jobs: int = 0
    entries: int = 0
    """Rows, shards, events, deliveries and other entries of the jobs."""
    answers: int = 0
    busy_s: float = field(default=0.0, repr=False)
    """Time spent in transactions."""

    def facts(self) -> dict[str, int]:
        """As plain data."""
        return {"jobs": self.jobs, "entries": self.entries, "answers": self.answers}


class Pruner:
    """One run, which may be broken off at any time and begun again."""

    def __init__(
        self,
        store: Store,
        older_than_s: float,
        *,
        answers: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if older_than_s <= 0:
            raise BadInputError("prune needs an age above zero, such as 30d")
        self.store = store
        self.before = store.now() - older_than_s
        self.done = Pruned()
        self._with_answers = answers
        self._sleep = sleep

    def survey(self) -> pruning.Survey:
        """What there is to forget; changes nothing."""
        with self.store.read() as connection:
            return pruning.survey(connection, self.before)

    def run(self) -> Pruned:
        """Forgets it: first what an interrupted run left, then job by job, then old news."""
        self._finish(self._read(pruning.half_gone))
        while found := self._read(pruning.candidates, self.before):
            gone = [job_id for job_id in found if self._write(pruning.forget, job_id, self.before)]
            self.done.jobs += len(gone)
            self._finish(gone)
            if not gone:  # all of them were re-opened in between
                break
        self._repeat(pruning.forget_told, self.before)
        if self._with_answers:
            for payer in self._read(pruning.payers_gone):
                while count := self._write(pruning.forget_answers, payer, self.before):
                    self.done.answers += count
        return self.done

    def _finish(self, gone: Iterable[str]) -> None:
        for job_id in gone:
            self._repeat(pruning.forget_some, job_id)

    def _repeat(self, forget: Callable[..., int], *arguments: Any) -> None:
        while count := self._write(forget, *arguments):
            self.done.entries += count

    def _read(self, look: Callable[..., list[str]], *arguments: Any) -> list[str]:
        with self.store.read() as connection:
            return look(connection, *arguments)

    def _write(self, forget: Callable[..., Any], *arguments: Any) -> int:
        """One short transaction; then workers have their turn for as long as it took."""
        began = time.monotonic()
        with self.store.write() as connection:
            count = int(forget(connection, *arguments))
        took = time.monotonic() - began
        self.done.busy_s += took
        self._sleep(min(took, LONGEST_BREATH_S))
        return count
