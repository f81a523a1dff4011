"""Whatever calls, commits, refusals and deaths come in which order, nothing paid is lost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from builders import a_call, a_key, a_stored_job, the_job
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import Connection, select

from models.errors import SetupError
from models.payloads import CallRecord
from models.store import calls
from models.store.engine import Store
from worker.ledger import writer as writing
from worker.ledger.adoption import adopt_orphans
from worker.ledger.claims import Claims
from worker.ledger.ledger import Intent, Ledger

KEYS = st.integers(0, 2)
WHICH = st.integers(0, 20)


class Wavering:
    """A store that may refuse a transaction before its commit, or lose its answer after it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails = ""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self.fails == "before":
            raise SetupError("the database does not answer")
        with self._store.write() as connection:
            yield connection
        if self.fails == "after":
            raise SetupError("the database does not answer")


@dataclass
class Life:
    """One process's ledger, and what it has not ended."""

    ledger: Ledger
    store: Wavering
    open: list[Intent] = field(default_factory=list)


class Payments(RuleBasedStateMachine):
    """One process after another works on three keys; each may die at any point."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.loop = asyncio.new_event_loop()
        self.folder = Path(mkdtemp(prefix="spools-", dir=_folder_of(store)))
        self.job = a_stored_job(store)
        self.keys = [a_key() for _ in range(3)]
        self.answers: dict[str, list[CallRecord]] = {key: [] for key in self.keys}
        self.doubted: set[str] = set()
        self.made = 0
        self.life = self._born()

    # -- one process --------------------------------------------------------------------------

    @rule(key=KEYS)
    def intend(self, key: int) -> None:
        self.life.open.append(self.life.ledger.intend(self.keys[key], self.job, "m", 500))

    @rule(which=WHICH)
    def pay(self, which: int) -> None:
        """An answer comes; no two are alike, as if the same call was paid for twice."""
        if intent := self._taken(which):
            self.made += 1
            record = a_call(intent.doubt.key, job_id=self.job, latency_ms=self.made)
            self.answers[record.key].append(record)
            self._do(lambda: self.life.ledger.paid(intent, record))

    @rule(which=WHICH)
    def end(self, which: int) -> None:
        """It was refused: nothing was paid."""
        if intent := self._taken(which):
            self.life.ledger.ended(intent)

    @rule(which=WHICH)
    def doubt(self, which: int) -> None:
        """No answer came, and nobody knows."""
        if intent := self._taken(which):
            self.doubted.add(intent.doubt.nonce)
            self._do(lambda: self.life.ledger.doubtful(intent, "timeout"))

    @rule(fails=st.sampled_from(["", "", "before", "after"]))
    def commit(self, fails: str) -> None:
        """A while passes: what waits is committed, or refused, or its commit gets no answer."""
        self.life.store.fails = fails
        self.loop.run_until_complete(asyncio.sleep(0.004))
        self.life.store.fails = ""

    # -- its end ------------------------------------------------------------------------------

    @rule(again=st.booleans())
    def crash(self, again: bool) -> None:
        """kill -9: what was open is in doubt. The next process adopts, perhaps more than once."""
        self.doubted |= {intent.doubt.nonce for intent in self.life.open}
        self._kill()
        for _ in range(1 + again):
            adopt_orphans(self.store, self.folder)
        assert not list(self.folder.glob("*.spool"))
        self.life = self._born()
        self._check()

    @rule()
    def leave(self) -> None:
        """In good order, with nothing in flight."""
        for intent in self.life.open:
            self.life.ledger.ended(intent)
        self.loop.run_until_complete(self.life.ledger.close())
        assert not list(self.folder.glob("*.spool"))
        self.life = self._born()
        self._check()

    def teardown(self) -> None:
        self.crash(again=True)
        self._kill()
        self.loop.close()

    # -- what holds ---------------------------------------------------------------------------

    def _check(self) -> None:
        with self.store.read() as connection:
            found = calls.find(connection, self.keys)
            of_ours = calls.doubts.c.job_id == self.job
            nonces = connection.scalars(select(calls.doubts.c.nonce).where(of_ours)).all()
        for key, paid in self.answers.items():
            assert (key in found) == bool(paid), "an answer that was paid for is lost"
            assert not paid or found[key] in paid
        assert sorted(nonces) == sorted(self.doubted), "each call in doubt is noted, and once"
        job = the_job(self.store, self.job)
        assert (job.calls_made, job.calls_doubtful) == (self.made, len(self.doubted))
        assert job.cost_nano == 1000 * self.made

    def _taken(self, which: int) -> Intent | None:
        opened = self.life.open
        return opened.pop(which % len(opened)) if opened else None

    def _do(self, what: Any) -> None:
        async def on_loop() -> None:
            what()

        self.loop.run_until_complete(on_loop())

    def _born(self) -> Life:
        wavering = Wavering(self.store)
        ledger = Ledger(self.store, self.folder, Claims(None, "w"))
        ledger.writer = writing.Writer(wavering, window_s=0.001)  # type: ignore[arg-type]
        self._do(ledger.open)
        return Life(ledger, wavering)

    def _kill(self) -> None:
        """No line of ours runs any more; the kernel closes its files, and so frees their locks."""
        import os  # noqa: PLC0415 # for this alone

        ledger = self.life.ledger
        task = ledger.writer._task
        assert task is not None
        ledger.writer._thread.shutdown()  # a transaction under way is one that was committed
        task.cancel()
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        ledger._lookups.close()
        for segment in ledger._spool._segments:
            os.close(segment.descriptor)


def _folder_of(store: Store) -> Path:
    return Path(str(store.engine.url.database)).parent


def test_nothing_paid_is_lost_in_any_order(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each key has at most one answer; each call intended was answered, ended, or is in doubt."""
    monkeypatch.setattr(writing, "RETRY_S", 0.001)
    run_state_machine_as_test(
        lambda: Payments(sqlite_store), settings=settings(max_examples=40, stateful_step_count=25)
    )
