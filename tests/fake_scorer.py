"""A child that speaks the protocol of `worker.training.scoring` and reads nothing: no torch needed.

Called as a Python would be: `-m worker.training.scoring --base B ...`. Each character of an
assistant's words is a token that costs one nat, two with an adapter. What else it does is in the
base's name, and in the words.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__)


def as_python(folder: Path) -> Path:
    """An executable to name in MAESTRALE_TRAIN_PYTHON."""
    path = folder / "fake-reader"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPT}" "$@"\n')
    path.chmod(0o755)
    return path


def tell(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(options: dict[str, str]) -> None:
    base, home = options["--base"], Path(options["--home"])
    with (home / "loaded").open("a") as told:
        told.write(f"{base} {os.getpid()}\n")
    if "gone" in base:
        tell(event="failed", code="base_missing", detail=f"there is no model at {base}")
        return
    if "doomed" in base:
        os.kill(os.getpid(), signal.SIGKILL)
    tell(event="ready", device="cpu")
    nats = 2.0 if "--adapter" in options else 1.0
    for line in sys.stdin:
        for row in json.loads(line)["rows"]:
            read(row, base, nats)


def read(row: dict[str, Any], base: str, nats: float) -> None:
    said = "".join(one["content"] for one in row["messages"] if one["role"] == "assistant")
    if "slow" in base:
        time.sleep(0.2)
    if "kill" in said:
        os.kill(os.getpid(), signal.SIGKILL)
    if "refuse" in said:
        tell(event="unscored", id=row["id"], code="unsupported", detail="the template refuses it")
    elif "huge" in said:
        tell(event="unscored", id=row["id"], code="out_of_memory", detail="it does not fit")
    else:
        tell(event="scored", id=row["id"], nll=nats * len(said), tokens=len(said))


if __name__ == "__main__":
    given = sys.argv[3:]
    main(dict(zip(given[::2], given[1::2], strict=True)))
