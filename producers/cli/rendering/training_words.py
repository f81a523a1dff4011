"""Training runs as Rich renderables, lines and facts. Pure: data in, renderable out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from models.states import JobState
from models.tables import Job, TrainingPoint, TunedModel
from models.training.advice import validated, warnings
from models.training.counts import Counts
from models.training.plan import Planned, perplexity
from producers import sweeps
from producers.cli.rendering import facts, showing, words
from producers.cli.rendering.showing import ACCENT, STATE_STYLES, indented, pairs
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import safe
from producers.sweeps import Ran
from producers.training import spec_of_job

BAR_COLUMNS = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """A run and what it told so far."""

    job: Job
    points: list[TrainingPoint]

    @property
    def steps(self) -> int | None:
        """How many there will be; None: another version's spec says it."""
        spec = spec_of_job(self.job)
        return spec.steps if spec else None

    @property
    def step(self) -> int:
        """How far it is."""
        return max((point.step for point in self.points), default=0)

    @property
    def reached(self) -> str:
        """`step 3 of 40`."""
        return f"step {self.step:,}" + (f" of {self.steps:,}" if self.steps is not None else "")

    def last(self, name: str) -> float | None:
        """The newest of what was told under this name."""
        told = [getattr(point, name) for point in self.points]
        known: list[float] = [value for value in told if value is not None]
        return known[-1] if known else None


# -- before ----------------------------------------------------------------------------------------


def title(runs: Sequence[Planned]) -> RenderableType:
    """What will be trained, from what, on what."""
    spec = runs[0].spec
    name = spec.name if len(runs) == 1 else f"{len(runs)} runs, {spec.name} and on"
    return Text.assemble(
        "  ", (safe(name), "bold"), f"  from {safe(spec.base)} on {safe(spec.dataset.name)}"
    )


def plans(runs: Sequence[Planned]) -> RenderableType:
    """What it will take: of one run in full, of a sweep as sums."""
    spec, told = runs[0].spec, runs[0].plan
    steps = ", ".join(f"{count:,}" for count in dict.fromkeys(run.plan.steps for run in runs))
    data = spec.dataset
    rows: list[tuple[str, RenderableType]] = [
        ("trainer", "on this machine" if spec.trainer == "local" else "with the provider"),
        ("rows", f"{data.train_rows:,} to train on, {validated(runs[0]):,} to validate on"),
        ("steps", f"{steps} of {_step_size(runs[0])}"),
        ("tokens", _tokens(runs)),
        ("cost", _cost(runs)),
        ("time", _time(runs)),
    ]
    if told.passes is not None and len(runs) == 1:
        rows.insert(3, ("passes", f"each token is seen {told.passes:.1f} times"))
    if cut := _cut(runs):
        rows.insert(2, ("cut", Text(cut, "yellow")))
    return Group(pairs(rows), *map(showing.warning, warnings(runs)))


def _cut(runs: Sequence[Planned]) -> str:
    """What becomes of rows that are too long, where a run has any; of a sweep's worst run."""
    counted = [run.counts for run in runs if run.counts is not None]
    worst = max(counted, key=_too_long, default=None)
    if worst is None or not _too_long(worst):
        return ""
    parts = worst.parts.values()
    longer, out = _too_long(worst), sum(part.left_out for part in parts)
    longest = max(part.longest for part in parts)
    told = f"{words.counted(longer, 'row')} of more than {worst.seq_len:,} tokens"
    told += f" (the longest has {longest:,})"
    kept = f"{max(0, longer - out):,} cut to so many (--seq-len)"
    return f"{told}: {kept}, {out:,} left out because the answer begins behind that"


def _too_long(counts: Counts) -> int:
    return sum(part.longer for part in counts.parts.values())


def _step_size(run: Planned) -> str:
    size = run.plan.tokens_per_step
    about = f"about {size:,.0f} tokens" if size is not None else "an unknown number of tokens"
    return f"{run.spec.batch_size} rows, {about}" if run.spec.trainer == "local" else about


def _tokens(runs: Sequence[Planned]) -> str:
    told = [run.plan.tokens for run in runs]
    if None in told:
        return "unknown: `maestrale dataset tokens` counts them"
    return f"about {sum(count or 0 for count in told):,} in all{_by(runs[0])}"


def _by(run: Planned) -> str:
    """By which tokenizer; the provider's models have Mistral's, and it need not be said."""
    if run.spec.trainer == "mistral":
        return ""
    if run.counts is not None:
        return ", by the base's own tokenizer"
    return f", by Mistral's tokenizer and not the base's: {safe(run.uncounted, 400)}"


def _cost(runs: Sequence[Planned]) -> str:
    if runs[0].spec.trainer == "local":
        return "nothing but your machine's time"
    costs = [run.plan.cost_usd for run in runs]
    return words.estimated_cost(None if None in costs else sum(cost or 0.0 for cost in costs))


def _time(runs: Sequence[Planned]) -> str:
    times = [run.plan.seconds for run in runs]
    if runs[0].spec.trainer == "mistral":
        return "unknown: the provider does not say"
    if None in times:
        return "unknown: nothing was trained from this base here yet"
    told = words.duration(max(1.0, sum(time or 0.0 for time in times)))
    return f"about {told}, as fast as {runs[0].plan.like} went"


def plan_facts(run: Planned) -> dict[str, Any]:
    """A planned run as programs read it; null means unknown."""
    told = run.plan
    return {
        **run.spec.model_dump(),
        "tokens_per_step": told.tokens_per_step,
        "tokens": told.tokens,
        "passes": told.passes,
        "cost_usd": told.cost_usd,
        "seconds": told.seconds,
        "counts": run.counts.model_dump() if run.counts else None,
        "uncounted": run.uncounted or None,
        "warnings": warnings([run]),
    }


# -- meanwhile -------------------------------------------------------------------------------------


def progress(now: Shown) -> RenderableType:
    """The live display: a bar of steps, and the losses."""
    bar = Table.grid(padding=(0, 2))
    bar.add_row(
        Text(safe(now.job.name, 40)),
        ProgressBar(
            total=now.steps,
            completed=now.step,
            width=BAR_COLUMNS,
            complete_style=STATE_STYLES.get(now.job.state, ACCENT),
            finished_style="green",
        ),
        Text(now.reached),
        Text("  ".join(figures(now)), style="dim"),
    )
    return indented(bar)


def figures(now: Shown) -> list[str]:
    """State (unless it simply runs) and losses."""
    parts = [] if now.job.state == JobState.RUNNING else [str(now.job.state)]
    for name, word in (("loss", "loss"), ("valid_loss", "validation")):
        value = now.last(name)
        if value is not None:
            parts.append(f"{word} {value:.3f}")
    return parts


def progress_line(now: Shown) -> str:
    """One line for logs and pipes."""
    told = ", ".join([now.reached, *figures(now)])
    return f"{now.job.id} {safe(now.job.name, 60)}: {told}"


# -- after -----------------------------------------------------------------------------------------


def headline(job: Job) -> RenderableType:
    """How it ended."""
    return Text("  ") + showing.headline(job)


def loss_words(loss: float | None) -> str:
    """`0.214 (perplexity 1.24)`."""
    if loss is None:
        return "not measured"
    seen = perplexity(loss)
    return f"{loss:.3f}" + (f" (perplexity {seen:.2f})" if seen is not None else "")


def ranking(runs: Sequence[Ran]) -> RenderableType:
    """A sweep's runs, the best first, with what was varied."""
    names = sweeps.varied(runs)
    told = (name.replace("_", " ") for name in names)
    table = bare_table("", "run", *told, "validation", "state")
    for place, run in enumerate(runs, start=1):
        chosen = [_choice(getattr(run.spec, name)) for name in names]
        loss = loss_words(run.valid_loss)
        state = showing.state(run.job.state)
        table.add_row(f"{place}.", safe(run.model or run.spec.name, 70), *chosen, loss, state)
    return indented(table)


def _choice(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def models(found: Sequence[TunedModel], now: float) -> RenderableType:
    """The registry as a list. `now`: seconds since the epoch."""
    table = bare_table("model", "base", "trainer", "dataset", "validation", "made")
    for one in found:
        metrics = orjson.loads(one.metrics)
        table.add_row(
            Text(safe(one.name, 70), style="bold"),
            safe(one.base, 40),
            one.trainer,
            safe(one.dataset_name, 40),
            _fall(metrics),
            words.ago(now - one.created_at),
        )
    return indented(table)


def _fall(metrics: dict[str, Any]) -> str:
    before, after = metrics.get("valid_loss_before"), metrics.get("valid_loss_after")
    if after is None:
        return "not measured"
    return f"{before:.3f} -> {after:.3f}" if before is not None else f"{after:.3f}"


def model(one: TunedModel) -> RenderableType:
    """Everything about one model, and how to use it."""
    metrics = orjson.loads(one.metrics)
    rows: list[tuple[str, RenderableType]] = [
        ("model", Text(safe(one.name), style="bold")),
        ("base", f"{safe(one.base)} (trainer: {one.trainer})"),
        ("dataset", f"{safe(one.dataset_name)}  {one.dataset_hash[:16]}"),
        ("before", loss_words(metrics.get("valid_loss_before"))),
        ("after", loss_words(metrics.get("valid_loss_after"))),
        ("steps", f"{metrics.get('steps') or 0:,.0f}, seed {one.seed}"),
        ("job", f"{one.job_id}, by maestrale {one.code_version}"),
        ("place", safe(one.place, 400)),
    ]
    if metrics.get("seconds") is not None:
        rows.insert(6, ("time", words.duration(max(1.0, metrics["seconds"]))))
    return Group(pairs(rows), Text(), use(one))


def use(one: TunedModel) -> RenderableType:
    """How to ask the model."""
    if one.trainer == "mistral":
        ask = f"maestrale generate FILE --recipe NAME --model {one.name}"
        return showing.hint("Use it:", ask)
    return showing.hint("Use it:", f"maestrale models serve {one.name}")


def model_facts(one: TunedModel) -> dict[str, Any]:
    """A model with its lineage, as programs read it."""
    told = one.model_dump(exclude={"parameters", "metrics", "created_at"})
    return {
        **told,
        "parameters": orjson.loads(one.parameters),
        "metrics": orjson.loads(one.metrics),
        "created_at": facts.moment(one.created_at),
    }
