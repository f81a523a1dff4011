"""Commands that start, stop and check processes: demo, up, down, status, doctor, migrate."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

import os
import sys
from typing import Annotated

import typer

from producers.cli import codes
from producers.cli.options import AsJson


def demo(
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Every pipeline of `maestrale recipes`, end to end.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --all: so many rows of each input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """See it work: 187 real abstracts, the simulator, two workers; nothing needed, nothing paid."""
    from models.errors import BadInputError
    from producers.cli.runs.demonstrating import demonstrate
    from producers.cli.voice import Voice

    voice = Voice(as_json=as_json)
    if all_of_them:
        from producers.cli.runs.demonstrating_all import demonstrate_all

        raise typer.Exit(demonstrate_all(voice, limit=limit))
    if limit is not None:
        raise BadInputError("--limit goes with --all: the demonstration of one recipe is short")
    raise typer.Exit(demonstrate(voice))


def up(
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, metavar="N", help="Worker processes.  \\[default: one per core]"
        ),
    ] = None,
    flower_port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65_535,
            metavar="PORT",
            help="Where Flower (the web pages) listens, on loopback.",
        ),
    ] = 5555,
    flower: Annotated[
        bool, typer.Option("--flower/--no-flower", help="Start the web pages, or do without.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Start what real work needs: server, workers, clock, conductor, Flower; only what is missing.

    With the extra `train` (or MAESTRALE_TRAIN_PYTHON) a trainer, too; with REDIS_URL no server.
    """
    from producers.cli.runs.starting import bring_up
    from producers.cli.voice import Voice

    port = flower_port if flower else None
    bring_up(Voice(as_json=as_json), workers or os.cpu_count() or 1, port)


def down(as_json: AsJson = False) -> None:
    """Stop what `up` started. Calls in flight finish first; jobs go on at the next `up`."""
    from producers.cli.runs.starting import take_down
    from producers.cli.voice import Voice

    take_down(Voice(as_json=as_json))


def status(as_json: AsJson = False) -> None:
    """Show what runs: processes, workers, limits known, jobs under way."""
    from producers.cli.runs.starting import show_status
    from producers.cli.voice import Voice

    show_status(Voice(as_json=as_json))


def doctor(as_json: AsJson = False) -> None:
    """Check all that a job needs, and say what to do about it. Exit code 1 if something is bad."""
    from producers.cli.opening import read_settings
    from producers.cli.rendering import checkups
    from producers.cli.voice import Voice
    from producers.doctor import examine

    voice = Voice(as_json=as_json)
    with voice.busy("checking"):
        found = examine(read_settings())
    voice.facts([finding.facts() for finding in found], checkups.page(found))
    raise typer.Exit(codes.NEEDS_ATTENTION if any(one.is_bad for one in found) else codes.DONE)


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema. Safe to repeat."""
    from producers.cli.opening import client
    from producers.cli.voice import Voice

    with client() as maestrale:
        revision = maestrale.migrate()
    Voice(as_json=as_json).facts({"revision": revision}, f"  The database is at {revision}.")


def simulator(context: typer.Context) -> None:
    """Run the offline Mistral API; all options go to it (`maestrale simulator --help`)."""
    command = [sys.executable, "-P", "-m", "simulator", *context.args]
    os.execv(sys.executable, command)  # noqa: S606 # ourselves, no shell
