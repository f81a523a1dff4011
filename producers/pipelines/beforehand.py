"""What would stop a stage after others were paid for, looked for before anything is begun.

Names of prompts, judges and figures, the libraries of reports, ways that calls cannot go, models
without a price under a budget: all that is known without the outputs of a stage.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from models.errors import BadInputError
from models.pipelines.checking import alike
from models.pipelines.rendering import rendered, templated, validated, with_vars
from models.pipelines.schema import Embed, Pipeline, Prepared, RunSpec, StageKind, Train
from models.prices import TUNED, PriceTable
from models.recipes import Recipe
from models.recipes.fields import fields_read, names_read
from models.suites import Evaluation, Suite, SuiteKind
from producers.evaluating import Wish, own_models
from producers.evaluating.evaluating import evaluation_of
from producers.evaluating.figures.libraries import require_libraries
from producers.pipelines.evaluating import names_of, texts
from producers.pipelines.hand import stem_of
from producers.pipelines.ranking import asked_in

KNOWN = frozenset({"vars", "input", "range"})
"""What templates may read before any stage has run."""
LABELLED = ("precision", "recall", "f1")
BINARY = ("precision", "recall")
"""Figures that need a label to be the positive one."""
REPEATED = ("accuracy_sd", "consistency")
"""Figures that need more than one attempt."""
ASKED = (
    *("latency_ms_mean", "latency_ms_p50", "latency_ms_p95", "cost_usd", "cost_usd_per_1000"),
    *("answers", "unusable"),
)
"""Figures of every kind whose models are asked through calls."""
FIGURES: Mapping[SuiteKind, tuple[str, ...]] = {
    SuiteKind.CLASSIFICATION: (
        *("accuracy", "invalid", "f1_macro", "f1", *BINARY),
        *("tokens_per_query", "tokens_overhead", "tokens_saved", *ASKED),
    ),
    SuiteKind.CHOICE: (
        *("accuracy", "accuracy_least", "accuracy_most", "always_right", "invalid"),
        *(*REPEATED, *ASKED),
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


def check(told: RunSpec, prices: PriceTable | None = None, *, done: Collection[str] = ()) -> None:
    """Raises `BadInputError`, naming the stage, for what could not be done once it is due.

    `prices`: of a run with a budget, under which every model that is asked needs one. `done`:
    stages that will not be done any more.
    """
    for stage in told.pipeline.stages:
        if stage.name not in done:
            with _naming(stage):
                _check_stage(told.pipeline, stage, prices)


def trained_here(told: RunSpec) -> list[str]:
    """The stages that train, or read rows to a model, on this machine."""
    pipeline = told.pipeline
    return [
        stage.name
        for stage in pipeline.stages
        if _is_read_here(stage) or _trains_here(pipeline, stage)
    ]


def _is_read_here(stage: Prepared) -> bool:
    return bool(stage.suite) and stage.suite["kind"] == SuiteKind.PERPLEXITY


def _trains_here(pipeline: Pipeline, stage: Prepared) -> bool:
    return stage.kind == StageKind.TRAIN and _is_local(pipeline, stage)


def names_written(told: RunSpec) -> list[str]:
    """The models that the server of the API will be asked for, as far as they are written out:
    none that a stage makes, or serves here.

    Raises `BadInputError`, naming the stage, for what could not be done once it is due.
    """
    pipeline, found = told.pipeline, dict[str, None]()
    for stage in pipeline.stages:
        with _naming(stage):
            found |= dict.fromkeys(_written_in(pipeline, stage))
    return [name for name in found if name not in _here(pipeline) and not _is_template(name)]


def figures_of(suite: Suite, attempts: int | None = None) -> set[str]:
    """The figures of a model that a report of the suite may have, by their names.

    `attempts`: how often each row is asked; None: as the suite says.
    """
    found = set(FIGURES.get(suite.kind, ()))
    if (attempts or suite.attempts) == 1:
        found -= set(REPEATED)
    if told := suite.classification:
        found |= {f"{one}_{label}" for one in LABELLED for label in told.labels}
        if told.positive is None and len(told.labels) != 2:  # of two, the first is
            found -= set(BINARY)
    if suite.judge and len(suite.judge.criteria) > 1:
        found |= {f"points_{one.name}" for one in suite.judge.criteria}
    return found


def known_of(pipeline: Pipeline, stage: Prepared) -> dict[str, Any]:
    """What the stage says, rendered as far as it reads nothing of other stages."""
    return {**stage.asked, **_known(pipeline, templated(stage.kind, stage.asked))}


@contextmanager
def _naming(stage: Prepared) -> Iterator[None]:
    """Says which stage it is that something is wrong with."""
    try:
        yield
    except BadInputError as error:
        raise BadInputError(f"stage {stage.name}: {error}") from None


def _check_stage(pipeline: Pipeline, stage: Prepared, prices: PriceTable | None) -> None:
    asked = known_of(pipeline, stage)
    validated(stage.kind, asked, is_rendered=False)
    if stage.suite:
        _check(pipeline, stage, asked, prices)
    elif stage.kind == StageKind.GENERATE:
        _check_generate(pipeline, stage, asked, prices)
    elif stage.kind == StageKind.EMBED and prices is not None:
        _check_prices(pipeline, [_embeds(asked)], prices)


def _check(
    pipeline: Pipeline, stage: Prepared, asked: Mapping[str, Any], prices: PriceTable | None
) -> None:
    require_libraries()
    names = _models(stage, asked)
    if isinstance(names, str):  # a template that makes the whole list
        return
    evaluation, is_ranking = _evaluation(stage, asked, names), stage.kind == StageKind.TRAIN
    suite = evaluation.suite
    if is_ranking:
        _check_figures(suite, asked, asked.get("ranking", {}).get("attempts"))
    _check_way(pipeline, evaluation, names, asked.get("via", "realtime"))
    if prices is not None and suite.kind != SuiteKind.PERPLEXITY:
        first = _tuned_names(pipeline, stage) if is_ranking else names_of(names)
        _check_prices(pipeline, [*first, *_judging(evaluation)], prices)


def _check_generate(
    pipeline: Pipeline, stage: Prepared, asked: Mapping[str, Any], prices: PriceTable | None
) -> None:
    """Of the models that its recipe asks, some perhaps trained by the run."""
    names = _generates(stage, asked)
    _check_no_batches(pipeline, names, asked.get("via", "realtime"))
    if prices is not None:
        _check_prices(pipeline, names, prices)


def _written_in(pipeline: Pipeline, stage: Prepared) -> Iterator[str]:
    """The models that a stage's own words name, templates among them."""
    asked = known_of(pipeline, stage)
    match stage.kind:
        case StageKind.GENERATE:
            yield from _generates(stage, asked)
        case StageKind.EMBED:
            yield _embeds(asked)
        case StageKind.TRAIN if not _is_local(pipeline, stage):
            yield from _base_names(pipeline, stage)
    if not stage.suite or stage.suite["kind"] == SuiteKind.PERPLEXITY:
        return
    names = _models(stage, asked)
    if isinstance(names, str):
        return
    if stage.kind == StageKind.EVALUATE:
        yield from names_of(names)
    yield from _judging(_evaluation(stage, asked, names))


def _here(pipeline: Pipeline) -> set[str]:
    """What this machine will answer for once a stage has trained it, or taken it as base."""
    trained = [one for one in pipeline.stages if one.kind == StageKind.TRAIN]
    local = [one for one in trained if _is_local(pipeline, one)]
    return {
        name for one in local for name in (*_tuned_names(pipeline, one), *_bases(pipeline, one))
    }


def _bases(pipeline: Pipeline, stage: Prepared) -> list[str]:
    return [str(_known(pipeline, stage.asked["base"])), *_base_names(pipeline, stage)]


def _generates(stage: Prepared, asked: Mapping[str, Any]) -> list[str]:
    steps = (step.model for step in Recipe.model_validate(stage.recipe).steps)
    return [asked["model"]] if asked.get("model") else list(dict.fromkeys(steps))


def _embeds(asked: Mapping[str, Any]) -> str:
    return str(asked.get("model", Embed.model_fields["model"].default))


def _models(stage: Prepared, asked: Mapping[str, Any]) -> list[str] | str:
    """Whom the stage's suite is put to, each perhaps with its prompt; a text: a template."""
    if stage.kind == StageKind.TRAIN:
        return _runs(asked.get("ranking", {}))
    names: list[str] | str = asked.get("models", [])
    return names


def _evaluation(stage: Prepared, asked: Mapping[str, Any], names: Sequence[str]) -> Evaluation:
    suite = Suite.model_validate(stage.suite)
    part = asked.get("ranking", {}) if stage.kind == StageKind.TRAIN else asked
    models = tuple(_literal(name, at) for at, name in enumerate(names))
    return evaluation_of(suite, Wish(suite=suite, models=models, judges=texts(part.get("judge"))))


def _judging(evaluation: Evaluation) -> list[str]:
    """Whom it asks besides."""
    section = evaluation.suite.grounding
    return [*evaluation.judges, *([section.embed_model] if section else [])]


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
    return asked_in(ranking.get("prompt"), ["run 1", "run 2"])


def _literal(name: str, at: int) -> str:
    """A model with its prompt where that is written out; its number where a template tells it."""
    tail = name.rpartition("@")[2]
    return f"model {at}" if _is_template(name) and ("}}" in tail or "%}" in tail) else name


def _check_figures(suite: Suite, asked: Mapping[str, Any], attempts: Any) -> None:
    is_template = isinstance(attempts, str)  # it may say more than one
    there = figures_of(suite, 2 if is_template else attempts)
    for name in str(asked["rank_by"]).rpartition(":")[2].split("+"):
        if name not in there:
            raise BadInputError(
                f"rank_by: a {suite.kind} suite finds no figure {name!r}; {alike(name, there)}"
            )


def _check_way(pipeline: Pipeline, told: Evaluation, names: Sequence[str], via: str) -> None:
    own_models.check_way(told, via)
    _check_no_batches(pipeline, names, via)


def _check_no_batches(pipeline: Pipeline, names: Sequence[str], via: str) -> None:
    here = [trained for name in names for trained, _ in _trained(pipeline, name)]
    if via == "batch" and any(_is_local(pipeline, trained) for trained in here):
        raise BadInputError(
            "its models are served on your own machine, which has no batches: leave via out"
        )


def _check_prices(pipeline: Pipeline, names: Sequence[str], prices: PriceTable) -> None:
    priced = (one for name in names for one in _names_known(pipeline, name))
    unknown = [name for name in priced if prices.price(name) is None]
    if unknown:
        told_names = ", ".join(dict.fromkeys(unknown))
        raise BadInputError(
            f"a budget needs prices, and {told_names} is not in the price table of {prices.as_of}: "
            "name a table that has it by MAESTRALE_PRICES (here and for the workers; 0 for models "
            "on your own machine), or leave the budget out"
        )


def _names_known(pipeline: Pipeline, source: str) -> Iterator[str]:
    """A model that is asked, as far as it is known; of models that the run trains, and of their
    bases, how the names in price tables begin."""
    if not _is_template(source):
        yield source
    for trained, fields in _trained(pipeline, source):
        if "model" in fields:
            yield from _tuned_names(pipeline, trained)
        if "base" in fields:
            yield from _base_names(pipeline, trained)


def _tuned_names(pipeline: Pipeline, stage: Prepared) -> list[str]:
    """What a model that the stage trains is called here; by the provider, after its base."""
    if _is_local(pipeline, stage):
        return [stem_of(pipeline, stage.name)]
    return [f"{TUNED}{base}" for base in _base_names(pipeline, stage)]


def _base_names(pipeline: Pipeline, stage: Prepared) -> list[str]:
    base = str(_known(pipeline, stage.asked["base"]))
    if _is_template(base):
        return []
    return [base.rstrip("/").rsplit("/", 1)[-1] if _is_local(pipeline, stage) else base]


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _trained(pipeline: Pipeline, source: str) -> Iterator[tuple[Prepared, set[str]]]:
    """The training stages of which a text reads outputs, and which."""
    for stage in pipeline.stages:
        fields = fields_read(source, stage.name) if stage.kind == StageKind.TRAIN else set()
        if fields:
            yield stage, set(fields)


def _is_local(pipeline: Pipeline, stage: Prepared) -> bool:
    default = Train.model_fields["trainer"].default
    return bool(_known(pipeline, stage.asked.get("trainer", default)) == "local")
