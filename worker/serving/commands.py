"""Command lines of the engines (pure)."""

import sys
from collections.abc import Sequence

Adapter = tuple[str, str]
"""The model's name, and where its adapter is."""


def serving_command(
    base: str,
    adapters: Sequence[Adapter] = (),
    *,
    port: int = 0,
    threads: int = 1,
    parallel: int = 4,
    home: str = "",
    python: str = "",
) -> list[str]:
    """Serves on a CPU by llama.cpp: `base` as a run was given it, adapters as `.gguf` files.

    Port 0: a free one, told in the line that the process prints once it answers.
    """
    options = [f"--port={port}", f"--threads={threads}", f"--parallel={parallel}"]
    if home:
        options.append(f"--home={home}")
    named = [word for name, path in adapters for word in (f"--adapter={path}", f"--name={name}")]
    return [python or sys.executable, "-m", "worker.serving", f"--base={base}", *options, *named]


def vllm_command(
    base: str,
    adapters: Sequence[Adapter] = (),
    *,
    port: int,
    base_name: str = "",
    max_rank: int = 16,
) -> list[str]:
    """Serves on a GPU by vLLM: `base` a folder or hub name, adapters as folders of `peft`.

    `max_rank` is the largest of the adapters'; vLLM refuses ranks over the one it was told.
    """
    command = ["vllm", "serve", base, "--host", "127.0.0.1", "--port", str(port)]
    if base_name:
        command += ["--served-model-name", base_name]
    if not adapters:
        return command
    modules = [f"{name}={path}" for name, path in adapters]
    return [
        *command,
        "--enable-lora",
        "--max-loras",
        str(len(adapters)),
        "--max-lora-rank",
        str(rank_for(max_rank)),
        "--lora-modules",
        *modules,
    ]


def rank_for(rank: int) -> int:
    """The smallest rank that vLLM knows and that holds `rank`."""
    known = (8, 16, 32, 64, 128, 256, 320, 512)
    return next((one for one in known if one >= rank), known[-1])
