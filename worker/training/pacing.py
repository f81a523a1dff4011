"""When a run validates, saves and gives up (pure)."""

from collections.abc import Iterable, Mapping
from typing import Any

from models.training import TrainingSpec


def eval_every(spec: TrainingSpec) -> int:
    """Steps between validations; a tenth of the run unless the spec says."""
    return min(spec.eval_every or max(1, spec.steps // 10), spec.steps)


def point_every(spec: TrainingSpec) -> int:
    """Steps between points of the training loss: about a hundred in all."""
    return max(1, spec.steps // 100)


def is_due(step: int, spec: TrainingSpec) -> bool:
    """Whether the run validates and saves after `step`: at the end it always does."""
    return step % eval_every(spec) == 0 or step >= spec.steps


def micro_batch(spec: TrainingSpec, tokens_at_once: int) -> int:
    """Rows through the model at once: the largest divisor of the batch that the memory takes."""
    fit = max(1, tokens_at_once // spec.seq_len)
    return max(
        rows for rows in range(1, spec.batch_size + 1) if rows <= fit and _divides(rows, spec)
    )


def _divides(rows: int, spec: TrainingSpec) -> bool:
    return spec.batch_size % rows == 0


def valid_losses(history: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Validation loss by step, of a trainer's log; what is no number counts as endless."""
    told = ((line["step"], line.get("eval_loss")) for line in history if "eval_loss" in line)
    return {step: _comparable(loss) for step, loss in told}


def _comparable(loss: float | None) -> float:
    return float("inf") if loss is None or loss != loss else loss  # noqa: PLR0124 # not a number


def best_step(losses: Mapping[int, float]) -> int | None:
    """The step with the lowest validation loss after training began; the first of equals."""
    trained = {step: loss for step, loss in losses.items() if step > 0}
    return min(trained, key=lambda step: (trained[step], step)) if trained else None


def has_lost_patience(losses: Mapping[int, float], patience: int) -> bool:
    """Whether the last `patience` validations brought nothing better than one before them."""
    best = best_step(losses)
    if not patience or best is None:
        return False
    return sum(step > best for step in losses) >= patience
