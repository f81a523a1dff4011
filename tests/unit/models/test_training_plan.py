"""How much a run does: steps from tokens, cost and time, and never a zero for what is unknown."""

import math
from typing import Any

import pytest

from models.errors import BadInputError
from models.training import DatasetRef, TrainingSpec
from models.training.plan import (
    Length,
    Pace,
    perplexity,
    plan,
    seconds_per_step,
    steps_for,
    tokens_per_step,
)


def a_ref(**changes: Any) -> DatasetRef:
    values = {"name": "news", "hash": "h", "folder": "/d", "train_rows": 100}
    return DatasetRef(**{**values, "train_tokens": 20_000, **changes})


def a_spec(**changes: Any) -> TrainingSpec:
    values = {"trainer": "local", "base": "smollm2", "name": "news", "steps": 10}
    return TrainingSpec(**{**values, "dataset": a_ref(), **changes})


SIZES = {"batch_size": 8, "seq_len": 1024}


@pytest.mark.parametrize(
    ("length", "steps"),
    [
        (Length(), 38),  # each of 100 rows three times, 8 a step
        (Length(epochs=1), 13),
        (Length(tokens_seen=0.01), 1),
        (Length(steps=7), 7),
    ],
)
def test_here_each_row_is_seen_as_often_as_its_tokens(length: Length, steps: int) -> None:
    """Tokens of all rows over tokens of a step: rows over rows, whatever the tokenizer."""
    assert steps_for(length, "local", a_ref(), **SIZES) == steps
    assert steps_for(length, "local", a_ref(train_tokens=0), **SIZES) == steps


def test_the_provider_s_steps_are_131072_tokens_each() -> None:
    """ceil(3 * tokens / 131,072); without tokens only --steps will do."""
    data = a_ref(train_tokens=1_000_000)
    assert steps_for(Length(), "mistral", data, **SIZES) == math.ceil(3_000_000 / 131_072)
    assert steps_for(Length(steps=4), "mistral", a_ref(train_tokens=0), **SIZES) == 4
    with pytest.raises(BadInputError, match="--steps"):
        steps_for(Length(), "mistral", a_ref(train_tokens=0), **SIZES)


@pytest.mark.parametrize("length", [Length(1, 1.0), Length(1, None, 3.0), Length(None, 2.0, 3.0)])
def test_a_run_has_one_length(length: Length) -> None:
    """Two ways to say it contradict each other."""
    with pytest.raises(BadInputError, match="take one of"):
        length.checked()


@pytest.mark.parametrize(
    "length", [Length(epochs=-1.0), Length(tokens_seen=math.nan), Length(epochs=math.inf)]
)
def test_a_length_is_a_length(length: Length) -> None:
    """Neither backwards nor endless."""
    with pytest.raises(BadInputError):
        length.checked()


def test_rows_longer_than_the_sequence_are_counted_as_they_are_cut() -> None:
    """The mean row has 200 tokens; of 150 at most, a step of 8 reads 1200."""
    assert tokens_per_step("local", a_ref(), batch_size=8, seq_len=1024) == 1600
    assert tokens_per_step("local", a_ref(), batch_size=8, seq_len=150) == 1200
    assert tokens_per_step("local", a_ref(train_tokens=0), batch_size=8, seq_len=150) is None


def test_the_last_step_of_a_pass_takes_what_is_left() -> None:
    """100 rows by 8 are 13 steps, and 13 steps are one pass: no more tokens than there are."""
    told = plan(a_spec(steps=13))
    assert (told.tokens, told.passes) == (20_000, 1.0)
    assert plan(a_spec(steps=14)).tokens == 20_000 + 8 * 200
    few = a_ref(train_rows=3, train_tokens=600)
    assert steps_for(Length(), "local", few, **SIZES) == 3
    told = plan(a_spec(steps=3, dataset=few))
    assert (told.tokens_per_step, told.tokens, told.passes) == (600.0, 1800, 3.0)


def test_what_is_not_known_is_unknown() -> None:
    """No price, no tokens, no run before: None, never zero."""
    told = plan(a_spec(trainer="mistral"))
    assert (told.cost_usd, told.seconds) == (None, None)
    assert plan(a_spec(dataset=a_ref(train_tokens=0))).tokens is None


def test_the_provider_s_cost_is_that_of_the_tokens_trained_on() -> None:
    """Ten steps of 131,072 tokens at 4 USD a million."""
    told = plan(a_spec(trainer="mistral"), usd_per_million=4.0)
    assert told.cost_usd == pytest.approx(10 * 131_072 * 4 / 1e6)
    assert plan(a_spec()).cost_usd == 0.0


def test_time_is_reckoned_by_an_earlier_run_of_the_same_base() -> None:
    """Twice as long for steps twice as large."""
    pace = Pace("job_1", seconds_per_step=2.0, tokens_per_step=800)
    told = plan(a_spec(), pace=pace)
    assert (told.seconds, told.like) == (40.0, "job_1")
    assert plan(a_spec(), pace=Pace("job_1", 2.0, None)).seconds == 20.0


def test_a_pace_forgives_a_night_in_between() -> None:
    """The median of the steps; validations before the first say nothing."""
    seen = [(0, 0.0), (1, 100.0), (2, 102.0), (3, 104.0), (4, 30_000.0), (5, 30_002.0)]
    assert seconds_per_step(seen) == 2.0
    assert seconds_per_step(seen[:2]) is None


def test_perplexity_is_e_to_the_loss() -> None:
    """And nothing where there is no loss."""
    assert perplexity(0.0) == 1.0
    assert perplexity(None) is None
    assert perplexity(1e6) is None
