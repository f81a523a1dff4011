"""`maestrale embed` and `maestrale stores`: documents become vectors that can be searched."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated

import typer

from producers.cli import wishes
from producers.cli.options import AsJson, Newest, Overwrite, option

_WHAT, _HOW = "What is asked", "How it runs"


EmbeddingText = Annotated[
    str | None,
    option(
        _WHAT,
        "What is embedded of a row: a template. It, or --text-file, is needed.",
        "--text",
        "-t",
        metavar="'{{ row.FIELD }}'",
    ),
]
TextFile = Annotated[
    Path | None, option(_WHAT, "The same, from a file.", "--text-file", metavar="FILE")
]
EmbeddingModel = Annotated[
    str, option(_WHAT, "Who embeds: of the API, or served here.", "--model", "-m", metavar="NAME")
]
StoreName = Annotated[
    str | None,
    option(
        _WHAT,
        "Under which name the vectors are found.  \\[default: FILE's]",
        "--store",
        metavar="NAME",
        show_default=False,
    ),
]
IdField = Annotated[str, option(_WHAT, "The field that names a row.", "--id", metavar="FIELD")]
StoreFile = Annotated[
    Path | None,
    option(
        _HOW,
        "The store's file.  \\[default: stores/NAME.parquet in the home]",
        "--out",
        "-o",
        metavar="FILE.parquet",
        show_default=False,
    ),
]
Watch = Annotated[
    bool,
    option(_HOW, "Stay and write the store at the end, or come back at once.", "--watch/--detach"),
]


def embed(
    source: wishes.Source,
    text: EmbeddingText = None,
    text_file: TextFile = None,
    model: EmbeddingModel = "mistral-embed",
    store: StoreName = None,
    id_field: IdField = "id",
    limit: wishes.Limit = None,
    out: StoreFile = None,
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
    """Embed a text of every row of a file into a store that evaluations search.

    Texts travel together, up to 64 in a request; each is paid for once.

    Done again, it makes no calls for texts that are known.
    """
    from producers.cli.durations import parse_deadline
    from producers.cli.runs.asking import How
    from producers.cli.runs.embedding import EmbeddingRun, template
    from producers.cli.voice import Voice
    from producers.embedding import Wish

    how = How.of(locals())
    wish = Wish(
        source=source,
        text=template(text, text_file),
        model=model,
        store=store,
        path=out,
        id_field=id_field,
        limit=limit,
        on_duplicate=on_duplicate,
        max_rejected_share=max_rejected_share,
        via=via,
        by=parse_deadline(by),
    )
    raise typer.Exit(EmbeddingRun(wish, how, Voice(as_json=as_json)).run())


def stores(limit: Newest = 50, as_json: AsJson = False) -> None:
    """List the embedded stores, the newest first."""
    from producers.cli.opening import client
    from producers.cli.rendering import showing, store_words
    from producers.cli.voice import Voice
    from producers.embedding import Embeddings

    with client() as maestrale:
        found = Embeddings(maestrale).stores(limit=limit)
        now = maestrale.store.now()
    empty = showing.hint("There are no stores yet:", "maestrale embed FILE --text '{{ row.text }}'")
    words = store_words.stores(found, now) if found else empty
    Voice(as_json=as_json).facts([store_words.store_facts(one) for one in found], words)
