"""`maestrale run`: a whole recipe, from its first file to its last report."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated, Literal

import typer

from producers.cli import wishes
from producers.cli.options import AsJson, option

_WHAT, _HOW, _TWICE = "What is run", "How it runs", "Done before"


Where = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A shipped recipe, or a folder or file: its pipeline.toml is run."
    ),
]
InputFile = Annotated[
    str | None,
    option(_WHAT, "Rows to run on.  \\[default: the pipeline's own]", "--input", metavar="FILE"),
]
Limit = Annotated[
    int | None,
    option(
        _WHAT,
        "Only the first N rows of the input, in stages that read it and have no limit.",
        min=1,
        metavar="N",
    ),
]
Values = Annotated[
    list[str] | None,
    option(_WHAT, "Set a variable of the pipeline; repeatable.", "--set", metavar="KEY=VALUE"),
]
PlanOnly = Annotated[
    bool, option(_HOW, "Draw the stages and what each will take; begin nothing.", "--plan")
]
Watch = Annotated[
    bool,
    option(
        _HOW,
        "Stay, conduct and watch; or come back at once: `maestrale up` conducts.",
        "--watch/--detach",
    ),
]
ReportFolder = Annotated[
    Path | None,
    option(_HOW, "Write the run's report here: HTML, Markdown, JSON.", "--report", metavar="DIR"),
]
Webhook = Annotated[
    list[str] | None,
    option(_HOW, "Tell this URL when the run ends or stands still; repeatable.", metavar="URL"),
]
Budget = Annotated[
    str | None,
    option(_HOW, "What all stages together may spend.", metavar="5USD|5EUR"),
]
Via = Annotated[
    Literal["realtime", "batch", "auto"] | None,
    option(
        _HOW,
        "How calls go where a stage does not say.  \\[default: realtime]",
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    option(_TWICE, "Go on with the newest run of this pipeline, from where it failed.", "--resume"),
]
Again = Annotated[
    bool,
    option(_TWICE, "Take nothing over from earlier runs; paid answers are reused.", "--again"),
]


def run(
    recipe: Where,
    input_file: InputFile = None,
    values: Values = None,
    limit: Limit = None,
    plan: PlanOnly = False,
    watch: Watch = True,
    report: ReportFolder = None,
    via: Via = None,
    budget: Budget = None,
    priority: wishes.Priority = 5,
    webhook: Webhook = None,
    resume: Resume = False,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole recipe: its stages one after the other, beside each other where they can.

    What an earlier run did on the same content is taken over: a changed prompt runs only what
    depends on it.
    """
    from producers.cli.outputs import read_variables
    from producers.cli.runs.pipelines import How, PipelineRun, Wish
    from producers.cli.voice import Voice

    wish = Wish(
        recipe=recipe,
        input_file=input_file,
        variables=read_variables(values or ()),
        limit=limit,
        via=via,
        again=again,
    )
    how = How(
        plan=plan,
        watch=watch,
        report=report,
        budget=budget,
        priority=priority,
        webhooks=tuple(webhook or ()),
        resume=resume,
    )
    raise typer.Exit(PipelineRun(wish, how, Voice(as_json=as_json)).run())
