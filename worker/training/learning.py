"""The training itself: TRL's trainer with a LoRA adapter, our validation and our checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from models.training import TrainingSpec
from worker.training import pacing
from worker.training.dying import Stop
from worker.training.events import Checkpointed, Evaluated, Event, Point
from worker.training.rows import Example
from worker.training.run_folder import RunFolder, prune, seal

_TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16384}
"""Through the model in one piece; what they leave behind for the way back must fit in memory."""


class Trainer(SFTTrainer):  # type: ignore[misc] # untyped
    """TRL's trainer, whose validation counts each of the assistant's tokens once."""

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Mean over tokens, where the parent's is a mean over batches of means."""
        loss, hits, tokens = 0.0, 0, 0
        self.model.eval()
        with torch.no_grad():
            for batch in self.get_eval_dataloader(eval_dataset):
                inputs = self._prepare_inputs(batch)
                with self.compute_loss_context_manager():
                    out = self.model(**inputs, use_cache=False, fused_lm_head=True)
                loss -= float(out.log_probs.double().sum())
                hits += int(out.is_top1.sum())
                tokens += int(out.label_mask.sum())
        figures = {"eval_loss": loss / tokens, "eval_mean_token_accuracy": hits / tokens}
        self.log(figures)
        told = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        self.control: Any = told
        return figures


class Teacher(TrainerCallback):  # type: ignore[misc] # untyped
    """Decides after each step what is due, and tells of what was done."""

    def __init__(
        self, run: RunFolder, spec: TrainingSpec, stop: Stop, tell: Callable[[Event], None]
    ) -> None:
        self._run, self._spec, self._stop, self._tell = run, spec, stop, tell
        self._since = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A validation and a checkpoint if due; a checkpoint and the end if told to stop."""
        due = pacing.is_due(state.global_step, self._spec)
        control.should_evaluate = due and self._spec.dataset.validation_rows > 0
        control.should_save = due or self._stop.asked
        if self._stop.asked:
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        """Tells the training loss."""
        if "loss" in logs:
            tokens = int(state.num_input_tokens_seen)
            rate = logs.get("learning_rate")
            self._tell(
                Point(
                    step=state.global_step,
                    epoch=state.epoch,
                    loss=_number(logs["loss"]),
                    learning_rate=_number(rate),
                    tokens=tokens,
                )
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any], **_: Any
    ) -> None:
        """Tells the validation loss, and ends a run that no longer learns."""
        self._tell(
            Evaluated(
                step=state.global_step,
                valid_loss=_number(metrics["eval_loss"]),
                valid_accuracy=_number(metrics["eval_mean_token_accuracy"]),
            )
        )
        if pacing.has_lost_patience(pacing.valid_losses(state.log_history), self._spec.patience):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seals the checkpoint, so that it is resumed from, and drops what is older."""
        name = f"checkpoint-{state.global_step}"
        seal(self._run.checkpoints / name)
        self._remember_seconds()
        losses = pacing.valid_losses(state.log_history)
        prune(self._run.checkpoints, pacing.best_step(losses))
        self._tell(Checkpointed(step=state.global_step, name=name))

    def _remember_seconds(self) -> None:
        now = time.monotonic()
        spent = self._run.progress().get("seconds", 0.0) + now - self._since
        self._since = now
        self._run.remember(seconds=spent)


def _number(value: Any) -> float | None:
    """A loss as a plain number; None for what is none (pydantic would write null as well)."""
    number = float("nan") if value is None else float(value)
    return number if number - number == 0 else None


def build_trainer(
    model: Any,
    tokenizer: Any,
    spec: TrainingSpec,
    run: RunFolder,
    parts: tuple[Iterable[Example], Iterable[Example]],
    teacher: Teacher,
) -> Trainer:
    """The trainer over the two parts of a dataset, training and validation."""
    train, valid = (_dataset(part) for part in parts)
    return Trainer(
        model=model,
        args=_arguments(spec, run.checkpoints, on_gpu=model.device.type == "cuda"),
        train_dataset=train,
        eval_dataset=valid,
        processing_class=tokenizer,
        callbacks=[teacher],
        peft_config=_adapter(spec),
    )


def _dataset(part: Iterable[Example]) -> Dataset | None:
    rows = [{"input_ids": row.input_ids, "labels": row.labels} for row in part]
    return Dataset.from_list(rows) if rows else None


def _adapter(spec: TrainingSpec) -> LoraConfig:
    return LoraConfig(
        r=spec.lora_rank,
        lora_alpha=spec.lora_alpha,
        lora_dropout=0.0,  # as llama.cpp and sweeps of steps want it: the same loss every time
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(spec: TrainingSpec, checkpoints: Path, *, on_gpu: bool) -> SFTConfig:
    at_once = pacing.micro_batch(spec, _TOKENS_AT_ONCE["cuda" if on_gpu else "cpu"])
    return SFTConfig(
        output_dir=str(checkpoints),
        run_name=spec.name,
        max_steps=spec.steps,
        per_device_train_batch_size=at_once,
        per_device_eval_batch_size=at_once,
        gradient_accumulation_steps=spec.batch_size // at_once,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        warmup_steps=round(spec.steps * spec.warmup_share),
        lr_scheduler_type="cosine",
        optim="adamw_torch",
        seed=spec.seed,
        data_seed=spec.seed,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        gradient_checkpointing=on_gpu,  # on a CPU memory is not what is short
        logging_steps=pacing.point_every(spec),
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        eval_strategy="no",  # the teacher decides
        save_strategy="no",
        max_length=None,  # rows are cut already
        dataloader_pin_memory=on_gpu,
        disable_tqdm=True,
        report_to=["wandb"] if spec.wandb_project else [],
    )
