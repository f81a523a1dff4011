"""`python -m faults [NAME|NUMBER ...]`: hurts running systems, checks what was seen from outside.

Without names all scenarios run, on SQLite and on PostgreSQL. Exit code 1 if an invariant broke; the
line below it says how to play that one again, with the same seed.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from faults import scenarios  # noqa: F401 # registers them
from faults.checker import Finding, check
from faults.databases import Databases
from faults.history import read
from faults.scenarios.registry import Scenario, SkippedError, by_number, chosen
from faults.world import World, world


def main() -> None:
    """Runs what was asked for; prints a line per scenario and what broke."""
    told = _told()
    seed = told.seed if told.seed is not None else secrets.randbelow(1_000_000)
    with ExitStack() as stack:
        kept = told.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        server = stack.enter_context(Databases())
        runs: list[tuple[Scenario, str]] = told.runs
        broken = [one for one in runs if not _run(*one, server, kept, seed)]
    print(f"seed {seed}: " + (f"{len(broken)} BROKEN" if broken else "all hold"))
    raise SystemExit(1 if broken else 0)


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME|NUMBER", help="; ".join(_listed()))
    add("--seed", type=int, help="of kills and faults; else a new one, which is told")
    add("--database", choices=["sqlite", "postgresql", "both"], default="both")
    add("--slice", action="store_true", help="only the minute that `make test` takes")
    add("--keep", type=Path, metavar="FOLDER", help="keep the histories there")
    told = parser.parse_args()
    try:
        told.scenarios = [s for s in chosen(told.names) if s.in_slice or not told.slice]
    except KeyError as missing:
        parser.error(f"there is no scenario {missing}")
    told.runs = list(_runs(told))
    if not told.runs:  # or "all hold" would be said of nothing
        parser.error("none of these is in the slice, or for this database")
    if told.keep and told.keep.exists() and any(told.keep.iterdir()):
        parser.error(f"{told.keep} has histories already: two of them read as one prove nothing")
    return told


def _listed() -> Iterator[str]:
    yield from (f"{one.number} {one.name}" for one in by_number())


def _runs(told: argparse.Namespace) -> Iterator[tuple[Scenario, str]]:
    for one in told.scenarios:
        for database in one.databases:
            if told.database in ("both", database.lower()):
                yield one, database


def _run(one: Scenario, database: str, server: Databases, kept: Path, seed: int) -> bool:
    """Whether all of it held."""
    logs, began = kept / f"{one.number:02d}-{one.name}-{database}", time.monotonic()
    begin = partial(_begin, logs, seed, server.new(database))
    findings: list[Finding] = []
    try:
        one.run(begin)
    except SkippedError as lack:
        if not os.environ.get("CI"):
            print(f"{one.number:>3}  {one.name} on {database}: skipped, {lack}", flush=True)
            return True
        findings.append(Finding("ran", holds=False, words=f"CI must have it: {lack}"))
    except Exception:  # a scenario that does not end is a finding
        findings.append(Finding("ran", holds=False, words=traceback.format_exc(limit=-3)))
    findings += check(read(logs))
    broken = [finding for finding in findings if not finding.holds]
    took = time.monotonic() - began
    print(f"{one.number:>3}  {one.name} on {database}: {one.about}  ({took:.0f} s)", flush=True)
    for finding in findings:
        print(f"       {'holds ' if finding.holds else 'BROKEN'} {finding.name}: {finding.words}")
    if broken:
        print(
            f"       again: python -m faults {one.name} --database {database.lower()} --seed {seed}"
        )
    sys.stdout.flush()
    return not broken


def _begin(
    logs: Path, seed: int, database: dict[str, str], *simulator: str, **options: Any
) -> AbstractContextManager[World]:
    return world(logs, seed, *simulator, **{**database, **options})


if __name__ == "__main__":
    main()
