"""The Typer app: the commands in their order, and how every one of them ends."""

# ruff: noqa: PLC0415 # errors are rare, and what words them is not needed before

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from producers.cli import codes
from producers.cli.commands import (
    control,
    datasets,
    embedding,
    evaluating,
    generating,
    happening,
    keeping,
    looking,
    pipelines,
    registry,
    reviewing,
    running,
    spending,
    sweeping,
    training,
    webhooks,
)
from producers.cli.runs import reporting


class Commands(TyperGroup):
    """The group of all commands; turns every foreseeable error into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. Typer's own errors (wrong options) pass: it words them well."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except BrokenPipeError:
            raise
        except KeyboardInterrupt as stop:
            raise typer.Exit(codes.INTERRUPTED) from stop
        except Exception as error:
            from producers.cli.leaving import explain

            raise typer.Exit(explain(error)) from error


app = typer.Typer(
    cls=Commands,
    name="maestrale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=codes.in_a_line(),
)
_REST = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _version(*, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"maestrale {version('maestrale')}")  # noqa: T201 # what was asked for
        raise typer.Exit


@app.callback()
def maestrale(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _version(asked=value),
            is_eager=True,
            help="Tell the version and end.",
        ),
    ] = False,
) -> None:
    """Documents in, training data out: nothing lost, nothing paid twice."""


def _register() -> None:
    panels: dict[str, Sequence[Any]] = {
        "Start here": (running.demo, pipelines.run, generating.generate, looking.recipes),
        "Jobs": (looking.jobs, looking.show, looking.watch, looking.failures, looking.export),
        "Control": (
            control.retry,
            control.pause,
            control.resume,
            control.cancel,
            spending.priority,
            spending.costs,
        ),
        "Training": (
            training.train,
            embedding.embed,
            embedding.stores,
            evaluating.evaluate,
            reporting.report,
        ),
        "Events": (happening.events,),
        "Keeping": (keeping.prune, keeping.backup),
        "Processes": (running.up, running.down, running.status, running.doctor, running.migrate),
    }
    for panel, commands in panels.items():
        for command in commands:
            app.command(rich_help_panel=panel)(command)
    app.add_typer(datasets.app, name="dataset", rich_help_panel="Training")
    app.add_typer(sweeping.app, name="sweep", rich_help_panel="Training")
    app.add_typer(registry.app, name="models", rich_help_panel="Training")
    app.add_typer(reviewing.app, name="review", rich_help_panel="Training")
    app.add_typer(webhooks.app, name="webhooks", rich_help_panel="Events")
    app.command(rich_help_panel="Processes", context_settings=_REST)(running.simulator)


_register()


def _not_utf8(arguments: Sequence[str]) -> str | None:
    """The first argument that no database can look up; files may be called anything."""
    for one in arguments:
        is_text = one.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in one)
        if not is_text and not os.path.lexists(one):
            return one
    return None


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit code."""
    os.environ.setdefault("TYPER_USE_RICH", "1")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # a terminal of few letters
    if (unreadable := _not_utf8(sys.argv[1:] if arguments is None else arguments)) is not None:
        from producers.cli.rendering.words import safe
        from producers.cli.voice import complain

        complain(f"{safe(unreadable)} is not UTF-8, and names no file: write it in UTF-8")
        return codes.WRONG_INPUT
    try:
        app(args=arguments, prog_name="maestrale")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
