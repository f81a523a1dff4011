"""Faithfulness, relevancy, loss, perplexity, and the lengths of answers."""

import math

import numpy as np
import pytest
from evaluated import (
    an_evaluation,
    comparison,
    figure,
    found,
    grounded,
    lost,
    report_of,
    said,
)
from scipy import stats

from models.suites.outcomes import Loss


def test_faithfulness_is_the_mean_of_answers_that_can_be_checked():
    """By hand: 1, 0.5, 0 and one not to be had: 1.5 / 3; a quarter is unknown."""
    values = [1.0, 0.5, 0.0, None]
    rows = [[grounded("m", value, 0.8)] for value in values]
    told = report_of(an_evaluation("grounded", ["m"]), found(*rows))
    assert (figure(told, "m", "faithfulness").value, figure(told, "m", "faithfulness").n) == (
        0.5,
        3,
    )
    assert figure(told, "m", "unfaithful_unknown").value == 0.25
    assert figure(told, "m", "relevancy").value == pytest.approx(0.8)
    assert figure(told, "m", "claims").value == 4


def test_grounds_are_compared_on_rows_where_both_are_known():
    """A row where one model's faithfulness is unknown is in no difference."""
    rng = np.random.default_rng(0)
    base, tuned = rng.random((2, 30))
    rows = [
        [grounded("base", one if no else None, 0.5), grounded("tuned", other, 0.5)]
        for no, (one, other) in enumerate(zip(base, tuned, strict=True))
    ]
    told = report_of(an_evaluation("grounded"), found(*rows))
    one = comparison(told, "faithfulness")
    assert one.rows == 29
    assert one.difference.value == pytest.approx((tuned - base)[1:].mean())
    won = int((tuned > base)[1:].sum())
    assert one.p == pytest.approx(stats.binomtest(won, 29).pvalue)
    assert comparison(told, "relevancy").verdict == "Alike on all 30 rows."


def test_nothing_to_check_has_no_faithfulness():
    """No answer could be checked: None and why."""
    told = report_of(an_evaluation("grounded", ["m"]), found([grounded("m", None, None)]))
    assert figure(told, "m", "faithfulness").value is None
    assert figure(told, "m", "faithfulness").why == "no answer could be checked"


def test_loss_and_perplexity_by_hand():
    """20 nats of 10 tokens and 10 of 20: 30 / 30 = 1 nat a token, and not (2 + 0.5) / 2."""
    told = report_of(
        an_evaluation("perplexity", ["m"]), found([lost("m", 20.0, 10)], [lost("m", 10.0, 20)])
    )
    assert figure(told, "m", "loss").value == pytest.approx(1)
    assert figure(told, "m", "perplexity").value == pytest.approx(math.e)
    assert (figure(told, "m", "tokens").value, figure(told, "m", "tokens").n) == (30, 2)


def test_the_interval_of_perplexity_is_that_of_the_loss():
    """exp keeps the order: BCa of the one is nearly exp of the other's."""
    rng = np.random.default_rng(1)
    rows = [[lost("m", float(nll), 100)] for nll in rng.normal(250, 40, 60)]
    told = report_of(an_evaluation("perplexity", ["m"]), found(*rows))
    loss, perplexity = figure(told, "m", "loss"), figure(told, "m", "perplexity")
    ends = math.exp(loss.low), math.exp(loss.high)
    assert (perplexity.low, perplexity.high) == pytest.approx(ends, rel=0.01)


def test_losses_are_paired_by_row():
    """Rows differ widely, models by a little on each: told, where separate intervals overlap."""
    rng = np.random.default_rng(2)
    hard = rng.normal(250, 60, 40)
    rows = [[lost("base", float(one), 100), lost("tuned", float(one) - 3, 100)] for one in hard]
    told = report_of(an_evaluation("perplexity"), found(*rows))
    assert figure(told, "tuned", "loss").high > figure(told, "base", "loss").low
    one = comparison(told, "loss")
    assert one.told
    assert one.verdict.startswith("tuned is better than base by 0.030 nats")


def test_models_with_other_tokens_are_not_compared_by_token():
    """The same text in 10 and in 20 tokens: 1 and 0.6 nats a token, 10 and 12 nats a row: the
    second is the worse, though its perplexity is the lower."""
    rows = [[lost("base", 10.0, 10), lost("other", 12.0, 20)]] * 12
    told = report_of(an_evaluation("perplexity", ["base", "other"]), found(*rows))
    assert figure(told, "other", "perplexity").value < figure(told, "base", "perplexity").value
    one = told.comparisons[0]
    assert (one.metric, one.difference.value) == ("nats per row", 2)
    assert one.verdict.startswith("other is worse than base")
    assert any("different tokens" in warning for warning in told.warnings)


def test_rows_that_could_not_be_measured_are_said():
    """No tokens, or a problem: in no loss, and counted."""
    rows = [[lost("m", 10.0, 10)], [Loss("m", 0, 0.0, problem="invalid_answer")]]
    told = report_of(an_evaluation("perplexity", ["m"]), found(*rows))
    assert figure(told, "m", "loss").n == 1
    assert any("1 row could not be measured for m" in warning for warning in told.warnings)


def test_lengths_of_answers_of_use():
    """By hand: 2, 4 and one of no use: mean 3, median 3; a third is not valid."""
    rows = [[said("m", text, None)] for text in ("ab", "abcd", None)]
    told = report_of(an_evaluation("samples", ["m"]), found(*rows))
    assert figure(told, "m", "characters").value == 3
    assert figure(told, "m", "characters_median").value == 3
    assert figure(told, "m", "invalid").value == pytest.approx(1 / 3)
    assert told.comparisons == [], "people say which is better"
