"""How many rows a second `read` checks and stages: `python -m benchmarks.reading [rows]`."""

import gzip
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zstandard

from producers.readers import ReadOptions, read

WORDS = ("alpha", "béta", "gamma", "delta", "the", "of", "quantum", 'quo"te', "line\nbreak")


def flat(number: int, chance: random.Random) -> dict[str, object]:
    """A row of one long text, about 1.5 kB."""
    text = " ".join(chance.choices(WORDS, k=225))
    return {"id": f"r{number}", "text": text, "source": "x.txt", "meta": {"page": number}}


def chat(number: int, chance: random.Random) -> dict[str, object]:
    """A row of ten messages, about 1.5 kB."""
    roles = ("user", "assistant") * 5
    texts = (" ".join(chance.choices(WORDS, k=18)) for _ in roles)
    pairs = zip(roles, texts, strict=True)
    return {"id": number, "messages": [{"role": role, "content": text} for role, text in pairs]}


def measure(name: str, content: bytes, rows: int, folder: Path) -> None:
    """Print the rate of one input, by the clock and by CPU time as the machine may be shared."""
    path = folder / name
    path.write_bytes(content)
    start, cpu = time.perf_counter(), time.process_time()
    with read(path, ReadOptions(), folder / "staging") as result:
        read_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        assert result.accepted == rows
        start = time.perf_counter()
        assert sum(1 for _ in result.rows()) == rows
        again_s = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:12} {len(content) / rows:6.0f} B/row  read {rows / read_s:8,.0f} rows/s"
        f" ({rows / cpu_s:8,.0f} per CPU second)"
        f"  staged rows {rows / again_s:8,.0f} rows/s  peak {megabytes:.0f} MiB"
    )


def main() -> None:
    """Measure plain and packed inputs of both shapes."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    shapes: dict[str, Callable[[int, random.Random], dict[str, object]]]
    shapes = {"flat": flat, "chat": chat}
    with tempfile.TemporaryDirectory() as folder:
        for shape, row in shapes.items():
            chance = random.Random(0)
            lines = (json.dumps(row(n, chance), ensure_ascii=False) + "\n" for n in range(rows))
            content = "".join(lines).encode()
            measure(shape, content, rows, Path(folder))
            measure(f"{shape}.gz", gzip.compress(content, 6), rows, Path(folder))
            measure(f"{shape}.zst", zstandard.compress(content), rows, Path(folder))


if __name__ == "__main__":
    main()
