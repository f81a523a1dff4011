"""Stages of kind `train`: one run, or a sweep whose best run is taken."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson

from models.pipelines.rendering import sources_of
from models.pipelines.schema import VALIDATION_LOSS, Train
from models.prices import TUNED
from models.recipes.fields import fields_read
from models.store import registry as tuned
from models.tables import Job, TunedModel
from models.training import TrainingSpec
from models.training.advice import MOST_PASSES, warnings
from models.training.plan import Length, Planned
from models.words import counted, dollars
from producers import registry
from producers.client import Maestrale
from producers.pipelines import ranking
from producers.pipelines.ahead import LATER, Ahead
from producers.pipelines.hand import SWEEP, WARNINGS, Hand
from producers.pipelines.outcomes import Expected, Lost, Made, Outcome, Submitted
from producers.sweeps import Ran, facts_of, ranked
from producers.training import Training, Wish
from producers.training_jobs import Submission

WHENCE = "(the provider tells its own before it begins)"
"""Where the price comes from that a plan does not know: a dry run, and a budget is held to it."""
_SAME_NAME = (
    "{}.base cannot be asked here: {} has the name of a model of the API, or of the tuned model, "
    "and is not served beside it; give the base another name, or compare with another model"
)


def begin(hand: Hand) -> Outcome:
    """Submits the run, or the sweep, once."""
    asked = cast("Train", hand.asked)
    training = Training(hand.maestrale)
    wish = wish_of(hand, asked)
    if asked.sweep:
        runs = training.plan_sweep(wish, asked.sweep)
        job = training.submit_sweep(runs, _how(hand), name=hand.name)
    else:
        runs = [training.plan(wish)]
        job = training.submit(runs[0], _how(hand))
    return Submitted(job.id, {WARNINGS: warnings(runs)})


def wish_of(hand: Hand, asked: Train) -> Wish:
    """The stage as the door for trainings takes it."""
    return Wish(
        dataset=asked.dataset,
        base=asked.base,
        trainer=asked.trainer,
        name=hand.name,
        length=Length(asked.steps, asked.epochs, asked.tokens_seen).checked(),
        learning_rate=asked.lr,
        batch_size=asked.batch_size,
        seq_len=asked.seq_len,
        rank=asked.rank,
        seed=asked.seed,
        patience=asked.patience,
        eval_every=asked.eval_every,
        validation=Path(hand.file(asked.validation)) if asked.validation else None,
    )


def collect(hand: Hand, job: Job) -> Outcome:
    """The run's model, or the best of the sweep; the runs are put to a suite first if need be."""
    asked = cast("Train", hand.asked)
    training = Training(hand.maestrale)
    if not asked.sweep:
        model = training.model_of(job.id)
        return _made(hand, job.id, model) if model else Lost(f"{job.id} left no model")
    sweep = hand.notes.get(SWEEP) or job.id
    runs = [run for run in ranked(training, training.children(sweep)) if run.model]
    if not runs:
        return Lost(f"no run of {sweep} left a model")
    if asked.rank_by == VALIDATION_LOSS:
        return _best(hand, sweep, runs[0], runs)
    names = {run.model: named(training.model(run.model)) for run in runs}
    if SWEEP not in hand.notes:
        return ranking.submitted(
            hand, asked, list(names.values()), notes={**hand.notes, SWEEP: sweep}
        )
    best = ranking.best(hand, asked, job, names)
    run = next((run for run in runs if run.model == best), None)
    if run is None:
        return Lost(f"{job.id} has no figure {asked.rank_by.rpartition(':')[2]} of any run")
    return _best(hand, sweep, run, runs)


def expect(hand: Hand, ahead: Ahead) -> Expected:
    """Steps, cost and time of all its runs, and what it costs to rank them."""
    asked = cast("Train", hand.asked)
    wish = replace(wish_of(hand, asked), expected=ahead.datasets.get(asked.dataset))
    training = Training(hand.maestrale)
    runs = training.plan_sweep(wish, asked.sweep) if asked.sweep else [training.plan(wish)]
    names = [_expected_name(run.spec) for run in runs]
    base = runs[0].spec.base
    if asked.trainer == "local":
        base = base.rstrip("/").rsplit("/", 1)[-1]
        ahead.serve(base, *names)
    told = _trained(asked, runs)
    if asked.sweep and asked.rank_by != VALIDATION_LOSS:
        told = _ranked(told, ranking.expected(hand, asked, names, ahead))
    output = {"job": LATER, "model": names[0], "base": base, "registered": names[0], "metrics": {}}
    return replace(told, output={**output, "hash": LATER})


def _trained(asked: Train, runs: Sequence[Planned]) -> Expected:
    costs, times = [run.plan.cost_usd for run in runs], [run.plan.seconds for run in runs]
    steps = sum(run.plan.steps for run in runs)
    words = counted(steps, "step")
    words = f"{len(runs)} runs, {words}" if len(runs) > 1 else words
    words += " on this machine, for nothing" if asked.trainer == "local" else ""
    words += "".join(f"; {one}" for one in (_passes(runs), *warnings(runs)) if one)
    cost = None if None in costs else sum(one or 0.0 for one in costs)
    if cost is None:
        words += f"; no price is known of training {asked.base} {WHENCE}"
    return Expected(words, cost, None if None in times else sum(one or 0.0 for one in times))


def _passes(runs: Sequence[Planned]) -> str:
    """How often each token is seen, unless a warning says it."""
    most = max((run.plan.passes or 0.0 for run in runs), default=0.0)
    return f"each token is seen {most:,.1f} times" if 0 < most <= MOST_PASSES else ""


def _ranked(told: Expected, more: Expected) -> Expected:
    """With what the suite takes that its runs are put to."""
    costs, times = (told.cost_usd, more.cost_usd), (told.seconds, more.seconds)
    known = "" if more.cost_usd is None else f" for about {dollars(more.cost_usd)}"
    return Expected(
        f"{told.words}; ranked by {more.words}{known}",
        None if None in costs else sum(one or 0.0 for one in costs),
        None if None in times else sum(one or 0.0 for one in times),
    )


def _expected_name(spec: TrainingSpec) -> str:
    """What the provider's name of the tuned model begins with, or the registry's of our own."""
    return spec.name if spec.trainer == "local" else f"{TUNED}{spec.base}:{spec.name}"


def is_there(maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether the registry has the model, and this machine its files."""
    with maestrale.store.read() as connection:
        model = tuned.by_name(connection, output["registered"])
    if model is None or model.trainer != "local":
        return model is not None
    return (maestrale.settings.home / model.place).parent.is_dir()


def named(model: TunedModel) -> str:
    """What evaluations call it: the provider's id, or the registry's name."""
    return model.name if model.trainer == "local" else model.place


def _best(hand: Hand, sweep: str, run: Ran, runs: list[Ran]) -> Outcome:
    model = Training(hand.maestrale).model(run.model)
    more = {"sweep": [facts_of(one) for one in runs]}
    return _made(hand, sweep, model, **more)


def _made(hand: Hand, job_id: str, model: TunedModel, **more: Any) -> Outcome:
    names: tuple[str, ...] = (model.name, model.base)
    if model.trainer == "local":
        names = registry.served_names(model, hand.maestrale.settings)
        if len(names) == 1 and _reads_base(hand):
            return Lost(_SAME_NAME.format(hand.stage.name, model.base))
    digest = hashlib.sha256(f"{model.name}/{model.job_id}".encode()).hexdigest()
    told = {"job": job_id, "model": named(model), "base": names[-1], "registered": model.name}
    told_all = {**told, "metrics": orjson.loads(model.metrics), "hash": digest, **more}
    return Made({**told_all, WARNINGS: hand.notes.get(WARNINGS, [])})


def _reads_base(hand: Hand) -> bool:
    """Whether another stage asks the base beside the tuned model."""
    name = hand.stage.name
    texts = (text for one in hand.pipeline.stages for _, text in sources_of(one.kind, one.asked))
    return any("base" in fields_read(text, name) for text in texts)


def _how(hand: Hand) -> Submission:
    return Submission(
        priority=hand.run.priority,
        again=True,
        idempotency_key=hand.key(),
        budget_nano=hand.budget_nano,
        parent_id=hand.run.id,
    )
