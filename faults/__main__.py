"""`python -m faults [NAME|NUMBER ...]`: hurts running systems, checks what was seen from outside.

Without names all scenarios run, on SQLite and on PostgreSQL. Exit code 1 if an invariant broke (or
none of them could be played); the
line below it says how to play that one again, with the same seed. At the end stands a table of all.
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten

from faults import scenarios  # noqa: F401 # registers them
from faults.databases import Databases
from faults.running import Played, Run, play_all
from faults.scenarios.registry import by_name, by_number, chosen

WORDS = 72
"""Letters of what a scenario is about, in the table."""


def main() -> None:
    """Runs what was asked for; prints what held of each scenario, and a table of all."""
    told, began = _told(), time.monotonic()
    seed = told.seed if told.seed is not None else secrets.randbelow(1_000_000)
    played = []
    with ExitStack() as stack:
        kept = told.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        server = stack.enter_context(Databases())
        for one in play_all(told.runs, server, kept, seed, jobs=told.jobs):
            played.append(one)
            print(*_lines(one, seed), sep="\n", flush=True)
    print("", *_table(played), sep="\n")
    print(f"{len(played)} runs in {time.monotonic() - began:.0f} s")
    verdict, code = _verdict(played)
    print(f"seed {seed}: {verdict}")
    raise SystemExit(code)


def _verdict(played: Sequence[Played]) -> tuple[str, int]:
    """In words, and the exit code: where nothing was played nothing holds."""
    broken, skipped = sum(one.broken for one in played), sum(bool(one.skipped) for one in played)
    if broken:
        return f"{broken} BROKEN", 1
    if skipped == len(played):
        return "none was played, so nothing is shown", 1
    return "all hold" + (f", {skipped} skipped" if skipped else ""), 0


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME|NUMBER", help="; ".join(_listed()))
    add("--seed", type=int, help="of kills and faults; else a new one, which is told")
    add("--database", choices=["sqlite", "postgresql", "both"], default="both")
    add("--slice", action="store_true", help="only the minute that `make test` takes")
    add("--jobs", type=int, choices=range(1, 9), default=1, help="so many side by side")
    add("--keep", type=Path, metavar="FOLDER", help="keep the histories there")
    told = parser.parse_args()
    try:
        told.scenarios = chosen(told.names)
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


def _runs(told: argparse.Namespace) -> Iterator[Run]:
    for one in told.scenarios:
        for database in one.in_slice if told.slice else one.databases:
            if told.database in ("both", database.lower()):
                yield one, database


def _lines(played: Played, seed: int) -> Iterator[str]:
    """What held of one run, and how to play it again if it did not."""
    one = by_name(played.name)
    title = f"{one.number:>3}  {one.name} on {played.database}: "
    if played.skipped:
        yield f"{title}skipped, {played.skipped}"
        return
    yield f"{title}{one.about}  ({played.seconds:.0f} s)"
    for finding in played.findings:
        yield f"       {'holds ' if finding.holds else 'BROKEN'} {finding.name}: {finding.words}"
    if played.broken:
        yield f"       again: {_again(played, seed)}"


def _again(played: Played, seed: int) -> str:
    return f"python -m faults {played.name} --database {played.database.lower()} --seed {seed}"


def _table(played: Sequence[Played]) -> Iterator[str]:
    """All of them in the order of the list, the slow and the broken ones for all to see."""
    for one in sorted(played, key=lambda one: by_name(one.name).number):
        known = by_name(one.name)
        verdict = "skipped" if one.skipped else "BROKEN" if one.broken else "held"
        about = shorten(known.about, WORDS, placeholder=" ...")
        title = f"{known.number:>3}  {about:<{WORDS}}  {one.database:<10}"
        yield f"{title} {one.seconds:4.0f} s  {verdict}"


if __name__ == "__main__":
    main()
