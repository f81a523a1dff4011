"""`maestrale generate`: check, estimate, submit, watch, export."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from typing import Annotated, Literal

import typer

from producers.cli.options import AsJson, Form, Out, Overwrite


def generate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="JSON lines, CSV or Parquet, also .gz and .zst; - for stdin."
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", "-r", metavar="NAME|FILE", help="A shipped recipe, or a TOML file."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Ask this model in every step.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take only the first N rows.", metavar="N")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Set a variable of the recipe; repeatable."
        ),
    ] = None,
    out: Out = None,
    form: Form = None,
    overwrite: Overwrite = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--detach", help="Stay and write FILE at the end, or come back at once."
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and estimate; submit and pay nothing.")
    ] = False,
    priority: Annotated[int, typer.Option(min=0, max=9, metavar="0-9", help="0 goes first.")] = 5,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="The same key always names the same job.", show_default=False
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Submit although the same was submitted before.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not use answers that other jobs paid for.")
    ] = False,
    on_uncertain: Annotated[
        Literal["retry", "hold"],
        typer.Option(help="A call that may have been paid without its answer arriving."),
    ] = "retry",
    on_duplicate: Annotated[
        Literal["stop", "first", "last"], typer.Option(help="Ids that occur twice.")
    ] = "stop",
    max_rejected_share: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="More bad rows: the file is refused."),
    ] = 0.05,
    max_failed_share: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="More failed rows: the job has failed."),
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Run a recipe over every row of a file, and write what comes of it.

    Says first what it will take: rows, calls, tokens, cost and time. Rejected rows are listed in
    <output>.rejects.jsonl. Ctrl-C ends the watching, never the job.
    """
    from producers.cli.generation import Generation, Wish
    from producers.cli.voice import Voice

    wish = Wish(
        source=source,
        recipe=recipe,
        model=model,
        limit=limit,
        variables=tuple(set_ or ()),
        out=out,
        form=form,
        overwrite=overwrite,
        watch=watch,
        dry_run=dry_run,
        priority=priority,
        idempotency_key=idempotency_key,
        again=again,
        fresh=fresh,
        on_uncertain=on_uncertain,
        on_duplicate=on_duplicate,
        max_rejected_share=max_rejected_share,
        max_failed_share=max_failed_share,
    )
    raise typer.Exit(Generation(wish, Voice(as_json=as_json)).run())
