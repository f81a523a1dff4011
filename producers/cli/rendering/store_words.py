"""Embedded stores as Rich renderables and facts. Pure."""

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from models.tables import VectorStore
from producers.cli.rendering import facts, showing, words
from producers.cli.rendering.showing import indented
from producers.cli.rendering.words import counted, safe


def stores(found: Sequence[VectorStore], now: float) -> RenderableType:
    """The list of stores. `now`: seconds since the epoch."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("name", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("documents", "dimensions"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("hash", "written", "job", "file"):
        table.add_column(name, style="dim", overflow="ellipsis", no_wrap=True)
    for store in found:
        table.add_row(
            safe(store.name, 60),
            safe(store.model, 60),
            f"{store.documents:,}",
            f"{store.dimensions:,}",
            store.hash[:12],
            words.ago(now - store.created_at),
            store.job_id,
            safe(store.path, 4000),
        )
    return indented(table)


def written(store: VectorStore) -> RenderableType:
    """What was written, under which name and where."""
    size = f"{counted(store.documents, 'document')}, {store.dimensions:,} dimensions"
    text = Text.assemble((safe(store.name), "bold"), f"  {size}, by {safe(store.model)}")
    text.append(f"\n{safe(store.path, 4000)}", "dim")
    return showing.line("store", text)


def store_facts(store: VectorStore) -> dict[str, Any]:
    """A store as programs read it."""
    told = store.model_dump(exclude={"created_at"})
    return {**told, "written_at": facts.moment(store.created_at)}
