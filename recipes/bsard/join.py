"""`python recipes/bsard/join.py articles.csv questions_train.csv > questions.jsonl`: BSARD's two
tables as the rows of this recipe, each question with the text of its articles."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_CHARS = 12_000
"""Of all articles of a question together; BSARD has questions with a hundred of them."""


def articles(path: Path) -> dict[str, dict[str, str]]:
    """Reference and text by id."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {
            row["id"]: {"reference": row["reference"], "text": row["article"]}
            for row in csv.DictReader(file)
        }


def questions(path: Path, known: dict[str, dict[str, str]]) -> Iterator[dict[str, Any]]:
    """The rows. Articles that are not in the table, or beyond `MOST_CHARS`, are left out."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            named = [one.strip() for one in row["article_ids"].split(",")]
            found = [known[one] for one in named if one in known]
            told = [row["question"], row.get("extra_description") or ""]
            yield {
                "id": f"bsard:{row['id']}",
                "question": " ".join(part.strip() for part in told if part.strip()),
                "articles": _fitting(found),
                "article_ids": named,
                "theme": row.get("category"),
            }


def _fitting(found: list[dict[str, str]]) -> list[dict[str, str]]:
    kept, chars = [], 0
    for one in found:
        chars += len(one["text"])
        if chars <= MOST_CHARS or not kept:
            kept.append(one)
    return kept


def main(arguments: list[str]) -> int:
    """Writes the rows to standard output."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python recipes/bsard/join.py articles.csv questions_train.csv\n")
        return 2
    csv.field_size_limit(1 << 24)
    known = articles(Path(arguments[0]))
    for row in questions(Path(arguments[1]), known):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
