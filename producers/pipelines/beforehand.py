"""What would stop a stage after others were paid for, looked for before anything is begun.

Names of prompts, judges and figures, the libraries of reports, ways that calls cannot go, models
without a price under a budget: all that is known without the outputs of a stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.errors import BadInputError
from models.pipelines.checking import alike
from models.pipelines.rendering import rendered, with_vars
from models.pipelines.schema import Pipeline, Prepared, RunSpec, StageKind, Train
from models.prices import PriceTable
from models.recipes.fields import fields_read, names_read
from models.suites import Evaluation, Suite, SuiteKind
from producers.evaluating import Wish, own_models
from producers.evaluating.evaluating import evaluation_of
from producers.evaluating.figures.libraries import require_libraries
from producers.pipelines.evaluating import names_of, texts
from producers.pipelines.hand import stem_of

KNOWN = frozenset({"vars", "input", "range"})
"""What templates may read before any stage has run."""
LABELLED = ("precision", "recall", "f1")
ASKED = (
    *("latency_ms_mean", "latency_ms_p50", "latency_ms_p95", "cost_usd", "cost_usd_per_1000"),
    *("answers", "unusable"),
)
"""Figures of every kind whose models are asked through calls."""
FIGURES: Mapping[SuiteKind, tuple[str, ...]] = {
    SuiteKind.CLASSIFICATION: (
        *("accuracy", "invalid", "f1_macro", *LABELLED),
        *("tokens_per_query", "tokens_overhead", "tokens_saved", *ASKED),
    ),
    SuiteKind.CHOICE: (
        *("accuracy", "accuracy_least", "accuracy_most", "accuracy_sd"),
        *("consistency", "always_right", "invalid", *ASKED),
    ),
    SuiteKind.SAMPLES: ("characters", "characters_median", "completion_tokens", "invalid", *ASKED),
    SuiteKind.PAIRWISE: ("points", "win_rate", "won", "tied", "lost", *ASKED),
    SuiteKind.GROUNDED: (
        *("faithfulness", "relevancy", "claims", "noncommittal"),
        *("unfaithful_unknown", "relevancy_unknown", *ASKED),
    ),
    SuiteKind.PERPLEXITY: ("loss", "perplexity", "tokens"),
}
"""What runs of a sweep may be ranked by; labels and criteria add their own."""


def check(told: RunSpec, prices: PriceTable | None = None) -> None:
    """Raises `BadInputError`, naming the stage, for what could not be done once it is due.

    `prices`: of a run with a budget, under which every model that is asked needs one.
    """
    for stage in told.pipeline.stages:
        try:
            if stage.suite:
                _check(told.pipeline, stage, prices)
        except BadInputError as error:
            raise BadInputError(f"stage {stage.name}: {error}") from None


def figures_of(suite: Suite) -> set[str]:
    """The figures of a model that a report of the suite may have, by their names."""
    found = set(FIGURES.get(suite.kind, ()))
    if suite.classification:
        found |= {f"{one}_{label}" for one in LABELLED for label in suite.classification.labels}
    if suite.judge and len(suite.judge.criteria) > 1:
        found |= {f"points_{one.name}" for one in suite.judge.criteria}
    return found


def _check(pipeline: Pipeline, stage: Prepared, prices: PriceTable | None) -> None:
    require_libraries()
    suite = Suite.model_validate(stage.suite)
    asked = _known(pipeline, stage.asked)
    is_ranking = stage.kind == StageKind.TRAIN
    part = asked.get("ranking", {}) if is_ranking else asked
    names = _runs(part) if is_ranking else asked.get("models", [])
    if isinstance(names, str):  # a template that makes the whole list
        return
    models = tuple(_literal(name, at) for at, name in enumerate(names))
    wish = Wish(suite=suite, models=models, judges=texts(part.get("judge")))
    evaluation = evaluation_of(suite, wish)
    if is_ranking:
        _check_figures(suite, asked)
    _check_way(pipeline, evaluation, names, asked.get("via", "realtime"))
    if prices is not None and suite.kind != SuiteKind.PERPLEXITY:
        _check_prices(pipeline, [] if is_ranking else names, stage, evaluation, prices)


def _known(pipeline: Pipeline, value: Any) -> Any:
    """The value, rendered as far as its templates read nothing of other stages."""
    if isinstance(value, Mapping):
        return {key: _known(pipeline, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_known(pipeline, one) for one in value]
    if isinstance(value, str) and names_read(value) <= KNOWN:
        known = {**with_vars(pipeline.variables), "input": pipeline.input or ""}
        return rendered(value, known, "a template")
    return value


def _runs(ranking: Mapping[str, Any]) -> list[str]:
    """Two runs of a sweep, as its suite is asked about them."""
    tail = f"@{ranking['prompt']}" if ranking.get("prompt") else ""
    return [f"run {number}{tail}" for number in (1, 2)]


def _literal(name: str, at: int) -> str:
    """A model with its prompt where that is written out; its number where a template tells it."""
    is_template = "{{" in name or "{%" in name
    tail = name.rpartition("@")[2]
    return f"model {at}" if is_template and ("}}" in tail or "%}" in tail) else name


def _check_figures(suite: Suite, asked: Mapping[str, Any]) -> None:
    there = figures_of(suite)
    for name in str(asked["rank_by"]).rpartition(":")[2].split("+"):
        if name not in there:
            raise BadInputError(
                f"rank_by: a {suite.kind} suite finds no figure {name!r}; {alike(name, there)}"
            )


def _check_way(pipeline: Pipeline, told: Evaluation, names: Sequence[str], via: str) -> None:
    own_models.check_way(told, via)
    here = [trained for name in names for trained, _ in _trained(pipeline, name)]
    if via == "batch" and any(_is_local(pipeline, trained) for trained in here):
        raise BadInputError(
            "its models are served on your own machine, which has no batches: leave via out"
        )


def _check_prices(
    pipeline: Pipeline,
    names: Sequence[str],
    stage: Prepared,
    told: Evaluation,
    prices: PriceTable,
) -> None:
    section = told.suite.grounding
    asked = [*told.judges, *([section.embed_model] if section else [])]
    own = [one for name in names for one in _own_names(pipeline, name)]
    if stage.kind == StageKind.TRAIN and _is_local(pipeline, stage):
        own.append(stem_of(pipeline, stage.name))
    written = [name for name in (*names_of(names), *asked) if "{{" not in name and "{%" not in name]
    unknown = [name for name in written if prices.price(name) is None]
    unknown += [name for name in own if prices.price(f"{name}-") is None]
    if unknown:
        told_names = ", ".join(dict.fromkeys(unknown))
        raise BadInputError(
            f"a budget needs prices, and {told_names} is not in the price table of {prices.as_of}: "
            "name a table that has it by MAESTRALE_PRICES (here and for the workers; 0 for models "
            "on your own machine), or leave the budget out"
        )


def _own_names(pipeline: Pipeline, source: str) -> Iterator[str]:
    """What models that the run trains on this machine, and their bases, are called by prefix."""
    for trained, fields in _trained(pipeline, source):
        if not _is_local(pipeline, trained):
            continue
        if "model" in fields:
            yield stem_of(pipeline, trained.name)
        base = str(_known(pipeline, trained.asked["base"]))
        if "base" in fields and "{{" not in base:
            yield base.rstrip("/").rsplit("/", 1)[-1]


def _trained(pipeline: Pipeline, source: str) -> Iterator[tuple[Prepared, set[str]]]:
    """The training stages of which a text reads outputs, and which."""
    for stage in pipeline.stages:
        fields = fields_read(source, stage.name) if stage.kind == StageKind.TRAIN else set()
        if fields:
            yield stage, set(fields)


def _is_local(pipeline: Pipeline, stage: Prepared) -> bool:
    default = Train.model_fields["trainer"].default
    return bool(_known(pipeline, stage.asked.get("trainer", default)) == "local")
