"""What every racer of `benchmarks.peers` shares: how it is asked, and how it tells that it is done.

A racer is a script, run by the interpreter of its own venv with one argument, the JSON of `Asked`.
It prints `ready`, waits for a line, works, prints `done`, and stays until its input is closed: so
that start and end are seen from outside. Only the standard library: this runs in foreign venvs.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODEL = "mistral-small-latest"
TEMPERATURE = 0.1


@dataclass(frozen=True)
class Asked:
    """What to do: the rows are in `folder`; `home` is the racer's own and outlives a kill -9."""

    url: str
    folder: str
    home: str
    in_flight: int
    rate: int = 0
    """Requests per second that the server allows; 0: as many as it can."""
    processes: int = 1


@dataclass(frozen=True)
class Call:
    """One row as the chat request it comes to."""

    id: str
    messages: list[dict[str, str]]


@dataclass
class Answer:
    """What came of a row; `text` is None where there is no answer, and `error` says why."""

    id: str
    text: str | None = None
    finish: str = ""
    """The server's finish_reason, where the racer is told of it."""
    error: str = ""


def asked() -> Asked:
    """Reads the argument; lets the process open many connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return Asked(**json.loads(sys.argv[1]))


def calls(told: Asked) -> list[Call]:
    """All rows."""
    lines = (Path(told.folder) / "calls.jsonl").read_text().splitlines()
    return [Call(**json.loads(line)) for line in lines]


def rehearsal() -> list[Call]:
    """One call that nobody made before: everyone is warm at the start, whatever it imports late."""
    return [Call("warm", [{"role": "user", "content": f"Rehearsal {time.time_ns()}"}])]


def await_start() -> None:
    """Says that all is imported and set up, and waits for the word."""
    print("ready", flush=True)
    sys.stdin.readline()


def finish(told: Asked, answers: Iterable[Answer]) -> None:
    """Writes the answers, says so, and stays until its figures are read."""
    with (Path(told.home) / "answers.jsonl").open("w") as out:
        for answer in answers:
            out.write(json.dumps(asdict(answer)) + "\n")
    print("done", flush=True)
    sys.stdin.read()


def run(
    main: Coroutine[Any, Any, list[Answer]],
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> list[Answer]:
    """Runs it in a loop of its own, which `loop` makes."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


async def gather(
    rows: Sequence[Call], in_flight: int, ask: Callable[[Call], Awaitable[Answer]]
) -> list[Answer]:
    """As users of async clients do: `asyncio.gather` and a semaphore; an error costs its row."""
    places = asyncio.Semaphore(in_flight)

    async def one(call: Call) -> Answer:
        async with places:
            try:
                return await ask(call)
            except Exception as problem:
                return Answer(call.id, error=type(problem).__name__)

    return list(await asyncio.gather(*map(one, rows)))
