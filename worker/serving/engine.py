"""llama.cpp's own server in this process, by the package `xllamacpp`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import SetupError


@dataclass(frozen=True, slots=True)
class Serving:
    """What the engine serves, and with how much."""

    base: Path
    adapters: Sequence[Path]
    threads: int
    parallel: int
    context: int
    """Tokens of one request, answer included."""


class Engine:
    """The server; it answers from the moment this is built until it is thrown away."""

    def __init__(self, serving: Serving) -> None:
        self._server = _library().Server(_parameters(serving))

    @property
    def address(self) -> str:
        """Where it listens on loopback, for the front alone."""
        return str(self._server.listening_address)


def _library() -> Any:
    try:
        import xllamacpp  # noqa: PLC0415 # of the extra `train`: only who serves has it
    except ModuleNotFoundError:
        raise SetupError("serving needs llama.cpp: pip install 'maestrale[train]'") from None
    return xllamacpp


def _parameters(serving: Serving) -> Any:
    library = _library()
    asked = library.CommonParams()
    asked.model.path = str(serving.base)
    asked.hostnames = ["127.0.0.1"]
    asked.port = 0
    asked.n_parallel = serving.parallel
    asked.n_ctx = serving.context * serving.parallel
    asked.use_jinja = True
    asked.cpuparams.n_threads = serving.threads
    asked.cpuparams_batch.n_threads = serving.threads
    asked.lora_adapters = [_adapter(library, path) for path in serving.adapters]
    asked.lora_init_without_apply = True  # each request says which
    return asked


def _adapter(library: Any, path: Path) -> Any:
    adapter = library.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(path), 1.0
    return adapter
