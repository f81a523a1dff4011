"""`python -m worker.training RUN_FOLDER`: trains as its `spec.json` says, and tells of it."""

import argparse
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from models.settings import Settings
from models.training import libraries
from worker.training.dying import Stop, die_with, give_way
from worker.training.events import Done, Failed, Result
from worker.training.problems import TrainingProblem, check_libraries
from worker.training.run_folder import RunFolder
from worker.training.telling import Teller, take_over_output


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 whenever a last word was told, be it of success or not."""
    options = _options(arguments)
    run = RunFolder(options.folder.resolve())
    teller = take_over_output(run.log)
    stop = Stop()
    stop.listen()
    give_way()
    if options.parent:
        die_with(options.parent)
    if run.result_file.exists():
        result = Result.model_validate_json(run.result_file.read_bytes())
        teller.tell(Done(result=result))
        return 0
    return _train(run, options, stop, teller)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="the run's folder, with its spec.json")
    parser.add_argument("--home", type=Path, help="for bases and locks; else MAESTRALE_HOME")
    parser.add_argument("--parent", type=int, default=0, help="the process to die with")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: all")
    return parser.parse_args(arguments)


def _see_one_gpu() -> None:
    """A run has one device; TRL refuses to begin where it sees several and no launcher."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",", 1)[0]


def _train(run: RunFolder, options: argparse.Namespace, stop: Stop, teller: Teller) -> int:
    try:
        _check(run)
        _see_one_gpu()
        from worker.training import child  # noqa: PLC0415 # torch takes seconds, and may be missing
    except TrainingProblem as problem:
        teller.tell(Failed(code=problem.code, detail=str(problem)))
        return 0
    try:
        child.train(
            run, options.home or Settings().home, stop, teller.tell, threads=options.threads
        )
    except Exception as error:  # the last word is told whatever happened
        traceback.print_exc()
        if isinstance(error, OSError):
            return 1  # a full disk, for instance: another start may succeed
        said = child.said_plainly(error)
        teller.tell(Failed(code=said.code, detail=str(said)))
    return 0


def _check(run: RunFolder) -> None:
    """Raises `TrainingProblem` for libraries that are not there."""
    check_libraries(libraries.TRAINING)
    if run.spec().wandb_project and not importlib.util.find_spec("wandb"):
        raise TrainingProblem(
            "missing_extra", "logging to Weights & Biases needs its client: pip install wandb"
        )


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # native threads of libraries must not keep a finished run
