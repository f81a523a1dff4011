"""`python -m benchmarks.fine_tune FILE [--text FIELD] [--label FIELD]`: a real model, better after.

By the commands a user would type: classes of a labelled file become a dataset, a small model is
trained on it on this machine, and base and tuned model are served and asked about rows that neither
has seen, through our workers. Needs `make train-extra`. Takes about ten minutes on two cores.
"""

import argparse
import json
import math
import os
import random
import re
import tempfile
from collections import Counter
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.commands import run, served
from producers.processes import free_port

RECIPE = """
name = "classify"
description = "Asks for the class of a row"
model = "smollm2"

[[steps]]
name = "answer"
prompt = {prompt}

[steps.parameters]
temperature = 0
max_tokens = 64

[output.record]
id = "{{{{ row.id }}}}"
label = "{{{{ row.{label} }}}}"
answer = "{{{{ answer }}}}"
"""
Z = 1.96
LEAST_FALL = 0.4
Asked = tuple[int, int, Counter[str]]
"""Right, asked, and first words of the answers."""


def main() -> None:
    """Prints each command with what it took, and the figures with their intervals."""
    told = _told()
    with tempfile.TemporaryDirectory(prefix="maestrale-tune-") as home:
        shown = Show(Path(home), told)
        with shown.services():
            shown.make()
            shown.train()
            with shown.served():
                before, after = shown.asked("smollm2"), shown.asked("tuned")
        _verdict(shown, before, after)


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fine_tune")
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="query")
    parser.add_argument("--label", default="label")
    parser.add_argument("--names", default="news_related=news,not_news_related=other")
    parser.add_argument("--asked", default="Is this request to a voice assistant about news")
    parser.add_argument("--held-out", type=int, default=50, help="of each class")
    parser.add_argument("--learnt", type=int, default=48, help="of each class, at most")
    parser.add_argument("--option", action="append", default=[], help="for `maestrale train`")
    return parser.parse_args()


class Show:
    """A home of its own, and what its commands told."""

    def __init__(self, home: Path, told: argparse.Namespace) -> None:
        self.home = home
        self._told = told
        self._port = free_port()
        self._names = dict(pair.split("=") for pair in told.names.split(","))
        self._environment = {
            "MAESTRALE_HOME": str(home / "home"),
            "MISTRAL_BASE_URL": f"http://127.0.0.1:{free_port()}",  # nobody: a stray call fails
            "MISTRAL_API_KEY": "any",
        }
        self.trained: dict[str, Any] = {}

    @contextmanager
    def services(self) -> Any:
        """Server, a worker and a trainer."""
        os.environ.update(self._environment)
        run("up", "--no-flower", "--workers", "1")
        try:
            yield
        finally:
            run("down")

    def make(self) -> None:
        """Rows of each class apart for the test; the others become a dataset."""
        rows = [json.loads(line) for line in self._told.file.open()]
        random.Random(7).shuffle(rows)
        held, learnt = [], []
        for name in self._names:
            mine = [row for row in rows if row[self._told.label] == name]
            held += mine[: self._told.held_out]
            learnt += mine[self._told.held_out :][: self._told.learnt]
        for name, some in (("held_out", held), ("learnt", learnt)):
            random.Random(7).shuffle(some)
            for row in some:
                row[self._told.label] = self._names[row[self._told.label]]
            lines = "".join(json.dumps(row) + "\n" for row in some)
            (self.home / f"{name}.jsonl").write_text(lines)
        self._recipe().write_text(
            RECIPE.format(prompt=json.dumps(self._prompt()), label=self._told.label)
        )
        answer = f"{{{{ row.{self._told.label} }}}}"
        learnt_file = str(self.home / "learnt.jsonl")
        run("dataset", "make", "rows", learnt_file, "--prompt", self._prompt(), "--answer", answer)
        run("dataset", "split", "rows", "--train", "0.85", "--validation", "0.15")

    def train(self) -> None:
        """The dry run, and the run."""
        command = ("train", "rows", "--base", "smollm2", "--name", "tuned", *self._told.option)
        run(*command, "--dry-run")
        run(*command)
        self.trained = run("models", "show", "tuned")

    def served(self) -> AbstractContextManager[None]:
        """`maestrale models serve`: the tuned model, and its base."""
        return served("tuned", self._port, self.home / "serve.log")

    def asked(self, model: str) -> Asked:
        """(right, asked, answers) of the held-out rows."""
        out = self.home / f"{model}.jsonl"
        rows, recipe = str(self.home / "held_out.jsonl"), str(self._recipe())
        how = ("--format", "jsonl", "--max-failed-share", "1")
        run("generate", rows, "--recipe", recipe, "--model", model, "--out", str(out), *how)
        records = [json.loads(line) for line in out.open()]
        words = [first_word(record["answer"]) for record in records]
        right = sum(word == record["label"] for word, record in zip(words, records, strict=True))
        total = sum(1 for _ in (self.home / "held_out.jsonl").open())
        return right, total, Counter(words)

    def _recipe(self) -> Path:
        return self.home / "classify.toml"

    def _prompt(self) -> str:
        classes = " or ".join(self._names.values())
        text = f"{{{{ row.{self._told.text} }}}}"
        return f"{self._told.asked}? Answer with one word: {classes}.\n{text}"


def first_word(answer: str) -> str:
    """Of an answer that was asked for in one word; kinder to the base than the whole answer."""
    return next(iter(re.findall(r"[^\W_]+", answer.lower())), "")


def interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's score interval at 95% of a share."""
    share, z2 = right / total, Z * Z / total
    middle, half = share + z2 / 2, Z * math.sqrt(share * (1 - share) / total + z2 / total / 4)
    return (middle - half) / (1 + z2), (middle + half) / (1 + z2)


def _verdict(shown: Show, before: Asked, after: Asked) -> None:
    metrics = shown.trained["metrics"]
    loss = (metrics["valid_loss_before"], metrics["valid_loss_after"])
    fall = 1 - loss[1] / loss[0]
    steps, seconds = metrics["steps"], metrics["seconds"]
    print(f"\nvalidation loss {loss[0]:.3f} -> {loss[1]:.3f}: {fall:.0%} less")
    print(f"{steps:.0f} steps in {seconds:.0f} s, the lineage: maestrale models show tuned")
    intervals = []
    for name, (right, total, answers) in (("base", before), ("tuned", after)):
        low, high = interval(right, total)
        intervals.append((low, high))
        print(
            f"{name:6} {right} of {total} right: {right / total:.0%} [{low:.0%}, {high:.0%}]",
            end="",
        )
        print(f"; first words: {dict(answers.most_common(4))}")
    is_better = intervals[0][1] < intervals[1][0]
    print(f"loss falls by 40%: {'HOLDS' if fall >= LEAST_FALL else 'BROKEN'}")
    print(f"accuracy rises, intervals apart: {'HOLDS' if is_better else 'BROKEN'}")
    raise SystemExit(0 if fall >= LEAST_FALL and is_better else 1)


if __name__ == "__main__":
    main()
