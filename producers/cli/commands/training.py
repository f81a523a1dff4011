"""`maestrale train`: check, plan, submit, watch; what comes of it is in the registry."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from models.bounds import (
    MOST_BATCH,
    MOST_COUNT,
    MOST_RANK,
    MOST_SEED,
    MOST_SEQ_LEN,
    MOST_STEPS,
)
from producers.cli import wishes
from producers.cli.options import AsJson, option

_WHAT, _LONG, _LEARN, _MANY = "What is trained", "How long", "How it learns", "Many at once"


DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="A dataset's name, or its folder.")
]
MoreAxes = Annotated[list[str] | None, typer.Argument(hidden=True)]
Base = Annotated[
    str, option(_WHAT, "A folder, a hub name, or the provider's model.", metavar="MODEL")
]
Trainer = Annotated[
    Literal["local", "mistral"], option(_WHAT, "Train on this machine, or with the provider.")
]
Name = Annotated[
    str | None,
    option(
        _WHAT,
        "What the model will be called in the registry.  \\[default: DATASET-MODEL]",
        metavar="NAME",
    ),
]
Validation = Annotated[
    Path | None,
    option(_WHAT, "Validate on these rows (JSON lines) instead of the dataset's.", metavar="FILE"),
]
Steps = Annotated[
    int | None,
    option(
        _LONG,
        "Optimizer steps; one of --steps, --epochs, --tokens-seen.",
        min=1,
        max=MOST_STEPS,
        metavar="N",
    ),
]
Epochs = Annotated[
    float | None, option(_LONG, "Passes over the training rows; above 0.", metavar="X")
]
TokensSeen = Annotated[
    float | None,
    option(_LONG, "How often each token is seen; above 0.  \\[default: 3]", metavar="X"),
]
Patience = Annotated[
    int,
    option(
        _LONG,
        "Stop after so many validations without a better loss; 0: never (local).",
        min=0,
        max=MOST_COUNT,
    ),
]
LearningRate = Annotated[
    float, option(_LEARN, "Learning rate.", "--lr", min=1e-8, max=1, metavar="RATE")
]
BatchSize = Annotated[int, option(_LEARN, "Rows per step (local).", min=1, max=MOST_BATCH)]
SeqLen = Annotated[int, option(_LEARN, "Tokens per row at most (local).", min=16, max=MOST_SEQ_LEN)]
Rank = Annotated[int, option(_LEARN, "Rank of the adapter (local).", min=1, max=MOST_RANK)]
Seed = Annotated[
    int,
    option(
        _LEARN,
        "The same seed, data and machine give the same losses (local).",
        min=0,
        max=MOST_SEED,
    ),
]
EvalEvery = Annotated[
    int,
    option(
        _LEARN, "Steps between validations; 0: a tenth of the steps (local).", min=0, max=MOST_COUNT
    ),
]
Wandb = Annotated[
    str | None, option(_LEARN, "Log to this project of Weights & Biases.", metavar="PROJECT")
]
Sweep = Annotated[
    list[str] | None,
    option(
        _MANY,
        "Train once for each choice: --sweep lr=1e-5,1e-4 steps=50,150.",
        metavar="NAME=V1,V2",
    ),
]
DryRun = Annotated[bool, option("How it runs", "Check and plan; start nothing.", "--dry-run")]
Watch = Annotated[
    bool, option("How it runs", "Stay until it is trained, or come back.", "--watch/--no-watch")
]
Again = Annotated[
    bool, option("Trained before", "Train although the same was trained before.", "--again")
]


def train(
    dataset: DatasetName,
    base: Base,
    more_axes: MoreAxes = None,
    trainer: Trainer = "local",
    name: Name = None,
    validation: Validation = None,
    steps: Steps = None,
    epochs: Epochs = None,
    tokens_seen: TokensSeen = None,
    patience: Patience = 0,
    lr: LearningRate = 1e-4,
    batch_size: BatchSize = 8,
    seq_len: SeqLen = 1024,
    rank: Rank = 16,
    seed: Seed = 0,
    eval_every: EvalEvery = 0,
    wandb: Wandb = None,
    sweep: Sweep = None,
    dry_run: DryRun = False,
    watch: Watch = True,
    priority: wishes.Priority = 5,
    webhook: wishes.Webhook = None,
    budget: wishes.Budget = None,
    again: Again = False,
    idempotency_key: wishes.IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Train a model on a dataset, and put it into the registry.

    Says first what it will take: steps, tokens, cost and time.

    Ctrl-C ends the watching, never the training.
    """
    from models.training.plan import Length
    from producers.cli.runs.training import How, Learning
    from producers.cli.voice import Voice
    from producers.training import Wish

    wish = Wish(
        dataset=dataset,
        base=base,
        trainer=trainer,
        name=name,
        length=Length(steps, epochs, tokens_seen).checked(),
        learning_rate=lr,
        batch_size=batch_size,
        seq_len=seq_len,
        rank=rank,
        seed=seed,
        patience=patience,
        eval_every=eval_every,
        validation=validation,
        wandb_project=wandb or "",
    )
    how = How(
        axes=axes_of(sweep, more_axes),
        watch=watch,
        dry_run=dry_run,
        priority=priority,
        webhooks=tuple(webhook or ()),
        budget=budget,
        again=again,
        idempotency_key=idempotency_key,
    )
    raise typer.Exit(Learning(wish, how, Voice(as_json=as_json)).run())


def axes_of(sweep: list[str] | None, more: list[str] | None) -> dict[str, list[Any]]:
    """The grid of `--sweep A=1,2 B=3,4`: what follows the first axis stands for itself.

    Raises `BadInputError` for words that belong to no sweep.
    """
    from models.errors import BadInputError
    from models.training.grid import parse_axes

    if more and not sweep:
        raise BadInputError(f"one dataset at a time, and {more[0]!r} is one more: what is it for?")
    return parse_axes([*(sweep or []), *(more or [])])
