"""The door for embedding jobs: plan, submit, and the store that comes of one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack

from models.embedding import Embedding
from models.errors import BadInputError
from models.payloads import JobSpec
from models.prices import load_prices
from models.recipes.checking import template_complaints
from models.recipes.fields import fields_printed, fields_read, names_read
from models.tables import Job, VectorStore
from models.vectors import unpack
from models.words import counted
from producers import estimate, exports, fitting, registry, routing
from producers.client import Maestrale
from producers.embedding import stores
from producers.estimate import Ways
from producers.planning import EmbeddingPlan
from producers.readers import KEEP_ONE, OnDuplicate, ReadOptions, ReadResult, read
from producers.submitting import Terms

MODEL = "mistral-embed"
"""Who embeds unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What of which file is embedded. `text`: a template over `row`. `store`: the name under which
    the vectors are found; `path`: their file. Both follow from file and home unless told."""

    source: str | Path
    text: str
    model: str = MODEL
    store: str | None = None
    path: Path | None = None
    id_field: str = "id"
    limit: int | None = None
    on_duplicate: OnDuplicate = "stop"
    max_rejected_share: float = 0.05
    via: routing.ViaWish = "realtime"
    by: timedelta | None = None


@dataclass(frozen=True, slots=True)
class _Requested:
    """One text, as the estimate counts it."""

    body: dict[str, Any]
    count: int = 1
    expected_output_tokens: int = 0


class Embeddings:
    """Plans and submits embedding jobs through a client, writes and lists their stores."""

    def __init__(self, maestrale: Maestrale) -> None:
        self._maestrale = maestrale

    def plan(self, wish: Wish) -> EmbeddingPlan:
        """Reads the whole file and estimates; enqueues and pays nothing.

        Raises `BadInputError` (or a child of it) when file, template or model cannot be used.
        """
        settings = self._maestrale.settings
        asked = embedding_of(wish)
        if wish.via == "batch":
            registry.check_no_batches([wish.model], self._maestrale.store, settings.home)
        options = ReadOptions(
            id_field=wish.id_field,
            required=frozenset(fields_read(wish.text, "row")),
            filled=frozenset(fields_printed(wish.text, "row")),
            limit=wish.limit,
            on_duplicate=wish.on_duplicate,
            on_stop=KEEP_ONE,
            max_rejected_share=wish.max_rejected_share,
            fits=self._fits(asked),
        )
        found = read(wish.source, options, settings.home / "staging")
        try:
            ways = self._ways(asked, found)
            route = routing.route(wish.via, _by_requests(ways), wish.by)
        except BaseException:
            found.close()
            raise
        return EmbeddingPlan(found, ways, wish.on_duplicate, route, asked)

    def submit(self, plan: EmbeddingPlan, **how: Unpack[Terms]) -> Job:
        """Commits the job, then rings for its first shards; as `Maestrale.submit` does."""
        return self._maestrale.submit(plan, **how)

    def store(self, job: Job, path: Path | None = None) -> VectorStore:
        """Writes what the finished job embedded, at `path` or where it was asked for, and puts it
        under its name. Its failed rows are not in it."""
        return stores.write(self._maestrale, job, self.told(job), path)

    def export(self, job: Job, path: Path, *, overwrite: bool = False) -> exports.Exported:
        """Writes JSON lines of id, document and the vector's numbers."""
        self.told(job)
        with self._maestrale.store.read() as connection:
            return exports.export(
                _records(stores.embedded(connection, job.id)),
                path,
                exports.ExportFormat.JSONL,
                overwrite=overwrite,
            )

    def stores(self, *, limit: int = 50) -> list[VectorStore]:
        """The newest stores first."""
        return stores.newest(self._maestrale, limit)

    @staticmethod
    def told(job: Job) -> Embedding:
        """What the job was asked to embed. `BadInputError` if it embeds nothing."""
        told = JobSpec.model_validate_json(job.spec).embedding
        if told is None:
            raise BadInputError(f"{job.id} is a {job.kind} job, which embeds nothing")
        return told

    def _fits(self, asked: Embedding) -> fitting.Fits:
        """By the text alone: it waits for nothing."""

        def bodies(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
            yield asked.body(asked.text_of(row))

        least = fitting.LEAST_EMBEDDING
        return fitting.Fitting(self._maestrale, [asked.model], asked.text, bodies, least).problem

    def _ways(self, asked: Embedding, found: ReadResult) -> Ways:
        settings = self._maestrale.settings
        ways = estimate.estimate_requests(
            lambda row: [_Requested(asked.body(asked.text_of(row)))],
            found,
            load_prices(settings.prices_file),
            self._maestrale.limits(),
            rounds=1,
        )
        together = f"texts travel together: about {counted(ways.requests, 'request')} in real time"
        told = ways.realtime.model_copy(update={"notes": [*ways.realtime.notes, together]})
        return replace(ways, realtime=told)


def embedding_of(wish: Wish) -> Embedding:
    """What workers are told; `BadInputError` for a template or a name that cannot be used."""
    for _key, complaint in template_complaints("text", wish.text, {"row", "range"}, ()):
        raise BadInputError(f"the template of the text: {complaint}")
    if "row" not in names_read(wish.text):
        raise BadInputError(
            f"the text {wish.text[:60]!r} is the same for every row: a row's field is written "
            "{{ row.text }}"
        )
    if not wish.model.strip():
        raise BadInputError("the model's name is empty: name one by --model")
    name = wish.store or store_name(str(wish.source))
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        raise BadInputError(
            f"{name[:100]!r} is no name for a store: small letters, digits, dots and dashes"
        )
    path = "" if wish.path is None else str(wish.path.resolve())
    return Embedding(model=wish.model, text=wish.text, store=name, path=path)


def store_name(source: str) -> str:
    """A name from the input's: `Papers 2026.jsonl.gz` -> `papers-2026`."""
    stem = Path(source).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:100] or "documents"


def _by_requests(ways: Ways) -> Ways:
    """As `--via auto` weighs it: what is not worth a batch is a matter of requests."""
    return replace(ways, realtime=ways.realtime.model_copy(update={"calls": ways.requests}))


def _records(found: Iterator[Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    import orjson  # noqa: PLC0415 # for this alone

    for one in found:
        vector = unpack(one.vector)
        yield one.id, [{"id": one.id, "doc": orjson.loads(one.doc), "vector": vector}]
