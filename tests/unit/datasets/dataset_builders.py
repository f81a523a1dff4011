"""What the tests of datasets share: rows, files, datasets made in a home of the test's own."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.settings import Settings
from producers.client import Maestrale
from producers.datasets import Dataset
from producers.datasets.making import Wish, make


def a_chat(row_id: str, asked: str, answered: str, **meta: Any) -> dict[str, Any]:
    """A conversation of two messages."""
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return {"id": row_id, "messages": messages, **({"meta": meta} if meta else {})}


def some_chats(count: int, **meta: Any) -> list[dict[str, Any]]:
    """Conversations that have little in common."""
    return [
        a_chat(f"r{n}", f"{n} tell me of {n * 7919 % 10007}", f"{n * n} is it", **meta)
        for n in range(count)
    ]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as JSON lines; the path as commands take it."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def a_dataset(
    settings: Settings, rows: Iterable[Mapping[str, Any]], name: str = "data", **wish: Any
) -> Dataset:
    """A dataset made of one file of these rows, however broken; replaces the one of that name."""
    settings.home.mkdir(parents=True, exist_ok=True)
    source = write_rows(settings.home / f"{name}.jsonl", rows)
    chosen = {"dedupe": "none", "count_tokens": False, "overwrite": True}
    chosen |= {"max_rejected_share": 1.0, **wish}
    with Maestrale(settings) as maestrale:
        return make(maestrale, name, Wish(sources=[source], **chosen))
