"""Our commands as a user would type them: told, timed, and answered as JSON."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from producers.processes import listens

START_S = 120.0
"""How long a server of models may take until it listens, seconds."""
_MAESTRALE = [
    sys.executable,
    "-P",
    "-c",
    "import sys; from producers.cli import main; sys.exit(main())",
]


def run(*arguments: str) -> dict[str, Any]:
    """`maestrale ... --json` to its end; what it answered. One that fails ends us with its code."""
    print("$ maestrale", *(word.replace("\n", "\\n") for word in arguments), flush=True)
    began = time.monotonic()
    done = subprocess.run(
        [*_MAESTRALE, *arguments, "--json"], check=False, stdout=subprocess.PIPE, text=True
    )
    print(f"  {time.monotonic() - began:.1f} s", flush=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    lines = done.stdout
    return dict(json.loads(lines.splitlines()[-1] if "\n{" in lines else lines))


@contextmanager
def served(model: str, port: int, log: Path) -> Iterator[None]:
    """`maestrale models serve`: the tuned model, and its base; gives up with the log's end."""
    arguments = ["models", "serve", model, "--port", str(port)]
    print("$ maestrale", *arguments, flush=True)
    with log.open("wb") as out:
        server = subprocess.Popen([*_MAESTRALE, *arguments], stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(log.read_text()[-2000:])
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(30)
