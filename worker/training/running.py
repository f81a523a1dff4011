"""A training run seen from its parent: started, listened to, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from models.log_tail import last_line
from models.training import TrainingSpec, surroundings
from worker.training.events import Died, Event, Last, from_line
from worker.training.run_folder import RunFolder

STOP_S: Final = 60.0
"""How long a run told to stop may take for its step and its checkpoint, seconds."""


class Run:
    """One child process that trains; a context in which it cannot outlive its reader."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self._process = process

    @classmethod
    async def start(
        cls,
        folder: Path,
        spec: TrainingSpec,
        *,
        home: Path,
        python: str = "",
        wandb_key: str = "",
        threads: int = 0,
    ) -> "Run":
        """Starts the run, or goes on with it: a folder is one run, however often it is started.

        `python` is the interpreter that has the extra `train`, empty: this one.
        `threads` are those of the CPU it may use, 0: all. Raises `BadInputError` if the folder
        belongs to a run with another spec.
        """
        place = _held(folder, spec)
        with place.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command(place.path, home, python=python, threads=threads),
                stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment(os.environ, place.path, wandb_key),
                start_new_session=True,  # Ctrl-C reaches only us, and we stop it
            )
        return cls(place.path, process)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    async def events(self) -> AsyncIterator[Event]:
        """What the run tells, ending with exactly one of `Done`, `Failed`, `Stopped`, `Died`."""
        assert self._process.stdout is not None
        last: Last | None = None
        async for line in self._process.stdout:
            event = from_line(line)
            if isinstance(event, Last):
                last = event
            elif event is not None:
                yield event
        code = await self._process.wait()
        yield last or died(code, RunFolder(self.folder).log)

    async def stop(self, patience_s: float = STOP_S) -> None:
        """Asks it to write a checkpoint and end; after `patience_s` it is killed.

        Keep reading `events()` meanwhile, or begin to afterwards.
        """
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), patience_s)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    async def __aenter__(self) -> "Run":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)


def _held(folder: Path, spec: TrainingSpec) -> RunFolder:
    place = RunFolder(folder.absolute())
    place.hold(spec)
    return place


def command(folder: Path, home: Path, *, python: str = "", threads: int = 0) -> list[str]:
    """The child's command line; it is told its parent, with which it dies."""
    program = python or sys.executable
    places = [str(folder), "--home", str(home), "--parent", str(os.getpid())]
    return [program, "-m", "worker.training", *places, "--threads", str(threads)]


def environment(ours: Mapping[str, str], folder: Path, wandb_key: str = "") -> dict[str, str]:
    """What the child sees of our environment: no key and no address, but of W&B where told.

    W&B writes below the run's folder, unless the operator names a place. A run that was stopped
    goes on there as the same one; offline, where that cannot be, as another of its group.
    """
    told = {"WANDB_RUN_GROUP": folder.name}
    if ours.get("WANDB_MODE", "online") == "online":
        told |= {"WANDB_RUN_ID": folder.name, "WANDB_RESUME": "allow"}
    key = {"WANDB_API_KEY": wandb_key} if wandb_key else {}
    return {"WANDB_DIR": str(folder)} | surroundings.of_child(ours) | told | key


def died(code: int, log: Path) -> Died:
    """The end of a run that did not tell it, in words: the last ones of its log among them."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    last = last_line(log)
    return Died(
        exit_code=code,
        detail=f"the training process {how}{f', saying: {last}' if last else ''}; its log: {log}",
    )
