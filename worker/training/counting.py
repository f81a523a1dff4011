"""`python -m worker.training.counting DATASET_FOLDER --base B`: tokens as a training reads them.

Shapes and cuts every row as training does, and writes one line of JSON (`Answer`). Light: it loads
a tokenizer and no model, and torch only for a GGUF that no training has unpacked yet.
"""

import argparse
import os
import shutil
import signal
import socket
import sys
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from models.training import libraries
from models.training.counts import Answer, CountingProblem, Counts, PartCount
from worker.training.bases import Base, find_base
from worker.training.problems import TrainingProblem, check_libraries
from worker.training.rows import NOT_LEARNT, Example, Tokenizer, whole_examples

HUB_S = 30
"""How long a hub may take for a tokenizer, seconds: who asks for a plan does not wait for more."""
_CONNECT_S = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 whenever the line was written, be it counts or why there are none."""
    options = _options(arguments)
    out = _output_for_us_alone()
    out.write(answer(options).model_dump_json(exclude_none=True).encode() + b"\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.training.counting", description=__doc__)
    parser.add_argument("folder", type=Path, help="the dataset's folder, with its train.jsonl")
    parser.add_argument("--base", required=True, help="a folder, a .gguf, a hub name or smollm2")
    parser.add_argument("--home", type=Path, required=True, help="where bases are unpacked")
    parser.add_argument("--seq-len", type=int, required=True, help="tokens per row at most")
    parser.add_argument("--part", action="append", required=True, help="repeatable")
    return parser.parse_args(arguments)


def _output_for_us_alone() -> BinaryIO:
    """Standard output as it was; whatever libraries print goes to standard error."""
    ours = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return ours


def answer(options: argparse.Namespace) -> Answer:
    """The counts of the parts, or why there are none."""
    is_sure = True
    try:
        base = find_base(options.base, options.home)
        is_sure = _is_here(base)
        tokenizer = _tokenizer(base)
        is_sure = True
        counted = {part: count(options.folder, part, tokenizer, options) for part in options.part}
    except TrainingProblem as problem:
        told = {"code": problem.code, "detail": str(problem)}
        is_certain = problem.code == "unsupported" or (is_sure and problem.code != "missing_extra")
        return Answer(problem=CountingProblem(**told, is_sure=is_certain))
    return Answer(counts=Counts(base=options.base, seq_len=options.seq_len, parts=counted))


def count(folder: Path, part: str, tokenizer: Tokenizer, options: argparse.Namespace) -> PartCount:
    """One part of the dataset."""
    return count_rows(whole_examples(folder / f"{part}.jsonl", tokenizer), options.seq_len)


def count_rows(rows: Iterable[Example], seq_len: int) -> PartCount:
    """What `rows.examples` would leave of them; a row costs eight bytes of memory while they are
    read, and some fifty once all are ranked."""
    sizes, left, tokens, answers = array("q"), 0, 0, 0
    for whole in rows:
        sizes.append(len(whole.input_ids))
        example = whole.cut(seq_len)
        if example.learns:
            left += 1
            tokens += len(example.input_ids)
            answers += sum(label != NOT_LEARNT for label in example.labels)
    return PartCount(
        rows=left,
        tokens=tokens,
        answers=answers,
        longer=sum(size > seq_len for size in sizes),
        left_out=len(sizes) - left,
        **_spread(sizes),
    )


def _spread(sizes: "array[int]") -> dict[str, int]:
    ranked = sorted(sizes) or [0]
    at = {name: int(len(ranked) * share) for name, share in (("p50", 0.5), ("p95", 0.95))}
    return {**{name: ranked[place] for name, place in at.items()}, "longest": ranked[-1]}


# -- the tokenizer ---------------------------------------------------------------------------------


def _is_here(base: Base) -> bool:
    """Whether the base lies on this disk: a hub that is away now may be there for the training."""
    return base.is_packed or Path(base.place).is_dir()


def _tokenizer(base: Base) -> Any:
    """As training loads it. Raises `TrainingProblem`."""
    check_libraries(libraries.COUNTING)
    if base.is_packed:
        return _of_gguf(base)
    _do_without_torch()
    return _load(base.place) if Path(base.place).is_dir() else _of_hub(base.place)


def _of_gguf(base: Base) -> Any:
    """Out of a GGUF that no training has unpacked yet; torch is needed once, then it is kept."""
    assert base.gguf is not None
    kept = Path(base.place + ".tokenizer")
    if kept.is_dir():
        _do_without_torch()
        return _load(str(kept))
    tokenizer = _load(str(base.gguf.parent), gguf_file=base.gguf.name)
    half = kept.with_name(f"{kept.name}.{os.getpid()}.half")
    with suppress(OSError):  # a full disk, or another process was first
        tokenizer.save_pretrained(half)
        half.rename(kept)
    shutil.rmtree(half, ignore_errors=True)
    return tokenizer


def _do_without_torch() -> None:
    """Spares the seconds that torch takes: transformers then offers tokenizers alone."""
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type] # Python's way to say: not here


def _load(place: str, **options: Any) -> Any:
    from worker.training.tokenizing import (  # noqa: PLC0415 # transformers takes seconds
        load_tokenizer,
    )

    return load_tokenizer(place, **options)


def _of_hub(name: str) -> Any:
    """What was fetched before, or else from the hub, within `HUB_S`."""
    try:
        return _load(name, local_files_only=True)
    except TrainingProblem as problem:
        if problem.code == "unsupported" or not _may_answer():
            raise
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(HUB_S)
    try:
        return _load(name)
    except _TooLongError:
        raise TrainingProblem(
            "base_missing", f"the hub did not tell {name}'s tokenizer within {HUB_S} seconds"
        ) from None
    finally:
        signal.alarm(0)


def _may_answer() -> bool:
    """Whether it is worth while to ask: without a network, transformers asks for a minute."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True
    hub = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((hub.hostname or "", port), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True


class _TooLongError(BaseException):
    """No `Exception`: libraries that try again must not catch it."""


def _give_up(*_: object) -> None:
    raise _TooLongError


if __name__ == "__main__":
    sys.exit(main())
