"""Tuned models as files: where they lie, how they are served, and a copy with its lineage."""

import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from models import served
from models.crashing import crash_point
from models.errors import BadInputError, NotFoundError
from models.prices import load_prices
from models.settings import Settings
from models.store import registry
from models.store.engine import Store
from models.tables import TunedModel
from models.whole_files import draft_of

LINEAGE = "lineage.json"
FILES = "files"
"""Key of the lineage: the files that the export wrote, which another may overwrite."""
NOT_COPIED = frozenset({"checkpoints", "log.txt", "progress.json", "spec.json", "wandb"})
"""What a run's folder holds besides its model."""
VLLM_PARALLEL = 64
"""Requests that a worker process sends vLLM at once; it makes batches of them by itself."""


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
        *("serve", str(result.get("base") or model.base), "--served-model-name", _short(model)),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(context)),
        *("--enable-lora", "--max-lora-rank", str(_vllm_rank(rank))),
        *("--lora-modules", f"{model.name}={home / model.place}"),
    ]


def served_names(model: TunedModel, settings: Settings) -> tuple[str, ...]:
    """What its server answers for: the model, and its base by its short name, unless that is the
    name of a model of the API."""
    base = _short(model)
    is_free = base != model.name and not _is_of_the_api(base, settings)
    return (model.name, base) if is_free else (model.name,)


def check_servable(model: TunedModel, settings: Settings) -> None:
    """Raises `BadInputError` for a model that would stand before one of the API."""
    if _is_of_the_api(model.name, settings):
        raise BadInputError(
            f"{model.name} is the name of a model of the API, whose calls would come here: "
            "train it under another --name"
        )


def base_of(model: TunedModel, home: Path) -> str:
    """Where its base stands, or the hub's name of it."""
    return _base_in(_result_of(run_folder(model, home)), model)


def _base_in(result: Mapping[str, Any], model: TunedModel) -> str:
    return str(result.get("base_gguf") or result.get("base") or model.base)


def _is_of_the_api(name: str, settings: Settings) -> bool:
    """Whether the operator's table, or the shipped one, has a price for it.

    A price of 0 is one for a model of the operator's own, whose jobs have budgets.
    """
    found = (load_prices(path).price(name) for path in (settings.prices_file, None))
    return any(price.input or price.output for price in found if price is not None)


def called(name: str, store: Store) -> str:
    """What the API calls a model: the provider's own id for one tuned there and named as in the
    registry, any other as it was given."""
    with store.read() as connection:
        known = registry.by_name(connection, name)
    return known.place if known is not None and known.trainer != "local" else name


def check_no_batches(names: Iterable[str], store: Store, home: Path) -> None:
    """Raises `BadInputError` for a model of our own: batches are the provider's."""
    here = served.by_model(served.serving(home))
    with store.read() as connection:
        for name in names:
            known = registry.by_name(connection, name)
            if name in here or (known is not None and known.trainer == "local"):
                raise BadInputError(
                    f"{name} is served on your own machine, which has no batches: "
                    "take --via realtime"
                )


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
    adapter = folder / Path(result["gguf"]).name  # the home may have moved since
    command = [settings.train_python or sys.executable, "-P", "-m", "worker.serving"]
    command += ["--base", _base_in(result, model), "--base-name", _short(model)]
    command += ["--adapter", str(adapter), "--name", model.name, "--port", str(port)]
    sizes = {"--threads": threads, "--parallel": parallel, "--context": context}
    return command + [word for name, value in sizes.items() for word in (name, str(value))]


def export(
    model: TunedModel, lineage: Mapping[str, Any], home: Path, to: Path, *, overwrite: bool
) -> list[str]:
    """Copies the model's files into `to`, whole or not at all, with its lineage; answers names.

    Only an empty folder or an export of ours is overwritten: `BadInputError` for any other.
    """
    target = _target(to, home, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = draft_of(target, "half")
    work.mkdir(mode=0o700)
    try:
        half = work / "new"
        half.mkdir()
        if model.trainer == "local":
            _copy(run_folder(model, home), half)
        told = {**lineage, FILES: sorted(_files(half) | {LINEAGE})}
        (half / LINEAGE).write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        _exchange(half, target, work / "old")
    finally:
        if target.exists() or not (work / "old").exists():  # else it holds what was there
            shutil.rmtree(work, ignore_errors=True)
    return sorted(path.name for path in target.iterdir())


def _target(to: Path, home: Path, *, overwrite: bool) -> Path:
    """The whole path, links followed. Raises `BadInputError` where no copy may be put."""
    try:
        target = to.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # nobody's home, a loop of links, a NUL
        raise BadInputError(f"{str(to)!r} is no folder to write to: {error}") from error
    kept = [place.resolve() for place in (Path.cwd(), Path.home(), home)]
    if any(place.is_relative_to(target) for place in kept):
        raise BadInputError(f"{target} is or holds the folder you work in: name a new one")
    if any(above.exists() and not above.is_dir() for above in target.parents):
        raise BadInputError(f"{target} lies below a file: name another folder")
    if target.exists():
        _check_overwrite(target, overwrite=overwrite)
    return target


def _check_overwrite(target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        raise BadInputError(f"{target} is there already: name another folder, or --overwrite it")
    if not target.is_dir():
        raise BadInputError(f"{target} is a file: name another folder")
    if strange := sorted(_files(target) - _exported(target)):
        raise BadInputError(
            f"{target} holds {strange[0]}, which no export of Maestrale put there: name another "
            "folder, or empty this one yourself"
        )


def _exported(folder: Path) -> set[str]:
    """What an earlier export wrote there, by its own lineage; nothing if it has none."""
    try:
        told = orjson.loads((folder / LINEAGE).read_bytes())
        return set(map(str, told[FILES]))
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def _files(folder: Path) -> set[str]:
    """All that is no folder, at any depth."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in found}


def _exchange(new: Path, target: Path, old: Path) -> None:
    """Puts `new` into its place; what was there is `old` then, or back if that fails."""
    if target.exists():
        target.rename(old)
        crash_point("copy.swapping")
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def _copy(folder: Path, to: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.name in NOT_COPIED or path.name.endswith((".half", ".part")):
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
