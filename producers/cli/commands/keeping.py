"""Commands that keep the database: prune, backup."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from producers.cli.options import AsJson, Overwrite

if TYPE_CHECKING:
    from models.store.pruning import Survey
    from producers.keeping import Pruned


def prune(
    older_than: Annotated[
        str,
        typer.Option(metavar="AGE", help="Jobs that finished longer ago: 30d, 12h, 8w."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be forgotten; change nothing.")
    ] = False,
    answers: Annotated[
        bool,
        typer.Option("--answers", help="Paid answers of these jobs, too: asked again, paid again."),
    ] = False,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Give the space back to the disk (SQLite, no workers)."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget finished jobs with rows, events and deliveries. Paid answers and the spending stay.

    Asks nothing. Workers go on meanwhile; Ctrl-C is safe: the next run finishes what was begun.
    """
    from models.store import sqlite_file
    from producers.cli.durations import parse_duration
    from producers.cli.opening import client
    from producers.cli.voice import Voice
    from producers.keeping import Pruned, Pruner

    voice = Voice(as_json=as_json)
    age_s = parse_duration(older_than)
    with client() as maestrale:
        store = maestrale.store
        shrinks = compact and store.is_sqlite and not dry_run
        if shrinks:
            sqlite_file.refuse_while_working(store)
        pruner = Pruner(store, age_s, answers=answers)
        plan = pruner.survey()
        voice.say(*_announced(plan, older_than, answers=answers))
        with voice.busy("forgetting"):
            done = Pruned() if dry_run else pruner.run()
        freed = sqlite_file.compact(store) if shrinks else 0
    facts = {"planned": asdict(plan), "dry_run": dry_run, "forgotten": done.facts()}
    words = [] if dry_run else [_told(done)]
    if compact and not dry_run:
        words.append(_space(freed, is_sqlite=shrinks))
    voice.facts({**facts, "bytes_freed": freed}, *words)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the copy.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Copy the SQLite database, consistent while workers go on (PostgreSQL: says how)."""
    from models.store import sqlite_file
    from producers.cli.opening import client
    from producers.cli.rendering.words import safe, size
    from producers.cli.voice import Voice

    voice = Voice(as_json=as_json)
    with client() as maestrale, voice.busy("copying"):
        written = sqlite_file.back_up(maestrale.store, file, overwrite=overwrite)
        sealed_by = sqlite_file.key_file_beside(maestrale.settings)
    words = [f"  {safe(file)}: {size(written)}, checked"]
    if sealed_by:
        words.append(f"  Keep {safe(sealed_by)} with it: it opens the webhooks' secrets.")
    voice.facts({"file": str(file), "bytes": written, "key_file": sealed_by or None}, *words)


def _announced(plan: "Survey", age: str, *, answers: bool) -> list[str]:
    """What will be done, before it is."""
    from producers.cli.rendering.words import counted

    lines = [
        f"  To forget: {counted(plan.jobs, 'job')} finished over {age} ago, "
        f"with {counted(plan.rows, 'row')} and what was told of them."
    ]
    if plan.half_gone:
        lines.append(f"  {counted(plan.half_gone, 'job')} of an earlier run will be finished.")
    if plan.untold:
        lines.append(
            f"  {counted(plan.untold, 'job')} as old stay: their events are still on their way."
        )
    if plan.answers and answers:
        lines.append(f"  Also {counted(plan.answers, 'paid answer')}: asked again, paid again.")
    elif plan.answers:
        lines.append(f"  Their {counted(plan.answers, 'paid answer')} stay in the ledger.")
    return lines


def _told(done: "Pruned") -> str:
    from producers.cli.rendering.words import counted

    words = f"  Forgotten: {counted(done.jobs, 'job')}, {done.entries:,} entries of the database"
    return f"{words}, {counted(done.answers, 'paid answer')}." if done.answers else f"{words}."


def _space(freed: int, *, is_sqlite: bool) -> str:
    from producers.cli.rendering.words import size

    if is_sqlite:
        return f"  {size(freed)} given back to the disk."
    return "  PostgreSQL's autovacuum frees the space for new rows by itself: nothing to do."
