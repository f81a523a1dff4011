"""Runs scenarios one by one, or side by side in processes of their own."""

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from faults.checker import check
from faults.databases import Databases
from faults.findings import Finding
from faults.history import read
from faults.scenarios.registry import Scenario, SkippedError, by_name
from faults.world import World, world

Run = tuple[Scenario, str]
"""A scenario, and the database it is played on."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one run."""

    name: str
    database: str
    findings: Sequence[Finding]
    seconds: float
    skipped: str = ""
    """Why it was not played; empty if it was."""

    @property
    def broken(self) -> bool:
        """Whether anything of it did not hold."""
        return any(not finding.holds for finding in self.findings)


def play_all(
    runs: Sequence[Run], server: Databases, kept: Path, seed: int, *, jobs: int
) -> Iterator[Played]:
    """Plays them, and answers each when it is over. With several `jobs`, those whose bounds are
    tight come last, one by one: what they are held to is the machine's to keep as well."""
    beside = [run for run in runs if not run[0].is_alone] if jobs > 1 else []
    if beside:
        yield from _side_by_side(beside, server, kept, seed, jobs)
    for one, database in runs:
        if (one, database) not in beside:
            yield play(one.name, database, server.new(database), kept, seed)


def _side_by_side(
    runs: Sequence[Run], server: Databases, kept: Path, seed: int, jobs: int
) -> Iterator[Played]:
    """Spawned, not forked: a scenario changes what it finds in its process."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        begun: dict[Future[Played], Run] = {
            pool.submit(play, one.name, database, server.new(database), kept, seed): (one, database)
            for one, database in runs
        }
        for done in as_completed(begun):
            one, database = begun[done]
            lost = done.exception()
            yield _lost(one.name, database, lost) if lost else done.result()


def _lost(name: str, database: str, error: BaseException) -> Played:
    return Played(name, database, [Finding("ran", holds=False, words=repr(error))], 0.0)


def play(name: str, database: str, settings: dict[str, str], kept: Path, seed: int) -> Played:
    """Plays one on a fresh database, and holds its history against the invariants."""
    from faults import scenarios  # noqa: F401, PLC0415 # registers them, in a process of its own too

    one = by_name(name)
    logs, began = kept / f"{one.number:02d}-{name}-{database}", time.monotonic()
    findings: list[Finding] = []
    try:
        one.run(partial(_begin, logs, seed, settings))
    except SkippedError as lack:
        if not os.environ.get("CI"):
            return Played(name, database, (), time.monotonic() - began, str(lack))
        findings.append(Finding("ran", holds=False, words=f"CI must have it: {lack}"))
    except Exception:  # a scenario that does not end is a finding
        findings.append(Finding("ran", holds=False, words=traceback.format_exc(limit=-3)))
    findings += check(read(logs))
    return Played(name, database, findings, time.monotonic() - began)


def _begin(
    logs: Path, seed: int, database: dict[str, str], *simulator: str, **options: Any
) -> AbstractContextManager[World]:
    return world(logs, seed, *simulator, **{**database, **options})
