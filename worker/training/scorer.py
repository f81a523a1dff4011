"""The child that reads rows to a model, seen from its parent: started, asked, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

from models.training import surroundings
from worker.training.events import Died, Failed
from worker.training.running import died
from worker.training.scored import (
    Conversation,
    Reading,
    Ready,
    Request,
    Scored,
    Unscored,
    from_line,
)

LOG = Path("logs") / "scoring.log"
"""Below the home: what the child's libraries print."""

Told = Scored | Unscored | Failed | Died


class Scorer:
    """One child with one model; rows are read to it until it is stopped."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self.is_ready = False
        """Whether the model was loaded."""

    @classmethod
    async def start(cls, reading: Reading, *, home: Path, python: str = "") -> "Scorer":
        """Starts the child. `python`: the interpreter that has the extra `train`, empty: this."""
        log = _log_below(home)
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command(reading, home, log, python=python),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                env=surroundings.of_child(os.environ),
                start_new_session=True,  # Ctrl-C reaches only us, and we stop it
            )
        return cls(process, log)

    async def score(self, rows: Sequence[Conversation]) -> AsyncIterator[Told]:
        """An answer for each row, in any order; or a last word instead, after which it is over."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # it has ended: its last word is still to be read
            self._process.stdin.write(Request(rows=list(rows)).model_dump_json().encode() + b"\n")
            await self._process.stdin.drain()
        left = {row.id for row in rows}
        while left:
            told = await self._next()
            if isinstance(told, Scored | Unscored):
                left.discard(told.id)
            yield told
            if isinstance(told, Failed | Died):
                return

    async def stop(self) -> None:
        """Ends it at once: it holds nothing that is not told."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def _next(self) -> Told:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = from_line(line)
            if isinstance(event, Ready):
                self.is_ready = True
            elif isinstance(event, Scored | Unscored | Failed):
                return event
        return died(await self._process.wait(), self._log)


def _log_below(home: Path) -> Path:
    log = home.absolute() / LOG
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return log


def command(reading: Reading, home: Path, log: Path, *, python: str = "") -> list[str]:
    """The child's command line; it is told its parent, with which it dies."""
    adapter = ["--adapter", reading.adapter] if reading.adapter else []
    return [
        python or sys.executable,
        *("-m", "worker.training.scoring", "--base", reading.base, *adapter),
        *("--home", str(home), "--seq-len", str(reading.seq_len)),
        *("--log", str(log), "--parent", str(os.getpid())),
    ]
