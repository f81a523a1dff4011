"""How much a training run does, what it costs and how long it takes. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from models.bounds import MOST_STEPS
from models.errors import BadInputError
from models.training.counts import Counts
from models.training.spec import DatasetRef, TrainingSpec

TOKENS_SEEN = 3.0
"""How often a run sees each token unless told: what the field found to be right."""
HOSTED_TOKENS_PER_STEP = 131_072
"""Of the provider's trainer, as published for its 7B models; assumed for the others."""

Trainer = Literal["local", "mistral"]


@dataclass(frozen=True, slots=True)
class Length:
    """How long a run is, in one of three ways; none of them: each token is seen three times."""

    steps: int | None = None
    epochs: float | None = None
    tokens_seen: float | None = None

    @property
    def passes(self) -> float:
        """How often each token is seen, unless steps are told."""
        return self.epochs or self.tokens_seen or TOKENS_SEEN

    def checked(self) -> "Length":
        """Itself. Raises `BadInputError` if it is told in two ways, or is nothing."""
        if len(self.told) > 1:
            raise BadInputError("take one of --steps, --epochs and --tokens-seen: they exclude")
        for option, value in self.told.items():
            if not 0 < value < math.inf:  # so is no NaN
                raise BadInputError(f"{option} {value:g}: it takes a number above 0, as {option} 3")
        return self

    @property
    def told(self) -> dict[str, float]:
        """What was told, by its option."""
        given = {"--steps": self.steps, "--epochs": self.epochs, "--tokens-seen": self.tokens_seen}
        return {option: value for option, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do, told before it starts. None: unknown, never zero."""

    steps: int
    tokens_per_step: float | None
    tokens: int | None
    """Trained on in all."""
    passes: float | None
    """How often each token is seen."""
    cost_usd: float | None
    seconds: float | None
    like: str = ""
    """The job whose pace the time was reckoned with."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One run with every choice made, and what it will take."""

    spec: TrainingSpec
    plan: Plan
    counts: Counts | None = None
    """Of the base's own tokenizer; None: the tokens are by the dataset's count."""
    uncounted: str = ""
    """Why a local run's tokens are not by its base's tokenizer."""
    too_large: str = ""
    """Why the provider's trainer may refuse the file to validate on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run of the same base went here."""

    job_id: str
    seconds_per_step: float
    tokens_per_step: float | None


def tokens_per_step(
    trainer: Trainer, dataset: DatasetRef, *, batch_size: int, seq_len: int
) -> float | None:
    """Tokens that one optimizer step reads; None: the dataset's tokens are not known."""
    if trainer == "mistral":
        return float(HOSTED_TOKENS_PER_STEP)
    if not dataset.train_tokens or not dataset.train_rows:
        return None
    rows = min(batch_size, dataset.train_rows)
    return rows * min(dataset.train_tokens / dataset.train_rows, float(seq_len))


def rows_read(steps: int, rows: int, batch_size: int) -> int:
    """By so many steps of the local trainer: the last step of a pass takes what is left of it."""
    passes, more = divmod(steps, math.ceil(rows / batch_size))
    return passes * rows + min(rows, more * batch_size)


def steps_for(
    length: Length, trainer: Trainer, dataset: DatasetRef, *, batch_size: int, seq_len: int
) -> int:
    """ceil(passes * tokens of the training rows / tokens of a step), unless steps are told.

    Raises `BadInputError` for too many, and where tokens are not known that it takes.
    """
    if length.checked().steps is not None:
        return length.steps or 1
    step = tokens_per_step(trainer, dataset, batch_size=batch_size, seq_len=seq_len)
    if trainer == "local":  # tokens of all rows over tokens of a step: rows over rows
        rows = max(1, dataset.train_rows)
        return _whole(length.passes * rows / min(batch_size, rows))
    if not dataset.train_tokens or step is None:
        raise BadInputError(
            f"how many tokens {dataset.name} has is not known, and steps are reckoned from them: "
            "count them with `maestrale dataset tokens`, or tell --steps"
        )
    return _whole(length.passes * dataset.train_tokens / step)


def _whole(steps: float) -> int:
    if steps > MOST_STEPS:
        raise BadInputError(
            f"that is {steps:.3g} steps, and {MOST_STEPS:,} are the most: take fewer --epochs or "
            "--tokens-seen, or tell --steps"
        )
    return max(1, math.ceil(steps))


def plan(
    spec: TrainingSpec, *, usd_per_million: float | None = None, pace: Pace | None = None
) -> Plan:
    """What `spec` will take; a local run costs no money, a hosted one by its price if known."""
    step = tokens_per_step(
        spec.trainer, spec.dataset, batch_size=spec.batch_size, seq_len=spec.seq_len
    )
    tokens = _tokens(spec, step)
    return Plan(
        steps=spec.steps,
        tokens_per_step=step,
        tokens=tokens,
        passes=_passes(spec, tokens),
        cost_usd=_cost(spec.trainer, tokens, usd_per_million),
        seconds=_seconds(spec, step, pace),
        like=pace.job_id if pace else "",
    )


def _tokens(spec: TrainingSpec, step: float | None) -> int | None:
    if step is None or spec.trainer == "mistral":
        return None if step is None else round(spec.steps * step)
    rows = spec.dataset.train_rows
    read = rows_read(spec.steps, rows, spec.batch_size)
    return round(step * read / min(spec.batch_size, rows))


def _passes(spec: TrainingSpec, tokens: int | None) -> float | None:
    rows = spec.dataset.train_rows
    if spec.trainer == "local" and rows:
        return rows_read(spec.steps, rows, spec.batch_size) / rows
    whole = spec.dataset.train_tokens
    return tokens / whole if tokens is not None and whole else None


def _cost(trainer: Trainer, tokens: int | None, usd_per_million: float | None) -> float | None:
    if trainer == "local":
        return 0.0
    if tokens is None or usd_per_million is None:
        return None
    return tokens * usd_per_million / 1_000_000


def _seconds(spec: TrainingSpec, step: float | None, pace: Pace | None) -> float | None:
    if pace is None:
        return None
    is_scaled = step is not None and pace.tokens_per_step
    factor = step / pace.tokens_per_step if is_scaled and step and pace.tokens_per_step else 1.0
    return spec.steps * pace.seconds_per_step * factor


def seconds_per_step(seen: Sequence[tuple[int, float]]) -> float | None:
    """The usual time of a step, from (step, moment in seconds) in order; None: too little seen.

    The median, because a run that was stopped for the night is no slower for it.
    """
    taken = [
        (later - sooner) / (step - before)
        for (before, sooner), (step, later) in pairwise(seen)
        if step > before > 0 and later > sooner
    ]
    return median(taken) if taken else None


def perplexity(loss: float | None) -> float | None:
    """e to the loss (nats per token); None if it is not known or beyond reckoning."""
    return math.exp(loss) if loss is not None and loss < 700 else None
