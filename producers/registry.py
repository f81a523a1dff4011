"""Tuned models as files: where they lie, how they are served, and a copy with its lineage."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from models.errors import BadInputError, NotFoundError
from models.settings import Settings
from models.tables import TunedModel

LINEAGE = "lineage.json"
NOT_COPIED = frozenset({"checkpoints", "log.txt", "progress.json", "spec.json"})
"""What a run's folder holds besides its model."""


def run_folder(model: TunedModel, home: Path) -> Path:
    """The folder of the run that made it.

    Raises `BadInputError` if the provider has it, `NotFoundError` if another machine does.
    """
    if model.trainer != "local":
        raise BadInputError(
            f"{model.name} lies with the provider, as {model.place}: name that as a model "
            "(--model) to use it"
        )
    folder = (home / model.place).parent
    if not folder.is_dir():
        raise NotFoundError(
            f"{folder} is not on this machine: {model.name} lies where job {model.job_id} ran"
        )
    return folder


def vllm_command(model: TunedModel, home: Path, *, port: int, context: int) -> list[str]:
    """What serves base and tuned model on a GPU. Raises where the model's files are not."""
    result = _result_of(run_folder(model, home))
    rank = int(orjson.loads(model.parameters).get("lora_rank", 16))
    return [
        shutil.which("vllm") or "vllm",
        *("serve", str(result.get("base") or model.base)),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(context)),
        *("--enable-lora", "--max-lora-rank", str(_vllm_rank(rank))),
        *("--lora-modules", f"{model.name}={home / model.place}"),
    ]


def has_vllm() -> bool:
    """Whether there are vLLM and a GPU for it."""
    return shutil.which("vllm") is not None and Path("/dev/nvidia0").exists()


def llama_command(
    model: TunedModel, settings: Settings, *, port: int, parallel: int, context: int, threads: int
) -> list[str]:
    """What serves base and tuned model on a CPU, by llama.cpp's server.

    Raises `NotFoundError` where the model's files are not.
    """
    folder = run_folder(model, settings.home)
    result = _result_of(folder)
    if not result.get("gguf"):
        raise BadInputError(
            f"{model.name} has no adapter for llama.cpp (its base is of a kind that is not "
            "written so): serve it on a GPU by --engine vllm"
        )
    base = result.get("base_gguf") or result.get("base") or model.base
    adapter = folder / Path(result["gguf"]).name  # the home may have moved since
    python = settings.train_python or sys.executable
    command = [python, "-m", "worker.serving", "--base", str(base), "--base-name", _short(model)]
    command += ["--adapter", str(adapter), "--name", model.name, "--port", str(port)]
    sizes = {"--threads": threads, "--parallel": parallel, "--context": context}
    return command + [word for name, value in sizes.items() for word in (name, str(value))]


def export(
    model: TunedModel, lineage: Mapping[str, Any], home: Path, to: Path, *, overwrite: bool
) -> list[str]:
    """Copies the model's files into `to`, whole or not at all, with its lineage; answers names."""
    if to.exists() and not overwrite:
        raise BadInputError(f"{to} is there already: name another folder, or --overwrite it")
    half = to.with_name(f".{to.name}.{os.getpid()}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        if model.trainer == "local":
            _copy(run_folder(model, home), half)
        (half / LINEAGE).write_bytes(orjson.dumps(dict(lineage), option=orjson.OPT_INDENT_2))
        if to.exists():
            shutil.rmtree(to)
        half.rename(to)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return sorted(path.name for path in to.iterdir())


def _copy(folder: Path, to: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.name in NOT_COPIED or path.name.endswith(".half"):
            continue
        if path.is_dir():
            shutil.copytree(path, to / path.name)
        else:
            shutil.copy2(path, to / path.name)


def _result_of(folder: Path) -> dict[str, Any]:
    try:
        told = orjson.loads((folder / "result.json").read_bytes())
    except (OSError, ValueError) as error:
        raise NotFoundError(f"{folder} has no result of a training: train it anew") from error
    return told if isinstance(told, dict) else {}


def _vllm_rank(rank: int) -> int:
    """The smallest rank that vLLM knows and that holds this one."""
    known = (8, 16, 32, 64, 128, 256, 320, 512)
    return next((one for one in known if one >= rank), known[-1])


def _short(model: TunedModel) -> str:
    return model.base.rstrip("/").rsplit("/", 1)[-1]
