"""Where things stand in a run's folder, and how they get there whole."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BadInputError
from models.training import TrainingSpec
from models.whole_files import write_whole

WHOLE = "whole"
"""Written into a checkpoint last of all: one without it was cut short and is thrown away."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; everything that survives a kill stands in it."""

    path: Path

    @property
    def spec_file(self) -> Path:
        """What was asked for; a run of the same folder is the same run."""
        return self.path / "spec.json"

    @property
    def log(self) -> Path:
        """What libraries print."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """One folder `checkpoint-<step>` each."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The trained adapter, as `peft` reads it."""
        return self.path / "adapter"

    @property
    def gguf(self) -> Path:
        """The trained adapter, as llama.cpp reads it."""
        return self.path / "adapter.gguf"

    @property
    def result_file(self) -> Path:
        """There once the run is done, and only then."""
        return self.path / "result.json"

    @property
    def progress_file(self) -> Path:
        """What a resumed run must know beside its checkpoint: the loss before, seconds spent."""
        return self.path / "progress.json"

    def spec(self) -> TrainingSpec:
        """What the run was asked to do."""
        return TrainingSpec.model_validate_json(self.spec_file.read_bytes())

    def hold(self, spec: TrainingSpec) -> None:
        """Makes the folder this run's; raises `BadInputError` if it is another's already."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.spec_file.exists():
            write_whole(self.spec_file, spec.model_dump_json(indent=1))
        elif self.spec() != spec:
            raise BadInputError(f"{self.path} holds another run: train into a new folder")

    def progress(self) -> dict[str, Any]:
        """What `remember` stored; nothing before the first time."""
        try:
            told = json.loads(self.progress_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def remember(self, **changes: Any) -> None:
        """Stores what a resumed run must know."""
        write_whole(self.progress_file, json.dumps(self.progress() | changes))


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name; -1 if it is no checkpoint."""
    word, _, step = checkpoint.name.rpartition("-")
    return int(step) if word == "checkpoint" and step.isdigit() else -1


def seal(checkpoint: Path) -> None:
    """Declares a checkpoint whole, once all that is in it is on the disk."""
    for file in sorted(checkpoint.iterdir()):
        with file.open("rb") as written:
            os.fsync(written.fileno())
    write_whole(checkpoint / WHOLE, "")


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that can be resumed from, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if (path / WHOLE).exists()]
    return sorted((path for path in found if step_of(path) >= 0), key=step_of)


def drop_half_written(folder: Path) -> None:
    """Throws away checkpoints that a kill cut short."""
    for path in folder.glob("checkpoint-*"):
        if not (path / WHOLE).exists():
            shutil.rmtree(path)


def prune(folder: Path, best_step: int | None, *, keep: int = 2) -> None:
    """Keeps the newest checkpoints and the best one."""
    for path in whole_checkpoints(folder)[:-keep]:
        if step_of(path) != best_step:
            (path / WHOLE).unlink()  # from here on it is a half one, should we be killed
            shutil.rmtree(path)
