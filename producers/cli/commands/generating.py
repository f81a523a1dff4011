"""`maestrale generate`: check, estimate, submit, watch, export."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

import typer

from producers.cli import wishes
from producers.cli.options import AsJson, Form, Out, Overwrite


def generate(
    source: wishes.Source,
    recipe: wishes.RecipeName,
    model: wishes.Model = None,
    limit: wishes.Limit = None,
    variables: wishes.Variables = None,
    out: Out = None,
    form: Form = None,
    overwrite: Overwrite = False,
    dry_run: wishes.DryRun = False,
    watch: wishes.Watch = True,
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
    """Run a recipe over every row of a file, and write what comes of it.

    Says first what it will take: rows, calls, tokens, cost and time.

    Bad rows are listed beside the records, in a file .rejects.jsonl.

    Ctrl-C ends the watching, never the job.
    """
    from producers.cli.durations import parse_deadline
    from producers.cli.runs.asking import How
    from producers.cli.runs.generating import Generation, Wish
    from producers.cli.voice import Voice

    how = How.of(locals())
    wish = Wish(
        source=source,
        recipe=recipe,
        model=model,
        limit=limit,
        variables=tuple(variables or ()),
        out=out,
        form=form,
        on_duplicate=on_duplicate,
        max_rejected_share=max_rejected_share,
        via=via,
        by=parse_deadline(by),
    )
    raise typer.Exit(Generation(wish, how, Voice(as_json=as_json)).run())
