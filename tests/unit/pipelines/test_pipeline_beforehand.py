"""What would stop a stage after others were paid for is told before anything is begun."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from evaluated import SECTIONS, an_evaluation, labelled, lost, report_of
from evaluated import found as found_rows

from models.errors import BadInputError
from models.pipelines import load_pipeline
from models.pipelines.schema import Evaluate, RunSpec
from models.prices import PriceTable, load_prices
from models.tables import Stage
from producers import registry
from producers.pipelines import beforehand, evaluating
from producers.pipelines.hand import Hand
from proving.pipelines_stage import edit, write_recipe

MODELS = '["mistral-small-latest", "{{ tuned.model }}@bare"]'
SWEEP = 'steps = "{{ vars.steps }}"\nsweep = { lr = [1e-4, 5e-5] }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small recipe's."""
    return write_recipe(tmp_path / "small")


def check(folder: Path, prices: PriceTable | None = None) -> None:
    """Of the pipeline as it stands there."""
    beforehand.check(RunSpec(pipeline=load_pipeline(str(folder))), prices)


def ranked(folder: Path, by: str, more: str = "") -> None:
    """Makes the training a sweep."""
    told = f'rank_by = "{by}"\n{more}'
    edit(folder, "pipeline.toml", 'steps = "{{ vars.steps }}"', SWEEP + told)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ('["{{ tuned.base }}@guidedd"]', "stage exam: the suite small has no prompt 'guidedd'"),
        ("[]", "stage exam: nobody is asked"),
    ],
)
def test_names_that_no_template_hides_are_known(folder: Path, models: str, words: str) -> None:
    """A prompt after the last @, whoever is asked in it."""
    check(folder)
    edit(folder, "pipeline.toml", MODELS, models)
    with pytest.raises(BadInputError, match=words):
        check(folder)


@pytest.mark.parametrize("models", ["[\"{{ tuned.model ~ '@x' }}\"]", '"{{ tuned.model }}"'])
def test_what_a_template_makes_is_left_for_later(folder: Path, models: str) -> None:
    """Nothing is guessed of it."""
    edit(folder, "pipeline.toml", MODELS, models)
    check(folder)


def test_one_model_is_no_pair_and_a_judge_is_needed(folder: Path) -> None:
    """As `maestrale evaluate` would say, before the training."""
    judge = '[judge]\nask = { prompt = "{{ first }}{{ second }}" }\n'
    judge += '[[judge.criteria]]\nname = "c"\ndescription = "d"\n'
    suite = (folder / "suite.toml").read_text().partition("[classification]")[0]
    (folder / "suite.toml").write_text(suite.replace("classification", "pairwise") + judge)
    with pytest.raises(BadInputError, match="stage exam: the suite needs a judge"):
        check(folder)
    edit(folder, "pipeline.toml", MODELS, '["{{ tuned.model }}@bare"]\njudge = "j"')
    with pytest.raises(BadInputError, match="stage exam: a pairwise suite compares"):
        check(folder)


@pytest.mark.parametrize(
    ("by", "more", "words"),
    [
        ("suite.toml:acuracy", "", "did you mean accuracy"),
        ("suite.toml:accuracy+faithfulness", "", "finds no figure 'faithfulness'"),
        ("suite.toml:accuracy", 'ranking = { prompt = "bar" }', "no prompt 'bar'"),
    ],
)
def test_a_ranking_by_what_is_not_there_is_refused(
    folder: Path, by: str, more: str, words: str
) -> None:
    """Before the runs of the sweep are paid for."""
    ranked(folder, by, more)
    with pytest.raises(BadInputError, match=f"stage tuned: .*{words}"):
        check(folder)


def test_a_ranking_by_what_is_there_is_let_through(folder: Path) -> None:
    """A label's own figure, too."""
    ranked(folder, "suite.toml:accuracy+f1_yes", 'ranking = { prompt = "bare" }')
    check(folder)


@pytest.mark.parametrize("kind", [kind for kind in SECTIONS if kind != "judges"])
def test_every_figure_of_a_report_is_known(kind: str) -> None:
    """And none that no report has."""
    evaluation = an_evaluation(kind)
    rows = labelled(["yes", "no"], base=["yes", "no"], tuned=["no", "no"])
    if kind == "perplexity":  # nobody is called
        rows = found_rows([lost("base", 9.0, 3), lost("tuned", 8.0, 3)])
    report = report_of(evaluation, rows)
    figures = [one for told in report.figures.values() for one in told.items()]
    found = {name for name, figure in figures if figure.value is not None}
    there = beforehand.figures_of(evaluation.suite, evaluation.attempts)
    assert found <= there
    unknown = {name for name, _ in figures} - found
    assert unknown - there == ({*beforehand.REPEATED} if kind == "choice" else set())
    assert there - found - unknown <= set(beforehand.ASKED), "figures of calls need calls"


def test_a_figure_that_no_report_of_the_suite_has_ranks_nothing(folder: Path) -> None:
    """Of three labels none is positive until one is named; one attempt has no spread."""
    edit(folder, "suite.toml", '["yes", "no"]\npositive = "yes"', '["yes", "no", "maybe"]')
    ranked(folder, "suite.toml:f1")
    check(folder)
    edit(folder, "pipeline.toml", "toml:f1", "toml:precision")
    with pytest.raises(BadInputError, match="finds no figure 'precision'"):
        check(folder)
    with (folder / "suite.toml").open("a") as file:
        file.write('positive = "maybe"\n')
    check(folder)
    choice = an_evaluation("choice").suite
    several = choice.model_copy(update={"attempts": 3})
    assert beforehand.figures_of(several) - beforehand.figures_of(choice) == {
        *("accuracy_sd", "consistency")
    }
    assert beforehand.figures_of(choice, 3) == beforehand.figures_of(several)


@pytest.mark.parametrize("key", ["models", "judge", "limit", "via"])
def test_a_variable_that_is_no_value_of_a_key_is_told(folder: Path, key: str) -> None:
    """As it would be once the stage is due, by the key's name."""
    edit(folder, "pipeline.toml", "steps = 10", "steps = 10\nm = 7\nway = 0")
    told = {"models": MODELS, "judge": "", "limit": "", "via": ""}[key]
    number = {"models": '["{{ vars.m }}", "a@bare"]', "judge": '["{{ vars.m }}"]'}
    new = number.get(key, '"{{ vars.way }}"')
    if told:
        edit(folder, "pipeline.toml", told, new)
    else:
        edit(folder, "pipeline.toml", MODELS, f"{MODELS}\n{key} = {new}")
    with pytest.raises(BadInputError, match=f"stage exam: {key}.*, not [70]"):
        check(folder)


def test_missing_libraries_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stage evaluates."""
    monkeypatch.setattr("models.extras.missing", list)
    with pytest.raises(BadInputError, match=r"stage exam: .*maestrale\[evaluate\]"):
        check(folder)


def priced(*models: str) -> PriceTable:
    """A table of them alone."""
    free = {"input": 0.0, "output": 0.0}
    return PriceTable.model_validate({"as_of": "2026-08-15", "models": dict.fromkeys(models, free)})


def test_a_budget_needs_prices_of_models_that_the_provider_tunes(folder: Path) -> None:
    """Of their bases, or their own, before the training is paid for; also where a suite ranks
    them."""
    check(folder)
    with pytest.raises(BadInputError, match=r"stage exam: a budget .* ft:open-mistral-nemo "):
        check(folder, load_prices(None))
    check(folder, priced("mistral-small", "open-mistral-nemo"))
    check(folder, priced("mistral-small", "ft:open-mistral-nemo"))
    edit(folder, "pipeline.toml", MODELS, '["mistral-small-latest"]')
    check(folder, load_prices(None))
    ranked(folder, "suite.toml:accuracy")
    with pytest.raises(
        BadInputError, match=r"stage tuned: a budget needs .* ft:open-mistral-nemo "
    ):
        check(folder, load_prices(None))
    edit(folder, "pipeline.toml", "open-mistral-nemo", "ministral-3b-latest")
    check(folder, load_prices(None))


def test_a_base_that_a_template_asks_for_needs_a_price_of_its_own(folder: Path) -> None:
    """Whoever trains on it."""
    edit(folder, "pipeline.toml", MODELS, '["{{ tuned.base }}@bare"]')
    with pytest.raises(BadInputError, match=r"stage exam: a budget needs .* open-mistral-nemo "):
        check(folder, load_prices(None))
    check(folder, priced("mistral-small", "open-mistral-nemo"))


STORE = """
[[stages]]
name = "store"
kind = "embed"
text = "{{ row.text }}"
"""


def test_a_budget_needs_the_price_of_what_embeds(folder: Path) -> None:
    """Its default, or the one that is named."""
    edit(folder, "pipeline.toml", "open-mistral-nemo", "ministral-3b-latest")
    with (folder / "pipeline.toml").open("a") as file:
        file.write(STORE)
    check(folder, load_prices(None))
    with pytest.raises(BadInputError, match=r"stage store: a budget needs .* mistral-embed "):
        check(folder, priced("mistral-small", "ministral-3b"))
    with (folder / "pipeline.toml").open("a") as file:
        file.write('model = "no-such"')
    check(folder)
    with pytest.raises(BadInputError, match=r"stage store: a budget needs .* no-such "):
        check(folder, load_prices(None))


def test_stages_that_are_done_need_no_prices(folder: Path) -> None:
    """Of a run that is given a budget later."""
    told = RunSpec(pipeline=load_pipeline(str(folder)))
    with pytest.raises(BadInputError, match="stage pairs"):
        beforehand.check(told, priced("open-mistral-nemo"))
    with pytest.raises(BadInputError, match="stage exam"):
        beforehand.check(told, priced("open-mistral-nemo"), done=["pairs"])
    beforehand.check(told, priced("open-mistral-nemo"), done=["pairs", "exam"])


def test_a_budget_needs_prices_of_models_that_are_trained_here(folder: Path) -> None:
    """A table with 0 for them will do; without a budget none is needed."""
    prices = load_prices(None)
    edit(folder, "pipeline.toml", 'trainer = "mistral"', 'trainer = "local"')
    edit(folder, "pipeline.toml", "open-mistral-nemo", "models/smollm2")
    edit(folder, "pipeline.toml", '"mistral-small-latest", ', '"{{ tuned.base }}", ')
    check(folder)
    with pytest.raises(BadInputError, match=r"stage exam: a budget needs .* smollm2, small-tuned"):
        check(folder, prices)
    check(folder, priced("smollm2", "small-tuned", "mistral-small"))


OWN_WORDS = """
[[stages]]
name = "own_words"
kind = "generate"
model = "{{ tuned.model }}"
"""


def test_rows_that_a_model_trained_here_is_asked_about(folder: Path) -> None:
    """A stage that generates is looked at as one that evaluates: prices and batches."""
    with (folder / "pipeline.toml").open("a") as file:
        file.write(OWN_WORDS)
    check(folder, priced("mistral-small", "open-mistral-nemo"))
    edit(folder, "pipeline.toml", 'trainer = "mistral"', 'trainer = "local"')
    edit(folder, "pipeline.toml", ', "{{ tuned.model }}@bare"', "")
    check(folder)
    with pytest.raises(BadInputError, match=r"stage own_words: a budget needs .* small-tuned"):
        check(folder, load_prices(None))
    with (folder / "pipeline.toml").open("a") as file:
        file.write('via = "batch"')
    with pytest.raises(BadInputError, match=r"stage own_words: .* no batches"):
        check(folder)


def test_batches_of_models_on_this_machine_are_refused(folder: Path) -> None:
    """Where the stage itself asks for them."""
    edit(folder, "pipeline.toml", 'data = "exam.jsonl"', 'data = "exam.jsonl"\nvia = "batch"')
    check(folder)
    edit(folder, "pipeline.toml", 'trainer = "mistral"', 'trainer = "local"')
    with pytest.raises(BadInputError, match=r"stage exam: .* no batches"):
        check(folder)


@pytest.mark.parametrize(
    ("kind", "is_ours", "way"),
    [
        ("classification", False, "batch"),
        ("classification", True, "realtime"),
        ("perplexity", False, "realtime"),
    ],
)
def test_a_run_by_batches_asks_our_own_models_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, way: str, *, is_ours: bool
) -> None:
    """`--via` of the run is for calls that go to the provider."""

    def no_batches(*_args: Any) -> None:
        if is_ours:
            raise BadInputError("it is served here")

    monkeypatch.setattr(registry, "check_no_batches", no_batches)
    pipeline = load_pipeline(str(folder))
    pipeline.stage("exam").suite["kind"] = kind
    told = RunSpec(pipeline=pipeline, via="batch")
    client = SimpleNamespace(store=None, settings=SimpleNamespace(home=folder))
    stage = Stage(run_id="r", name="exam", place=0, kind="evaluate")
    asked = Evaluate(name="exam", kind="evaluate", models=["m@bare"])
    hand = Hand(cast("Any", client), cast("Any", None), told, stage, asked, "d" * 64)
    assert evaluating.way_of(hand, asked) == way
