"""Where a job's records go and in which format, when the user does not say. Pure but for a look."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.errors import BadInputError
from producers import exports
from producers.cli.options import Format

ENDINGS: Mapping[str, Format] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}
_PACKED = (".gz", ".zst")
_READ = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")


def choose_format(asked: Format | None, out: Path | None, record: Mapping[str, Any]) -> Format:
    """What was asked for, else by the file's ending, else chat for a recipe of conversations.

    Raises `BadInputError` for chat where `record`, the recipe's output, is no conversation.
    """
    is_chat = "messages" in record
    if asked == "chat" and not is_chat:
        raise BadInputError(
            "this recipe's records are no conversations (they have no `messages`): "
            "choose --format jsonl, csv or parquet"
        )
    if asked is not None:
        return asked
    by_ending = ENDINGS.get(out.suffix.lower()) if out else None
    if by_ending in ("csv", "parquet"):
        return by_ending
    return "chat" if is_chat else "jsonl"


def default_name(source: str, recipe: str, form: Format) -> Path:
    """`papers.jsonl.gz` by `amira` as chat -> `papers.amira.jsonl`, in the current folder."""
    stem = "stdin" if source in ("-", "<stdin>") else Path(source).name
    for endings in (_PACKED, _READ):
        suffix = Path(stem).suffix
        stem = stem.removesuffix(suffix) if suffix.lower() in endings else stem
    ending = form if form in ("csv", "parquet") else "jsonl"
    return Path(f"{stem or 'records'}.{recipe}.{ending}")


def check_named(out: Path) -> None:
    """Refuses what is no name of a file: `.`, `/`, the empty text, and `-` for standard output."""
    if str(out) == "-":
        raise BadInputError("records go into a file, not to standard output: give it a name")
    exports.provenance_path(out)


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuses a place that cannot be written, for the records or for the file beside them."""
    check_named(out)
    for path in (out, exports.provenance_path(out)):
        exports.check_target(path, overwrite=overwrite)


def rejects_path(out: Path) -> Path:
    """The rejects' file beside the output: `papers.amira.rejects.jsonl`."""
    return out.with_name(f"{out.stem}.rejects.jsonl")


def read_variables(given: Sequence[str]) -> dict[str, str]:
    """`key=value` options as a mapping. Raises `BadInputError` for what has no `=`."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadInputError(
                f"--set {text!r} does not parse: write it as --set language=Italian"
            )
        found[key.strip()] = value
    return found
