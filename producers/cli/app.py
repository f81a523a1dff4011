"""The Typer app: the commands in their order, and how every one of them ends."""

# ruff: noqa: PLC0415 # errors are rare, and what words them is not needed before

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from producers.cli import (
    control,
    datasets,
    embedding,
    evaluating,
    generating,
    happening,
    hooks,
    keeping,
    looking,
    pipelines,
    registry,
    reporting,
    reviewing,
    running,
    spending,
    sweeping,
    training,
)

EXIT_INTERRUPTED = 130


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
            raise typer.Exit(EXIT_INTERRUPTED) from stop
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
    epilog="Exit codes: 0 done; 1 something needs attention (maestrale doctor); 2 wrong input; "
    "3 the job failed, was cancelled or is paused; 70 a bug; 130 Ctrl-C.",
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
        bool, typer.Option("--version", callback=lambda value: _version(asked=value), is_eager=True)
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
    app.add_typer(hooks.app, name="webhooks", rich_help_panel="Events")
    app.command(rich_help_panel="Processes", context_settings=_REST)(running.simulator)


_register()


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and answers its exit code."""
    os.environ.setdefault("TYPER_USE_RICH", "1")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr] # a terminal of few letters
    try:
        app(args=arguments, prog_name="maestrale")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
