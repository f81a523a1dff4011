"""`maestrale evaluate`: check, estimate, submit, watch, report."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated

import typer

from producers.cli import wishes
from producers.cli.options import AsJson, option

_WHAT, _HOW = "What is asked", "How it runs"


SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="A shipped suite, or a folder or TOML file.")
]
Models = Annotated[
    str,
    option(
        _WHAT,
        "Who is asked, divided by commas: names of the API, of the registry, of models served "
        "here; NAME@PROMPT for another of the suite's prompts. Up to four are compared two by two "
        "(three before a judge), more with the first. Only suites that compare judges do without.",
        "--models",
        "-m",
        metavar="A,B",
    ),
]
Data = Annotated[
    str | None, option(_WHAT, "Rows to ask about.  \\[default: the suite's own]", metavar="FILE")
]
Attempts = Annotated[
    int | None,
    option(
        _WHAT,
        "How often each model is asked each row.  \\[default: the suite's own]",
        min=1,
        max=100,
        metavar="N",
    ),
]
JudgeName = Annotated[
    list[str] | None,
    option(
        _WHAT,
        "Who judges, instead of the suite's own; repeatable where judges are compared.",
        "--judge",
        metavar="NAME",
    ),
]
StoreName = Annotated[
    str | None,
    option(_WHAT, "Embedded documents to search (`maestrale embed`).", "--store", metavar="NAME"),
]
ReportFolder = Annotated[
    Path | None,
    option(_HOW, "Write the report here: HTML, Markdown, JSON.", "--report", metavar="DIR"),
]
Watch = Annotated[
    bool,
    option(_HOW, "Stay and report at the end, or come back at once.", "--watch/--detach"),
]
Overwrite = Annotated[bool, option(_HOW, "Replace what is in the report's folder.", "--overwrite")]


def evaluate(
    suite: SuiteName,
    models: Models = "",
    data: Data = None,
    attempts: Attempts = None,
    judge: JudgeName = None,
    store: StoreName = None,
    limit: wishes.Limit = None,
    report: ReportFolder = None,
    overwrite: Overwrite = False,
    dry_run: wishes.DryRun = False,
    watch: Watch = True,
    via: wishes.Via = "realtime",
    by: wishes.By = None,
    on_timeout: wishes.OnTimeout = None,
    priority: wishes.Priority = 5,
    webhook: wishes.Webhook = None,
    budget: wishes.Budget = None,
    partial: wishes.Partial = False,
    idempotency_key: wishes.IdempotencyKey = None,
    again: wishes.Again = False,
    fresh: wishes.Fresh = False,
    on_uncertain: wishes.OnUncertain = "retry",
    on_duplicate: wishes.OnDuplicate = "stop",
    max_rejected_share: wishes.MaxRejectedShare = 0.05,
    max_failed_share: wishes.MaxFailedShare = 0.05,
    as_json: AsJson = False,
) -> None:
    """Put models to a suite of questions, and compare them on the same rows.

    Answers that cannot be used count as wrong; they are never dropped.

    Asked again, it makes no calls; with one more model, it pays for that one alone.
    """
    from producers.cli.durations import parse_deadline
    from producers.cli.runs.asking import How
    from producers.cli.runs.evaluating import Evaluation
    from producers.cli.voice import Voice
    from producers.evaluating import Wish

    how = How.of(locals())
    wish = Wish(
        suite=suite,
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
        data=data,
        attempts=attempts,
        judges=tuple(judge or ()),
        store=store,
        limit=limit,
        on_duplicate=on_duplicate,
        max_rejected_share=max_rejected_share,
        via=via,
        by=parse_deadline(by),
    )
    raise typer.Exit(Evaluation(wish, how, report, Voice(as_json=as_json)).run())
