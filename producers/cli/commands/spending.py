"""Commands about money and turns: costs, priority."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from typing import Annotated, Literal

import typer

from producers.cli.options import AsJson, JobId

SomeJob = Annotated[
    str | None,
    typer.Argument(metavar="JOB", help="Only this job's costs.", show_default=False),
]


def costs(
    job_id: SomeJob = None,
    by: Annotated[
        Literal["job", "model", "day"] | None,
        typer.Option(help="A line for each.  \\[default: job, or model if JOB is given]"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="From that UTC day on: 7d (ago), or 2026-08-13.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was paid, by job, model or day. Unknown prices are said, never taken for zero."""
    from models.store.money import day_of
    from producers.cli.moments import parse_moment
    from producers.cli.opening import client
    from producers.cli.rendering import money_words, showing
    from producers.cli.voice import Voice

    sort = by or ("model" if job_id else "job")
    with client() as maestrale:
        first = None if since is None else day_of(parse_moment(since, maestrale.store.now()))
        found = maestrale.costs(job_id, by=sort, since=first)
    facts = {
        "by": sort,
        "since": None if first is None else first.isoformat(),
        "costs": [money_words.cost_facts(cost) for cost in found],
        "total": money_words.cost_facts(money_words.total(found)),
    }
    empty = showing.hint("Nothing was paid.")
    words = showing.indented(money_words.costs(found, sort)) if found else empty
    Voice(as_json=as_json).facts(facts, words)


def priority(
    job_id: JobId,
    number: Annotated[
        int, typer.Argument(metavar="N", min=0, max=9, help="From 0, the largest share, to 9.")
    ],
    as_json: AsJson = False,
) -> None:
    """Change a job's share: 0 gets ten times as much as 9. Workers follow within two seconds."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.voice import Voice

    with client() as maestrale:
        job = maestrale.prioritise(job_id, number)
    meaning = f"its priority is {job.priority} now"
    Voice(as_json=as_json).facts(facts.job_facts(job), showing.moved(job, meaning))
