"""The run's log at Weights & Biases: opened before the first step, closed after the last one.

A training is no failure for want of its log: where W&B is away, the log is written offline.
"""

import importlib
import secrets
import sys
import threading
from typing import Any

from models.training import TrainingSpec
from worker.training.problems import TrainingProblem

REACH_S = 30.0
"""How long W&B may take to answer before its log is written offline, seconds."""
FLUSH_S = 20.0
"""How long it may take at the end for what it holds back, seconds."""


def begin(spec: TrainingSpec) -> None:
    """Opens the log, if the spec names a project; the trainer's own callback finds it open.

    Raises `TrainingProblem` without a key.
    """
    if not spec.wandb_project:
        return
    wandb: Any = importlib.import_module("wandb")
    told = {"project": spec.wandb_project, "name": spec.name}
    try:
        wandb.init(**told, settings=wandb.Settings(init_timeout=REACH_S))
    except wandb.errors.UsageError as error:
        raise TrainingProblem(
            "missing_extra",
            "Weights & Biases has no key: set WANDB_API_KEY for the workers, or WANDB_MODE=offline",
        ) from error
    except wandb.errors.Error as error:
        sys.stderr.write(f"W&B is away ({type(error).__name__}): its log is written offline\n")
        # an id of its own: of two files with one id, only the first could be synced
        wandb.init(**told, id=secrets.token_hex(4), mode="offline")


def end(exit_code: int = 0) -> None:
    """Has W&B write what it holds back: our processes end without asking libraries."""
    wandb: Any = sys.modules.get("wandb")
    if wandb is None or wandb.run is None:
        return
    closing = threading.Thread(target=wandb.finish, kwargs={"exit_code": exit_code}, daemon=True)
    closing.start()
    closing.join(FLUSH_S)
