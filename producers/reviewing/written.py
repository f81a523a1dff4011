"""A result in files: JSON for programs, Markdown for people, every pair with its names as CSV."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

from models.errors import BadInputError
from models.reviews.results import Counted, Result, to_json
from models.reviews.words import (
    COUNTING,
    agreement_words,
    leaning_words,
    preferred_name,
    share_words,
)
from models.store.reviews import Blinded
from models.words import printable
from producers.exports import check_target, replacing
from producers.spreadsheets import disarmed

FILES = ("result.json", "result.md", "pairs.csv")
COLUMNS = ("pair", "row", "question", "first", "second", "preferred", "votes", "comments")


def write(
    result: Result,
    pairs: Sequence[Blinded],
    sides: Mapping[int, bool],
    rows: Mapping[int, str],
    folder: Path,
    *,
    overwrite: bool = False,
) -> list[str]:
    """Writes them into `folder`, which is made if need be; answers their names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{folder} cannot be made a folder: {error.strerror}") from error
    targets = [check_target(folder / name, overwrite=overwrite) for name in FILES]
    texts = (json.dumps(to_json(result), indent=2, ensure_ascii=False) + "\n", markdown(result))
    for target, text in zip(targets, texts, strict=False):
        with replacing(target, overwrite=overwrite) as file:
            file.write(text.encode("utf-8", "replace"))
    with replacing(targets[2], overwrite=overwrite) as file:
        sheet = TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        csv.writer(sheet, quoting=csv.QUOTE_ALL).writerows(_lines(result, pairs, sides, rows))
        sheet.flush()
        sheet.detach()
    return list(FILES)


def markdown(result: Result) -> str:
    """The result as a page of Markdown."""
    title = f"# {_inline(result.name)}: {_inline(result.first)} against {_inline(result.second)}"
    parts = [
        title,
        f"> {_inline(result.question)}",
        f"**{_inline(result.verdict)}**",
        "\n".join(_table(result)),
        *(_inline(note) for note in result.notes),
        *agreement_words(result),
        COUNTING,
    ]
    if result.comments:
        parts += ["## Comments", "\n".join(_comments(result))]
    return "\n\n".join(parts) + "\n"


def _table(result: Result) -> Iterator[str]:
    yield f"| {_inline(result.first)} | won | tied | lost | won of decided | left preferred |"
    yield "|---|---|---|---|---|---|"
    yield _row("most of them", result.counted, "–")
    for one in result.reviewers:
        yield _row(_inline(one.reviewer), one.counted, leaning_words(one))


def _row(name: str, counted: Counted, left: str) -> str:
    told = (counted.won, counted.tied, counted.lost)
    cells = [f"{one.count}: {share_words(one)}" for one in told]
    return f"| {' | '.join([name, *cells, share_words(counted.won_of_decided), left])} |"


def _comments(result: Result) -> Iterator[str]:
    for vote in result.comments:
        who = f"pair {vote.no}, {_inline(vote.reviewer)}"
        word = _inline(preferred_name(result, vote.preferred))
        yield f"* {who} ({word}): {_inline(vote.comment)}"


def _lines(
    result: Result,
    pairs: Sequence[Blinded],
    sides: Mapping[int, bool],
    rows: Mapping[int, str],
) -> Iterator[Sequence[str]]:
    yield COLUMNS
    found = {pair.no: pair for pair in result.pairs}
    for one in pairs:
        texts = (one.left, one.right) if sides[one.no] else (one.right, one.left)
        judged = found.get(one.no)
        votes = judged.votes if judged else []
        cells = (
            str(one.no),
            rows[one.no],
            one.asked,
            *texts,
            preferred_name(result, judged.preferred) if judged else "",
            "; ".join(f"{v.reviewer}: {preferred_name(result, v.preferred)}" for v in votes),
            "; ".join(f"{v.reviewer}: {v.comment}" for v in votes if v.comment),
        )
        yield [disarmed(cell) for cell in cells]


def _inline(text: str) -> str:
    """One line that Markdown takes for text."""
    line = printable(" ".join(text.split()), 2_000)
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in line)
