"""`python -m worker.training.scoring --base B ...`: reads rows to a model and tells their losses.

Rows come as lines of JSON on standard input (`scored.Request`), and it ends where they do. The
device is held while the model is loaded, as a training holds it.
"""

import argparse
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.training.bases import find_base
from worker.training.dying import Stop, die_with, give_way, hold_device
from worker.training.events import Failed, Waiting
from worker.training.problems import TrainingProblem, check_libraries
from worker.training.rows import Example, Tokenizer, example_of
from worker.training.scored import (
    Conversation,
    Event,
    Ready,
    Request,
    Scored,
    Unscored,
    batches,
)
from worker.training.telling import Teller, take_over_output

_NEEDED = ("torch", "transformers", "peft", "gguf")
Losses = Callable[[Sequence[Example]], list[tuple[float, int]]]


@dataclass(frozen=True, slots=True)
class Reader:
    """A model that is loaded. `is_full`: whether an error means that fewer rows might do."""

    tokenizer: Tokenizer
    losses: Losses
    is_full: Callable[[BaseException], bool]
    tokens_at_once: int
    seq_len: int

    def answers(self, rows: Sequence[Conversation]) -> Iterator[Event]:
        """One event for each row."""
        readable: list[tuple[int, tuple[int, Example]]] = []
        for row in rows:
            example = self._example(row)
            if isinstance(example, Unscored):
                yield example
            else:
                readable.append((len(example.input_ids), (row.id, example)))
        for batch in batches(readable, self.tokens_at_once):
            yield from self._scored(batch)

    def _example(self, row: Conversation) -> Example | Unscored:
        try:
            whole = example_of(row.messages, row.tools, self.tokenizer)
        except TrainingProblem as problem:
            return Unscored(id=row.id, code=problem.code, detail=str(problem))
        except Exception as error:  # templates refuse in as many ways as Python has
            traceback.print_exc()
            detail = f"the model's chat template refuses the row ({type(error).__name__})"
            return Unscored(id=row.id, code="unsupported", detail=detail)
        example = whole.cut(self.seq_len)
        if not any(label >= 0 for label in example.labels[1:]):
            detail = f"the assistant says nothing within the first {self.seq_len} tokens"
            return Unscored(id=row.id, code="bad_dataset", detail=detail)
        return example

    def _scored(self, batch: Sequence[tuple[int, Example]]) -> Iterator[Event]:
        try:
            found = self.losses([example for _, example in batch])
        except Exception as error:
            if not self.is_full(error):
                raise
            yield from self._one_by_one(batch)
            return
        for (row_id, _), (nll, tokens) in zip(batch, found, strict=True):
            yield _told(row_id, nll, tokens)

    def _one_by_one(self, batch: Sequence[tuple[int, Example]]) -> Iterator[Event]:
        if len(batch) > 1:
            for one in batch:
                yield from self._scored([one])
            return
        detail = "the model and this row do not fit in memory: shorten rows by seq_len"
        yield Unscored(id=batch[0][0], code="out_of_memory", detail=detail)


def _told(row_id: int, nll: float, tokens: int) -> Event:
    if math.isfinite(nll):
        return Scored(id=row_id, nll=nll, tokens=tokens)
    return Unscored(id=row_id, code="broken", detail="its loss is no number: the model diverged")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 whenever a last word was told."""
    options = _options(arguments)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    teller = take_over_output(options.log)
    give_way()
    if options.parent:
        die_with(options.parent, watch_input=False)
    try:
        _read(options, teller)
    except TrainingProblem as problem:
        teller.tell(Failed(code=problem.code, detail=str(problem)))
    except Exception as error:  # the last word is told whatever happened
        traceback.print_exc()
        detail = f"{type(error).__name__} in reading: see {options.log}"
        teller.tell(Failed(code="broken", detail=detail))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.training.scoring", description=__doc__)
    parser.add_argument("--base", required=True, help="a folder, a .gguf, a hub name or smollm2")
    parser.add_argument("--adapter", default="", help="a folder as peft reads it")
    parser.add_argument("--home", type=Path, required=True, help="for bases and locks")
    parser.add_argument("--seq-len", type=int, default=1024, help="tokens of a row at most")
    parser.add_argument("--log", type=Path, required=True, help="for what libraries print")
    parser.add_argument("--parent", type=int, default=0, help="the process to die with")
    return parser.parse_args(arguments)


def _read(options: argparse.Namespace, teller: Teller) -> None:
    """Answers line by line until there are no more."""
    check_libraries(_NEEDED)
    reader, device = _loaded(options, teller.tell)
    teller.tell(Ready(device=device))
    for line in sys.stdin.buffer:
        for event in reader.answers(Request.model_validate_json(line).rows):
            teller.tell(event)


def _loaded(options: argparse.Namespace, tell: Callable[[Event], Any]) -> tuple[Reader, str]:
    from worker.training import likelihood  # noqa: PLC0415 # torch takes seconds, and may be missing
    from worker.training.loading import device  # noqa: PLC0415 # as above
    from worker.training.tokenizing import load_tokenizer  # noqa: PLC0415 # as above

    name = device()
    hold_device(options.home / f"train-{name}.lock", Stop(), lambda: tell(Waiting()))
    base = find_base(options.base, options.home)
    model = likelihood.load(base, options.adapter)
    seq_len = min(options.seq_len, likelihood.longest(model) or options.seq_len)
    reader = Reader(
        tokenizer=load_tokenizer(base.place),
        losses=lambda rows: likelihood.losses(model, rows),
        is_full=likelihood.is_out_of_memory,
        tokens_at_once=likelihood.TOKENS_AT_ONCE[name],
        seq_len=seq_len,
    )
    return reader, name


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # native threads of libraries must not keep a finished child
