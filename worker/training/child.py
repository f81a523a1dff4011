"""One run in the child process: its steps in order. Importing this takes torch's seconds."""

import importlib.metadata
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

from models.training import TrainingSpec
from models.whole_files import write_whole
from worker.training import pacing, wandb_log
from worker.training.bases import Base, find_base
from worker.training.dying import Stop, hold_device
from worker.training.events import Done, Event, Result, Started, Stopped, Waiting
from worker.training.exporting import export_adapter
from worker.training.learning import Teacher, Trainer, build_trainer
from worker.training.loading import device, load_model, unpack
from worker.training.problems import TrainingProblem
from worker.training.rows import Example, examples
from worker.training.run_folder import (
    RunFolder,
    drop_half_written,
    step_of,
    whole_checkpoints,
)
from worker.training.tokenizing import load_tokenizer

_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "gguf")
Tell = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Training:
    """One run with its model and rows in memory."""

    run: RunFolder
    spec: TrainingSpec
    base: Base
    trainer: Trainer
    rows: list[Example]
    stop: Stop
    tell: Tell
    begun: float = field(default_factory=time.monotonic)


def train(run: RunFolder, home: Path, stop: Stop, tell: Tell, *, threads: int = 0) -> None:
    """Trains, from the newest whole checkpoint if there is one, and tells the last word."""
    spec = run.spec()
    if not hold_device(home / f"train-{device()}.lock", stop, lambda: tell(Waiting())):
        tell(Stopped(step=step_reached(run)))
        return
    if threads:
        torch.set_num_threads(threads)
    transformers.set_seed(spec.seed)
    try:
        last = _last_word(prepare(run, spec, home, stop, tell))
    except BaseException:
        wandb_log.end(exit_code=1)
        raise
    wandb_log.end()
    tell(last)


def _last_word(training: Training) -> Done | Stopped:
    """Trains from where the run stands, as far as it may."""
    checkpoint = newest(training.run)
    is_over = _is_over(checkpoint, training.spec)
    if not is_over:
        wandb_log.begin(training.spec)
    _begin(training)
    if not is_over:
        training.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return _end(training)


def prepare(run: RunFolder, spec: TrainingSpec, home: Path, stop: Stop, tell: Tell) -> Training:
    """Loads base and rows; raises `TrainingProblem` for what cannot be trained."""
    base = find_base(spec.base, home)
    if base.is_packed:
        unpack(base)
    tokenizer = load_tokenizer(base.place)
    rows, valid = read_parts(spec, tokenizer)
    model = load_model(base)
    teacher = Teacher(run, spec, stop, tell)
    trainer = build_trainer(model, tokenizer, spec, run, (rows, valid), teacher)
    return Training(run, spec, base, trainer, rows, stop, tell)


def read_parts(spec: TrainingSpec, tokenizer: Any) -> tuple[list[Example], list[Example]]:
    """Training and validation rows; the latter may be none."""
    folder = Path(spec.dataset.folder)
    rows = examples(folder / "train.jsonl", tokenizer, spec.seq_len)
    if not spec.dataset.validation_rows:
        return rows, []
    return rows, examples(folder / "validation.jsonl", tokenizer, spec.seq_len)


def newest(run: RunFolder) -> Path | None:
    """The checkpoint to go on from; what a kill cut short is thrown away."""
    drop_half_written(run.checkpoints)
    whole = whole_checkpoints(run.checkpoints)
    return whole[-1] if whole else None


def step_reached(run: RunFolder) -> int:
    """Of the newest whole checkpoint; 0 without one."""
    whole = whole_checkpoints(run.checkpoints)
    return step_of(whole[-1]) if whole else 0


def _is_over(checkpoint: Path | None, spec: TrainingSpec) -> bool:
    """Whether the run was killed between its last step and its result."""
    if checkpoint is None:
        return False
    losses = pacing.valid_losses(_state(checkpoint)["log_history"])
    return step_of(checkpoint) >= spec.steps or pacing.has_lost_patience(losses, spec.patience)


def _state(checkpoint: Path) -> dict[str, Any]:
    """What the trainer wrote of itself: `log_history`, `num_input_tokens_seen` and more."""
    state: dict[str, Any] = json.loads((checkpoint / "trainer_state.json").read_bytes())
    return state


def _begin(training: Training) -> None:
    """Says what will be done, and what the base alone is worth."""
    training.tell(
        Started(
            device=device(),
            steps=training.spec.steps,
            rows=len(training.rows),
            tokens=sum(len(row.input_ids) for row in training.rows),
            resumed_from=step_reached(training.run),
        )
    )
    if training.spec.dataset.validation_rows and "before" not in training.run.progress():
        figures = training.trainer.evaluate()  # the adapter is still without effect
        training.run.remember(before=figures["eval_loss"])


def _end(training: Training) -> Done | Stopped:
    """The result, or where the run stopped if it was told to."""
    last = newest(training.run)
    assert last is not None, "a run saves at its last step"
    if training.stop.asked and not _is_over(last, training.spec):
        return Stopped(step=step_of(last))
    return Done(result=_settle(training, last))


def _settle(training: Training, last: Path) -> Result:
    """Keeps the best adapter, as both formats, and writes the result last of all."""
    run, state = training.run, _state(last)
    losses = pacing.valid_losses(state["log_history"])
    best = pacing.best_step(losses) or step_of(last)
    _keep_adapter(run, run.checkpoints / f"checkpoint-{best}")
    config = training.trainer.model.config.to_dict()
    gguf = export_adapter(run, config)
    points = [line["loss"] for line in state["log_history"] if "loss" in line]
    result = Result(
        valid_loss_before=run.progress().get("before"),
        valid_loss_after=losses.get(best),
        train_loss=points[-1] if points else None,
        steps=step_of(last),
        seconds=run.progress().get("seconds", 0.0),
        tokens=state["num_input_tokens_seen"],
        best_step=best,
        adapter=str(run.adapter),
        gguf=str(gguf or ""),
        base=training.base.place,
        base_gguf=str(training.base.gguf or ""),
        versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
    )
    write_whole(run.result_file, result.model_dump_json(indent=1))
    return result


def _keep_adapter(run: RunFolder, checkpoint: Path) -> None:
    half = run.adapter.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(run.adapter, ignore_errors=True)
    half.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(checkpoint / name, half / name)
    half.rename(run.adapter)


def said_plainly(error: BaseException) -> TrainingProblem:
    """A foreign error as a problem of ours: the log has the rest."""
    if isinstance(error, TrainingProblem):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or _is_full(error):
        return TrainingProblem(
            "out_of_memory",
            "the model and its rows do not fit in memory: a smaller base, shorter rows"
            " or a smaller batch may",
        )
    return TrainingProblem("broken", f"{type(error).__name__} in training: see the run's log.txt")


def _is_full(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)
