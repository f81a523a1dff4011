"""`python -m worker.serving --base smollm2 --adapter FILE.gguf --name NAME`: serves until told."""

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from models.errors import BadInputError, MaestraleError
from models.settings import read_settings
from worker.serving.engine import Engine, Serving
from worker.serving.front import Front
from worker.training.bases import find_base
from worker.training.problems import TrainingProblem


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or Ctrl-C; 1 or 2 if it cannot, with the reason on standard error."""
    try:
        options = _options(arguments)
        serving = _serving(options)
        models = [options.base_name or _name(options.base), *options.name]
        engine = Engine(serving)
    except MaestraleError as error:
        print(error, file=sys.stderr)  # noqa: T201 # a program of its own
        return error.exit_code
    asyncio.run(_serve(engine, models, options.port))  # noqa: TID251 # a program of its own
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.serving", description=__doc__)
    parser.add_argument("--base", required=True, help="smollm2, a folder with a .gguf, or a .gguf")
    parser.add_argument("--base-name", default="", help="the base's name as a model")
    parser.add_argument("--adapter", action="append", default=[], type=Path, help="a LoRA .gguf")
    parser.add_argument("--name", action="append", default=[], help="its name, one per adapter")
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0: a free one")
    parser.add_argument("--threads", type=int, default=1, help="more only on an idle machine")
    parser.add_argument("--parallel", type=int, default=4, help="requests at once")
    parser.add_argument("--home", type=Path, help="for repacked bases; else MAESTRALE_HOME")
    parser.add_argument("--context", type=int, default=2048, help="tokens of one request")
    return parser.parse_args(arguments)


def _serving(options: argparse.Namespace) -> Serving:
    """Raises `BadInputError` for what is not there or does not fit together."""
    if len(options.adapter) != len(options.name):
        raise BadInputError("give every --adapter its --name")
    for path in options.adapter:
        if not path.is_file():
            raise BadInputError(f"there is no adapter at {path}")
    home = options.home or read_settings().home
    try:
        gguf = find_base(options.base, home).gguf
    except TrainingProblem as problem:
        raise BadInputError(str(problem)) from None
    if gguf is None:
        raise BadInputError(
            f"{options.base} is not there as a .gguf file, which llama.cpp needs:"
            " put one into the folder, or serve it by vLLM on a GPU"
        )
    base = _fast(gguf, home)
    return Serving(base, options.adapter, options.threads, options.parallel, options.context)


def _fast(base: Path, home: Path) -> Path:
    """With eight bits where that can be made here; else as it is, which answers as well."""
    if not importlib.util.find_spec("gguf"):
        return base
    from worker.serving.repacking import repacked  # noqa: PLC0415 # of the extra `train`

    return repacked(base, home)


def _name(base: str) -> str:
    path = Path(base)
    return path.stem if path.suffix == ".gguf" else path.name


async def _serve(engine: Engine, models: Sequence[str], port: int) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    runner = web.AppRunner(Front(engine.address, models).application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    _tell({"event": "serving", "url": url, "models": list(models)})
    await told.wait()
    await runner.cleanup()


def _tell(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the engine's threads need not be waited for
