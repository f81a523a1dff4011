"""A child that speaks the trainer's protocol and learns nothing: no torch is needed.

Called as a Python would be: `-m worker.training FOLDER ...`. What it does is in the spec's name.
Called as `-m worker.training.counting`, each letter is a token; the base says how it ends.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__)


def as_python(folder: Path) -> Path:
    """An executable to name in MAESTRALE_TRAIN_PYTHON."""
    path = folder / "fake-python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPT}" "$@"\n')
    path.chmod(0o755)
    return path


def tell(**event: Any) -> None:
    """One line of the protocol."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """A whole training: from where it stood, to what its spec's name makes of it."""
    spec = json.loads((folder / "spec.json").read_text())
    at = folder / "at"
    began = int(at.read_text()) if at.exists() else 0
    step = began

    def stop(*_: object) -> None:
        tell(event="stopped", step=step)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    tell(event="started", device="cpu", steps=spec["steps"], rows=8, tokens=80, resumed_from=began)
    if not began:
        tell(event="eval", step=0, valid_loss=4.0, valid_accuracy=0.1)
    if "broken" in spec["name"]:
        tell(event="failed", code="base_missing", detail="there is no such base")
        sys.exit(3)
    for step in range(began + 1, spec["steps"] + 1):
        told = {"epoch": step / 10, "learning_rate": spec["learning_rate"], "tokens": 40 * step}
        tell(event="point", step=step, loss=4.0 / step, **told)
        meet_fate(spec["name"], folder, step, is_first=not began)
    finish(folder, spec)


def meet_fate(name: str, folder: Path, step: int, *, is_first: bool) -> None:
    """What the run's name says of this step: it may stand still, or die."""
    at = folder / "at"
    if "slow" in name and step == 2 and is_first:
        at.write_text("2")
        tell(event="checkpoint", step=2, name="checkpoint-2")
        sys.stdin.read()  # until its parent dies, or stops it
        sys.exit(1)
    if "mortal" in name and is_first:
        at.write_text(str(step))
        tell(event="checkpoint", step=step, name=f"checkpoint-{step}")
        os.kill(os.getpid(), signal.SIGKILL)
    if "doomed" in name:
        os.kill(os.getpid(), signal.SIGKILL)


def finish(folder: Path, spec: dict[str, Any]) -> None:
    """The files and the last words of a training that went well."""
    # the worse the farther from the best rate there is
    loss = 1.0 + abs(spec["learning_rate"] - 1e-4) * 1000
    tell(event="eval", step=spec["steps"], valid_loss=loss, valid_accuracy=0.8)
    adapter = folder / "adapter"
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_model.safetensors").write_text("weights")
    (folder / "adapter.gguf").write_text("gguf")
    result = {
        "valid_loss_before": 4.0,
        "valid_loss_after": loss,
        "train_loss": 4.0 / spec["steps"],
        "steps": spec["steps"],
        "seconds": 1.5,
        "tokens": 40 * spec["steps"],
        "best_step": spec["steps"],
        "adapter": str(adapter),
        "gguf": str(folder / "adapter.gguf"),
        "base": spec["base"],
        "base_gguf": "",
        "versions": {"torch": "0"},
    }
    (folder / "result.json").write_text(json.dumps(result))
    tell(event="done", result=result)


PROBLEMS = {"gone": ("base_missing", True), "far/away": ("base_missing", False)}
"""By base: a problem's code, and whether a training would surely have it."""


def count(folder: Path, *options: str) -> None:
    """Says in `FOLDER/counted` that it was asked, a line for each time."""
    told = list(zip(options[::2], options[1::2], strict=True))
    given = dict(told)
    base, seq_len = given["--base"], int(given["--seq-len"])
    with (folder / "counted").open("a") as asked:
        asked.write(f"{base} {seq_len}\n")
    if base == "broken":
        sys.exit("the tokenizer fell over")
    if base in PROBLEMS:
        code, is_sure = PROBLEMS[base]
        tell(problem={"code": code, "detail": f"no {base}", "is_sure": is_sure})
        return
    parts = {
        part: count_part(folder / f"{part}.jsonl", seq_len) for at, part in told if at == "--part"
    }
    tell(counts={"base": base, "seq_len": seq_len, "parts": parts})


def count_part(file: Path, seq_len: int) -> dict[str, int]:
    """As the real one tells it."""
    rows = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    sizes = [sum(len(message["content"]) for message in row) for row in rows]
    asked = [sum(len(m["content"]) for m in row if m["role"] == "user") for row in rows]
    left = [size for size, before in zip(sizes, asked, strict=True) if before < seq_len]
    return {
        "rows": len(left),
        "tokens": sum(min(size, seq_len) for size in left),
        "answers": 3 * len(left),
        "longest": max(sizes),
        "longer": sum(size > seq_len for size in sizes),
        "left_out": len(sizes) - len(left),
    }


if __name__ == "__main__":
    if sys.argv[2] == "worker.training.counting":
        count(Path(sys.argv[3]), *sys.argv[4:])
    else:
        main(Path(sys.argv[3]))
