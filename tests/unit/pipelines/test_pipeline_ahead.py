"""What each stage of a run will cost, told before any has run: from what those before may make."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import a_job

from models.pipelines import load_pipeline
from models.pipelines.schema import Generate, RunSpec
from models.prices import load_prices
from models.settings import Settings
from models.store import jobs, registry
from models.tables import Stage, TunedModel
from producers.cli.rendering import stage_words
from producers.client import Maestrale
from producers.demo_all import RECIPES
from producers.pipelines import generating, serving
from producers.pipelines.hand import Hand
from producers.pipelines.planning import StagePlanned, plan
from proving.pipelines_stage import edit, write_recipe

PRICES = """
as_of = "2026-08-15"
[models]
"mistral-small" = { input = 0.0, output = 100.0 }
"open-mistral-nemo" = { input = 0.0, output = 50.0, training = 2.0 }
"mistral-embed" = { input = 0.0, output = 0.0 }
"""
"""USD per million tokens: only answers and training cost, so that one can reckon."""
HELD_OUT = ('data = "exam.jsonl"', 'data = "{{ data.test }}"')
LABEL = '[[output.record.messages]]\nrole = "user"'
LABELLED = f'[output.record]\nlabel = "yes"\n{LABEL}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small recipe's, with a hundred rows."""
    return write_recipe(tmp_path / "small", rows=100, exam=12)


@pytest.fixture
def maestrale(tmp_path: Path) -> Iterator[Maestrale]:
    """A home of its own, and prices to reckon with."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    told: dict[str, Any] = {"MAESTRALE_HOME": tmp_path / "home", "MAESTRALE_PRICES": prices}
    with Maestrale(Settings(_env_file=None, **told)) as opened:
        yield opened


def planned(maestrale: Maestrale, place: Path | str, **how: Any) -> dict[str, StagePlanned]:
    """The stages by name."""
    given = how.pop("variables", {})
    told = RunSpec(pipeline=load_pipeline(str(place), variables=given), **how)
    return {one.prepared.name: one for one in plan(maestrale, told)}


def words(one: StagePlanned) -> str:
    """What it takes; it is expected."""
    assert one.expected is not None, one.why
    return one.expected.words


def cost(one: StagePlanned) -> float | None:
    """In USD; it is expected."""
    assert one.expected is not None, one.why
    return one.expected.cost_usd


def an_own_model(maestrale: Maestrale) -> None:
    """`small-own`, trained on this machine by a job that is there."""
    own = TunedModel(
        name="small-own",
        base="smollm2",
        trainer="local",
        place="training/x/adapter",
        job_id="job_r",
        created_at=0.0,
    )
    with maestrale.store.write() as connection:
        jobs.create(connection, a_job(id="job_r", kind="pipeline"))
        registry.register(connection, own, {})


def test_every_stage_is_reckoned_from_those_before(maestrale: Maestrale, folder: Path) -> None:
    """Rows, their records, the dataset's parts, what is trained on and who is asked, by hand."""
    edit(folder, "pipeline.toml", *HELD_OUT)
    edit(folder, "recipe.toml", LABEL, LABELLED)
    edit(
        folder,
        "suite.toml",
        'row.text }}"\n[prompts.bare]',
        'row.text }}"\nexpected_tokens = 7\n[prompts.bare]',
    )
    edit(folder, "suite.toml", "[classification]", "expected_tokens = 9\n[classification]")
    found = planned(maestrale, folder)
    # 100 rows, 20 tokens each
    assert words(found["pairs"]) == "100 rows, about 100 calls"
    assert cost(found["pairs"]) == pytest.approx(100 * 20 * 100e-6)
    assert words(found["data"]) == "about 80 train, 10 validation, 10 test; nothing is paid"
    # 10 steps of 131,072 tokens
    assert words(found["tuned"]).startswith("10 steps; it will overfit: each token is seen ")
    assert "no price" not in words(found["tuned"])
    assert cost(found["tuned"]) == pytest.approx(10 * 131_072 * 2e-6)
    # 10 rows of the dataset's test, 7 tokens from mistral-small, 9 from what is tuned of nemo
    assert words(found["exam"]) == "10 rows, about 20 calls"
    assert cost(found["exam"]) == pytest.approx(10 * (7 * 100e-6 + 9 * 50e-6))
    assert [name for name, one in found.items() if one.expected and one.expected.is_rough] == [
        "data",
        "tuned",
        "exam",
    ]
    assert maestrale.jobs() == []
    assert list((maestrale.settings.home / "staging").iterdir()) == []


def test_rows_beyond_those_looked_at_are_counted(maestrale: Maestrale, tmp_path: Path) -> None:
    """Of 5,000 rows some two hundred are made up; the dataset and its exam are of all of them."""
    folder = write_recipe(tmp_path / "large", rows=5_000)
    edit(folder, "pipeline.toml", *HELD_OUT)
    edit(folder, "recipe.toml", LABEL, LABELLED)
    found = planned(maestrale, folder)
    told = "about 4,000 train, 500 validation, 500 test; nothing is paid"
    assert words(found["data"]) == told
    assert words(found["exam"]) == "500 rows, about 1,000 calls"
    edit(folder, "pipeline.toml", HELD_OUT[1], f"{HELD_OUT[1]}\nlimit = 30")
    assert words(planned(maestrale, folder)["exam"]) == "30 rows, about 60 calls"


def test_epochs_are_of_the_tokens_that_are_expected(maestrale: Maestrale, folder: Path) -> None:
    """However many records there will be: 80 rows of some 40 tokens, 1,000 times, in steps."""
    edit(folder, "pipeline.toml", 'steps = "{{ vars.steps }}"', "epochs = 1000")
    once = cost(planned(maestrale, folder)["tuned"]) or 0.0
    tokens = once / 2e-6
    assert 80 * 20 * 1_000 < tokens < 80 * 80 * 1_000
    axes = "epochs = 1000\nsweep = { lr = [1e-4, 5e-5, 1e-5] }"
    edit(folder, "pipeline.toml", "epochs = 1000", axes)
    swept = planned(maestrale, folder)["tuned"]
    assert cost(swept) == pytest.approx(3 * once)
    assert words(swept).startswith("3 runs, ")


def test_runs_ranked_by_a_suite_cost_that_too(maestrale: Maestrale, folder: Path) -> None:
    """12 rows to each of two runs."""
    more = 'sweep = { lr = [1e-4, 5e-5] }\nrank_by = "suite.toml:accuracy"\n'
    more += 'ranking = { data = "exam.jsonl", prompt = "bare" }'
    edit(folder, "pipeline.toml", 'steps = "{{ vars.steps }}"', f"steps = 5\n{more}")
    told = planned(maestrale, folder)["tuned"]
    assert words(told).startswith("2 runs, 10 steps; it will overfit: ")
    assert "; ranked by 12 rows, about 24 calls for about $" in words(told)
    assert (cost(told) or 0.0) > 10 * 131_072 * 2e-6


def test_what_is_on_this_machine_costs_nothing(maestrale: Maestrale, folder: Path) -> None:
    """The training and whom it made; others who are asked beside it cost what they cost."""
    edit(folder, "pipeline.toml", 'trainer = "mistral"', 'trainer = "local"')
    edit(folder, "pipeline.toml", "open-mistral-nemo", "models/smollm2")
    found = planned(maestrale, folder)
    seen = "10 steps on this machine, for nothing; each token is seen 1.0 times"
    assert words(found["tuned"]) == seen
    assert cost(found["tuned"]) == 0.0
    assert words(found["exam"]).endswith("small-tuned on this machine, for nothing")
    assert (cost(found["exam"]) or 0.0) > 0
    edit(folder, "pipeline.toml", '"mistral-small-latest", ', '"{{ tuned.base }}", ')
    assert cost(planned(maestrale, folder)["exam"]) == 0.0


def test_a_model_of_the_registry_costs_nothing_here(maestrale: Maestrale, folder: Path) -> None:
    """Also where nothing of the stage is rough; a price in the operator's table holds."""
    an_own_model(maestrale)
    edit(folder, "pipeline.toml", '"mistral-small-latest", "{{ tuned.model }}@bare"', '"small-own"')
    exam = planned(maestrale, folder)["exam"]
    assert cost(exam) == 0.0
    assert words(exam) == "12 rows, about 12 calls; small-own on this machine, for nothing"
    assert maestrale.settings.prices_file is not None
    with maestrale.settings.prices_file.open("a") as file:
        file.write('"small-own" = { input = 100.0, output = 0.0 }\n')
    load_prices.cache_clear()
    exam = planned(maestrale, folder)["exam"]
    assert (cost(exam) or 0.0) > 0
    assert words(exam) == "12 rows, about 12 calls"


def test_what_nobody_can_tell_says_why(maestrale: Maestrale, folder: Path) -> None:
    """A key that reads what only a run tells; a model without a price."""
    edit(folder, "pipeline.toml", 'steps = "{{ vars.steps }}"', "steps = 5")
    edit(folder, "pipeline.toml", *HELD_OUT)
    edit(folder, "pipeline.toml", '"mistral-small-latest", ', '"nobody-knows", ')
    edit(folder, "recipe.toml", LABEL, LABELLED)
    more = '[[stages]]\nname = "late"\nkind = "review"\nevaluation = "{{ exam.job }}"\n'
    more += 'question = "?"\npairs = "{{ tuned.metrics.steps }}"\n'
    with (folder / "pipeline.toml").open("a") as file:
        file.write(more)
    found = planned(maestrale, folder)
    assert cost(found["exam"]) is None
    assert "no price is known of nobody-knows" in words(found["exam"])
    assert found["late"].expected is None
    assert "cannot be told yet, for it depends on tuned, exam: " in found["late"].why
    assert "there is no 'steps'" in found["late"].why
    total = stage_words.total(list(found.values()))
    assert total.startswith("at least $")
    assert total.endswith("(of 5 stages 1 roughly known, 2 not known)")
    assert stage_words.planned_facts(found["late"])["why"] == found["late"].why


def test_a_plan_warns_of_learning_by_heart(maestrale: Maestrale) -> None:
    """The shipped sample asked for three passes, and one step of the provider's makes 23 of it."""
    found = planned(maestrale, "tak")
    assert "it will overfit: each token is seen 22.7 times" in words(found["model"])


@pytest.mark.parametrize("trainer", ["mistral", "local"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_stage_of_every_recipe_has_a_cost_or_a_reason(
    tmp_path: Path, name: str, trainer: str
) -> None:
    """By the shipped prices, which know of no training."""
    home: dict[str, Any] = {"MAESTRALE_HOME": tmp_path}
    given = {"trainer": trainer} | ({"base": "smollm2"} if trainer == "local" else {})
    with Maestrale(Settings(_env_file=None, **home)) as opened:
        found = planned(opened, name, variables=given)
    for stage, one in found.items():
        if one.prepared.kind == "train" and trainer == "mistral":
            assert "no price is known of training" in words(one)
            assert "the provider tells its own before it begins" in words(one)
            assert "largest part" in stage_words.not_in_total(list(found.values()))
        else:
            assert cost(one) is not None, stage


def test_a_recipe_that_asks_our_own_model_has_it_served(
    maestrale: Maestrale, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an evaluation does: a server is started for it before its job is there."""
    told = RunSpec(pipeline=load_pipeline(str(folder)), via="batch")
    an_own_model(maestrale)
    started: list[tuple[str, int]] = []
    monkeypatch.setattr(
        serving, "_start", lambda *told: started.append((told[2].name, len(maestrale.jobs())))
    )
    stage = Stage(run_id="job_r", name="pairs", place=0, kind="generate")
    asked = Generate(name="pairs", kind="generate", input="rows.jsonl", model="small-own")
    run = maestrale.get("job_r")
    hand = Hand(maestrale, run, told, stage, asked, "d" * 64)
    with generating.plan(hand) as checked:
        assert checked.route.via == "realtime", "our own machine has no batches"
    generating.begin(hand)
    assert started == [("small-own", 1)]
