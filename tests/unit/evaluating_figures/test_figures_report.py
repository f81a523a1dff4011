"""The report as a whole: costs, latency, problems, warnings, examples, facts, and its edges."""

import json
import random
import shlex

import numpy as np
import pytest
from evaluated import (
    SECTIONS,
    Found,
    a_job,
    all_figures,
    an_evaluation,
    figure,
    found,
    grounded,
    labelled,
    lost,
    paid,
    preferred,
    report_of,
    said,
    verdicts,
)

from models.errors import BadInputError
from models.suites.outcomes import to_outcomes, to_record
from producers.evaluating.figures import libraries
from producers.evaluating.figures.build import Facts, build
from producers.evaluating.figures.spending import by_row, thinned
from producers.evaluating.report import to_json

GOLD = ["yes", "no"] * 20


def some_rows(kind: str, rows: int) -> list[Found]:
    """Done rows of any kind, a little different from each other."""
    rng = random.Random(1)

    def outcomes():
        match kind:
            case "pairwise":
                return verdicts("base", "tuned", (rng.randint(0, 3), 2), (1, rng.randint(0, 3)))
            case "judges":
                return preferred("judge", rng.choice([1.0, -2.0, None]), rng.choice([1.0, -1.0]))
            case "grounded":
                return [grounded(one, rng.random(), rng.random()) for one in ("base", "tuned")]
            case "perplexity":
                return [lost(one, rng.uniform(10, 90), 30) for one in ("base", "tuned")]
            case _:
                return [said(one, rng.choice("AB"), "A") for one in ("base", "tuned")]

    answers = [said(one, "yes", None) for one in ("base", "tuned")]
    judged = kind in ("pairwise", "grounded")
    return found(*([*(answers if judged else []), *outcomes()] for _ in range(rows)))


@pytest.mark.parametrize("rows", [0, 1, 2, 40])
@pytest.mark.parametrize("kind", SECTIONS)
def test_every_kind_makes_a_report_of_any_number_of_rows(kind, rows):
    """It is JSON without NaN; figures without a value say why; intervals hold their value, and say
    by which method and of how many."""
    labels = {"classification": {"labels": ["A", "B"]}} if kind == "classification" else {}
    told = report_of(an_evaluation(kind, **labels), some_rows(kind, rows))
    json.dumps(to_json(told), allow_nan=False)
    for one in all_figures(told):
        assert one.value is not None or one.why, one
        if one.low is not None:
            assert one.method and one.n, one
            assert one.low - 1e-9 <= one.value <= one.high + 1e-9, one
    assert len(told.summary.rows) == (1 if kind == "judges" else 2)


@pytest.mark.parametrize("kind", SECTIONS)
def test_the_same_rows_make_the_same_report(kind):
    """To the last digit; rows are read once, as they come."""
    labels = {"classification": {"labels": ["A", "B"]}} if kind == "classification" else {}
    one, other = (
        to_json(report_of(an_evaluation(kind, **labels), iter(some_rows(kind, 30)))) for _ in "12"
    )
    assert one == other


def test_records_of_the_database_are_what_is_read():
    """Outcomes that went through JSON, as workers write them, make the same report."""
    rows = some_rows("pairwise", 12)
    through = []
    for row in rows:
        written = json.dumps([to_record(one) for one in row.outcomes])
        through.append(Found(row.row_id, row.data, list(to_outcomes(json.loads(written)))))
    evaluation = an_evaluation("pairwise")
    assert to_json(report_of(evaluation, rows)) == to_json(report_of(evaluation, through))


def spent(*costs: int | None, **more):
    rows = [[said("m", "yes", "yes", paid=paid(cost_nano=cost, **more))] for cost in costs]
    return report_of(an_evaluation(models=["m"]), found(*rows))


def test_costs_are_summed_and_told_per_thousand():
    """0.001, 0.002 and 0.003 USD: 0.006, and 2 USD for a thousand."""
    told = spent(1_000_000, 2_000_000, 3_000_000)
    assert figure(told, "m", "cost_usd").value == pytest.approx(0.006)
    assert figure(told, "m", "cost_usd_per_1000").value == pytest.approx(2)


def test_an_unknown_cost_is_not_zero():
    """One answer without a known price: no sum, and why; a model that is free costs 0."""
    told = spent(1000, None, 1000)
    got = figure(told, "m", "cost_usd")
    assert got.value is None
    assert "unknown: 1 answer" in got.why
    assert any("the cost of m is unknown" in one for one in told.warnings)
    assert figure(spent(0, 0), "m", "cost_usd").value == 0


def test_the_judge_has_a_line_of_its_own_in_the_costs():
    """What verdicts took is not the contestants'."""
    told = report_of(an_evaluation("pairwise"), some_rows("pairwise", 5))
    table = next(one.tables[0] for one in told.sections if one.title == "Cost")
    calls = {name: cells[0].value for name, *cells in table.rows}
    assert calls == {"base": 5, "tuned": 5, "judge (judging)": 10}


def test_judges_that_are_compared_have_their_costs_as_figures():
    """Kind judges: they are what is under test."""
    told = report_of(an_evaluation("judges"), some_rows("judges", 10))
    assert figure(told, "judge", "cost_usd").value == pytest.approx(20 * 1000 / 1e9)
    assert figure(told, "judge", "latency_ms_mean").value == 100


def test_latency_is_per_call():
    """By hand: 300 ms of one call, 500 of two: mean 800 / 3; answers' own 300 and 250: median 275.
    An answer without a call took no time, and is not counted as fast."""
    rows = [
        [said("m", "yes", "yes", paid=paid(latency_ms=300))],
        [said("m", "yes", "yes", paid=paid(latency_ms=500, calls=2))],
        [said("m", None, "yes", paid=paid(latency_ms=0, calls=0))],
    ]
    told = report_of(an_evaluation(models=["m"]), found(*rows))
    assert figure(told, "m", "latency_ms_mean").value == pytest.approx(800 / 3)
    assert figure(told, "m", "latency_ms_mean").n == 3
    assert figure(told, "m", "latency_ms_p50").value == pytest.approx(275)


def waited(*latencies: int):
    """The report of a model's answers of one call each."""
    rows = [[said("m", "yes", "yes", paid=paid(latency_ms=one))] for one in latencies]
    return report_of(an_evaluation(models=["m"]), found(*rows))


def test_what_a_batch_answered_is_not_counted_as_fast():
    """A batch tells no latency: it is that of the other answers, and says of how many."""
    told = waited(0, 200, 0, 400)
    got = [figure(told, "m", name) for name in ("latency_ms_mean", "latency_ms_p50")]
    assert [(one.value, one.n) for one in got] == [(300, 2), (300, 2)]
    part = next(one for one in told.sections if one.title == "Latency")
    assert "m: 2 of 4 answers" in part.tables[0].note
    assert list(part.charts[0].series[0].values) == [200, 400]
    assert not next(one for one in waited(200).sections if one.title == "Latency").tables[0].note


def test_latency_of_batches_alone_is_not_known():
    """And why; their costs are."""
    told = waited(0, 0)
    for name in ("latency_ms_mean", "latency_ms_p50", "latency_ms_p95"):
        got = figure(told, "m", name)
        assert (got.value, got.n, got.why) == (None, 0, "answered by batch")
    assert figure(told, "m", "cost_usd").value


def test_latencies_are_numpys():
    """Mean, median and 95th percentile of a hundred answers."""
    times = np.random.default_rng(0).integers(50, 5000, 100)
    rows = [[said("m", "yes", "yes", paid=paid(latency_ms=int(one)))] for one in times]
    told = report_of(an_evaluation(models=["m"]), found(*rows))
    names = ("latency_ms_mean", "latency_ms_p50", "latency_ms_p95")
    got = [figure(told, "m", name).value for name in names]
    assert got == pytest.approx([times.mean(), np.median(times), np.quantile(times, 0.95)])
    assert all(figure(told, "m", name).low is not None for name in names)


def test_logs_become_rows_and_histograms_stay_small():
    """Lines of a log are put beside each other by row; a histogram carries a thousand values."""
    table = by_row(np.array([2.0, 0, 2]), np.array([5.0, 6, 7]), 3)
    assert table == pytest.approx(np.array([[6, np.nan], [np.nan] * 2, [5, 7]]), nan_ok=True)
    values = np.random.default_rng(0).normal(size=(3000, 2))
    assert len(thinned(values)) == 1000
    assert np.mean(thinned(values)) == pytest.approx(values.mean(), abs=0.01)


def test_problems_are_counted_by_code():
    """Two cut off, one refused, of eight."""
    problems = ["truncated", "truncated", "refused"]
    rows = [[said("m", None, "yes", problem=one)] for one in problems]
    rows += [[said("m", "yes", "yes")] for _ in range(5)]
    told = report_of(an_evaluation(models=["m"]), found(*rows))
    table = next(one.tables[0] for one in told.sections if one.title == "Answers of no use")
    assert table.columns == ["Model", "Answers", "Of use", "truncated", "refused"]
    assert [cell.value for cell in table.rows[0][1:]] == [8, 5, 2, 1]
    assert any("25% of the answers of m were cut off" in one for one in told.warnings)


def test_rows_that_failed_are_said():
    """They are in no figure; by reason, where that is known."""
    more = Facts(failures={"server_error": 2, "bad_row": 1})
    told = build(an_evaluation(), a_job(rows_failed=3), labelled(GOLD, base=GOLD, tuned=GOLD), more)
    warning = next(one for one in told.warnings if "failed" in one)
    assert warning.startswith("3 rows failed (server_error 2, bad_row 1) and are in no figure")


def test_few_rows_and_wide_intervals_are_warned_of():
    """Ten rows; forty rows where half are right; and none of it for many that are right."""
    few = report_of(an_evaluation(), labelled(GOLD[:10], base=GOLD[:10], tuned=GOLD[:10]))
    assert any(one.startswith("10 rows only") for one in few.warnings)
    wide = report_of(an_evaluation(), labelled(GOLD, base=["yes"] * 40, tuned=GOLD))
    assert any(one.startswith("too few rows to say Accuracy") for one in wide.warnings)
    many = report_of(an_evaluation(), labelled(GOLD * 20, base=GOLD * 20, tuned=GOLD * 20))
    assert many.warnings == []


def test_different_numbers_of_answers_are_said():
    """One model has an attempt less: figures take what there is, and say so."""
    rows = [
        [said("base", "yes", "yes"), said("tuned", "yes", "yes"), said("tuned", "no", "yes", 2)]
    ]
    told = report_of(an_evaluation(attempts=2), found(*rows * 6))
    assert figure(told, "base", "accuracy").n == 6
    assert figure(told, "tuned", "accuracy").n == 12
    assert any("different numbers of answers (base 6, tuned 12)" in one for one in told.warnings)


def test_a_job_that_still_runs_says_so():
    """The figures of the rows that are done."""
    told = report_of(an_evaluation(), labelled(GOLD, base=GOLD, tuned=GOLD), state="running")
    assert "the job is running" in told.warnings[0]


def test_answers_of_models_that_were_not_asked_are_passed_over():
    """Records of another version, or attempts beyond: nothing breaks, nothing is counted."""
    rows = [[said("base", "yes", "yes"), said("other", "no", "yes"), said("base", "no", "yes", 7)]]
    told = report_of(an_evaluation(models=["base"]), found(*rows))
    assert figure(told, "base", "accuracy").value == 1
    assert list(told.figures) == ["base"]


def differing(rows: int, apart: int):
    """Rows where both are right, but for the last ones, where only the second is."""
    gold = ["yes"] * rows
    return labelled(gold, base=["yes"] * (rows - apart) + ["no"] * apart, tuned=gold)


def test_examples_are_rows_where_models_differ():
    """Where they agree there is nothing to see; who is right is said."""
    told = report_of(an_evaluation(), differing(30, 3))
    assert [one.row_id for one in told.examples] == ["r27", "r28", "r29"]
    first = told.examples[0]
    assert (first.question, first.gold) == ("question 27", "yes")
    assert first.answers == [("base", "no", False), ("tuned", "yes", True)]


def test_many_examples_are_drawn_by_the_seed():
    """Twenty of a hundred, from all over, the same for the same seed, others for another."""
    one, same, other = (
        [row.row_id for row in report_of(an_evaluation(seed=seed), differing(100, 100)).examples]
        for seed in (0, 0, 1)
    )
    assert len(one) == 20
    assert one == same != other
    assert any(int(row_id[1:]) >= 50 for row_id in one)


def test_right_against_wrong_comes_before_other_differences():
    """Two wrong answers that differ are shown after one that is right where another is wrong."""
    labels = {"labels": ["a", "b", "c"]}
    rows = labelled(["a"] * 40, base=["b"] * 39 + ["a"], tuned=["c"] * 40)
    told = report_of(an_evaluation(classification=labels), rows)
    assert told.examples[0].row_id == "r39"
    assert len(told.examples) == 20


def test_long_texts_are_cut_and_the_right_answer_is_not_in_the_question():
    """An example shows the row's fields without its label, within bounds."""
    row = Found(
        "r0",
        {"q": "x" * 9000, "label": "secret"},
        [said("base", "a", "b"), said("tuned", "b", "b")],
    )
    told = report_of(an_evaluation(classification={"labels": ["a", "b"]}), [row])
    assert len(told.examples[0].question) == 1500
    assert "secret" not in told.examples[0].question


def test_the_command_repeats_it():
    """Models, data, attempts, judges and store, quoted for a shell."""
    evaluation = an_evaluation("pairwise", ["base", "tuned model"], 3, judges=["large"])
    evaluation = evaluation.model_copy(update={"store": "docs"})
    more = Facts(suite="recipes/bsard", data="my rows.jsonl", limit=50)
    told = build(evaluation, a_job(), some_rows("pairwise", 3), more)
    assert shlex.split(told.repeat) == [
        *("maestrale", "evaluate", "recipes/bsard", "--models", "base,tuned model"),
        *("--data", "my rows.jsonl", "--attempts", "3", "--judge", "large"),
        *("--store", "docs", "--limit", "50"),
    ]


def test_the_suites_own_rows_are_not_named_in_the_command():
    """The suite finds them wherever the command is given; a bare file name would not be found."""
    told = build(
        an_evaluation(), a_job(), labelled(GOLD, base=GOLD, tuned=GOLD), Facts(suite="tak")
    )
    assert shlex.split(told.repeat) == [
        *("maestrale", "evaluate", "tak", "--models", "base,tuned", "--attempts", "1"),
    ]


def test_the_facts_are_all_there():
    """What one needs to trust a figure: hashes, data, models, seed, job, versions."""
    evaluation = an_evaluation(seed=7)
    more = Facts(models={"tuned": "SmolLM2-135M, dataset 1234"})
    told = build(evaluation, a_job(), labelled(GOLD, base=GOLD, tuned=GOLD), more)
    facts = [*told.facts]
    for pair in (
        ("Suite's hash", evaluation.suite.hash),
        ("Data", "rows.jsonl"),
        ("Fingerprint of data, suite and options", "f" * 64),
        ("Model", "tuned: SmolLM2-135M, dataset 1234"),
        ("Seed", "7"),
        ("Job", "job_1"),
    ):
        assert pair in facts
    assert {"numpy", "scipy", "scikit-learn", "statsmodels"} <= {name for name, _ in facts}


def test_missing_libraries_are_named_before_anything_is_paid(monkeypatch):
    """Exit code 2, with the line that installs them."""
    monkeypatch.setattr(libraries, "MODULES", ("scipy", "not_there_at_all"))
    with pytest.raises(BadInputError, match=r"not_there_at_all.*pip install 'maestrale") as caught:
        libraries.require_libraries()
    assert caught.value.exit_code == 2
