"""Labels: accuracy, precision, recall, F1 and the matrix, by hand and by scikit-learn; tokens."""

import numpy as np
import pytest
from evaluated import (
    LABELS,
    an_evaluation,
    comparison,
    figure,
    found,
    labelled,
    paid,
    report_of,
    said,
)
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from producers.evaluating.figures.classification import NO_ANSWER, f1_of, macro_f1
from producers.evaluating.previewing import Previewer
from producers.evaluating.report import Report
from producers.tokens import count

YES, NO = "yes", "no"
GOLD = [YES] * 4 + [NO] * 6
SAID = [YES, YES, None, NO, NO, NO, NO, NO, YES, None]
THREE = {**LABELS, "labels": ["a", "b", "c"], "positive": None}
# not one of the suite's labels: how the figures' own "no valid answer" looks to scikit-learn
INVALID = "invalid"


def report(gold=GOLD, said_by=SAID, **more) -> Report:
    return report_of(an_evaluation(models=["m"], **more), labelled(gold, m=said_by))


def random_rows(seed: int, labels: list[str]):
    rng = np.random.default_rng(seed)
    gold = [str(one) for one in rng.choice(labels, 80)]
    told = [str(one) for one in rng.choice([*labels, INVALID], 80)]
    told = [g if rng.random() < 0.5 else t for g, t in zip(gold, told, strict=True)]
    return gold, told, [None if one == INVALID else one for one in told]


def test_the_figures_by_hand():
    """Four rows are `yes`: two are found, one is missed, one has no valid answer. Six are `no`:
    four are right, one is called `yes`, one has no valid answer.

    Accuracy (2 + 4) / 10; precision 2 of the 3 that are called `yes`; recall 2 of 4, since the
    invalid one is a miss; F1 = 2 * 2 / (3 + 4) = 4 / 7; F1 of `no` = 2 * 4 / (5 + 6) = 8 / 11,
    since 5 are called `no`, and the invalid one is a miss of it.
    """
    told = report()
    expected = {"accuracy": 0.6, "precision": 2 / 3, "recall": 0.5, "f1": 4 / 7, "invalid": 0.2}
    expected |= {"f1_no": 8 / 11, "f1_macro": (4 / 7 + 8 / 11) / 2}
    got = {name: figure(told, "m", name).value for name in expected}
    assert got == pytest.approx(expected)
    assert [figure(told, "m", name).n for name in ("accuracy", "precision", "recall")] == [10, 3, 4]


def test_the_matrix_has_a_column_for_no_valid_answer():
    """By the same hand: yes: 2, 1, 1; no: 1, 4, 1. All ten answers are in it."""
    section = next(one for one in report().sections if one.tables[0].title == "m")
    table = section.tables[0]
    assert table.columns == ["Label", YES, NO, NO_ANSWER]
    counts = {name: [cell.value for cell in cells] for name, *cells in table.rows}
    assert counts == {YES: [2, 1, 1], NO: [1, 4, 1]}
    assert [line.values for line in section.charts[0].series] == [[2, 1, 1], [1, 4, 1]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("labels", [[YES, NO], ["a", "b", "c"]])
def test_the_figures_are_scikit_learns(labels, seed):
    """With invalid answers as a label that no row has, scikit-learn's figures are ours."""
    gold, theirs, ours = random_rows(seed, labels)
    told = report(gold, ours, classification={**LABELS, "labels": labels, "positive": labels[0]})
    precision, recall, f1, _ = precision_recall_fscore_support(gold, theirs, labels=labels)
    for place, label in enumerate(labels):
        values = [
            figure(told, "m", f"{name}_{label}").value for name in ("precision", "recall", "f1")
        ]
        assert values == pytest.approx([precision[place], recall[place], f1[place]])
    assert figure(told, "m", "f1") == figure(told, "m", f"f1_{labels[0]}")
    assert figure(told, "m", "accuracy").value == pytest.approx(accuracy_score(gold, theirs))
    macro = f1_score(gold, theirs, labels=labels, average="macro")
    assert figure(told, "m", "f1_macro").value == pytest.approx(macro)


@pytest.mark.parametrize("seed", range(4))
def test_the_formulas_of_the_draws_are_scikit_learns(seed):
    """Draws work F1 out of a confusion matrix: the same values as scikit-learn of its answers."""
    labels = ["a", "b", "c"]
    gold, theirs, _ = random_rows(seed, labels)
    matrix = confusion_matrix(gold, theirs, labels=[*labels, INVALID])[:3].astype(float).ravel()
    for place, label in enumerate(labels):
        exact = f1_score(gold, theirs, labels=[label], average="macro")
        assert float(f1_of(place, 3)(matrix)) == pytest.approx(exact)
    exact = f1_score(gold, theirs, labels=labels, average="macro")
    assert float(macro_f1(3)(matrix)) == pytest.approx(exact)


def test_three_labels_without_a_positive_one_have_macro_f1():
    """No label is the positive one: F1 is the mean over all, and there is no one precision."""
    told = report(["a", "b", "c"] * 4, ["a", "b", "b"] * 4, classification=THREE)
    assert figure(told, "m", "f1") == figure(told, "m", "f1_macro")
    assert "precision" not in told.figures["m"]
    assert "F1 (macro)" in told.summary.columns


def test_of_two_labels_the_first_is_positive_unless_named():
    """`positive` left out: the first label's precision."""
    told = report(classification={**LABELS, "positive": None})
    assert figure(told, "m", "precision") == figure(told, "m", "precision_yes")


def test_no_valid_answer_at_all_is_all_wrong():
    """Nothing is dropped: accuracy, recall and F1 are 0, precision has nothing to be of."""
    told = report(said_by=[None] * 10)
    for name in ("accuracy", "recall", "f1"):
        got = figure(told, "m", name)
        assert got.value == 0
        assert got.high > 0.1, "an interval all the same"
    precision = figure(told, "m", "precision")
    assert (precision.value, precision.n, precision.why) == (None, 0, "no answer says this label")
    assert figure(told, "m", "invalid").value == 1
    assert any("never gave an answer of use" in warning for warning in told.warnings)


def test_one_class_only_has_no_figures_of_the_other():
    """All rows are `no` and called so: F1 of `yes` cannot be had, and is not 0."""
    told = report([NO] * 12, [NO] * 12)
    assert figure(told, "m", "accuracy").value == 1
    assert figure(told, "m", "f1").value is None
    assert figure(told, "m", "recall").why == "no row has this label"
    assert figure(told, "m", "f1_macro").value == 1, "the mean of labels that are there"


def test_a_perfect_f1_has_an_interval():
    """No draw of perfect rows differs; F1 = 2 J / (1 + J) of a share J has Wilson's. By hand, 10 of
    10: J from 1 / (1 + 3.8415 / 10) = 0.72247, F1 from 2 * 0.72247 / 1.72247 = 0.8389."""
    got = figure(report([YES] * 10 + [NO] * 30, [YES] * 10 + [NO] * 30), "m", "f1")
    assert (got.value, got.high) == (1, pytest.approx(1))
    assert got.low == pytest.approx(0.8389, abs=1e-4)
    assert got.method.startswith("Wilson")


def test_an_f1_of_0_at_several_attempts_has_one_too():
    """Never right at two attempts: the interval of 10 rows, not of 20 answers."""
    rows = [[said("m", NO, YES, at) for at in (1, 2)] for _ in range(10)]
    got = figure(report_of(an_evaluation(models=["m"], attempts=2), found(*rows)), "m", "f1")
    once = figure(report([YES] * 10, [NO] * 10), "m", "f1")
    assert (got.value, got.low, got.high) == (0, once.low, once.high)
    assert got.high == pytest.approx(2 * 0.27753 / 1.27753, abs=1e-4)


def test_an_f1_that_cannot_be_had_is_not_compared():
    """No row is `yes`, and one model never says it."""
    told = report_of(an_evaluation(), labelled([NO] * 9, base=[YES] * 9, tuned=[NO] * 9))
    one = comparison(told, "f1")
    assert (one.p, one.told) == (None, False)
    assert one.verdict == "Nothing to compare: it cannot be had for both models."


def attempts_of(*by_attempt: list[str | None]):
    told = zip(*by_attempt, strict=True)
    return found(
        *(
            [said("m", value, gold, at) for at, value in enumerate(values, 1)]
            for gold, values in zip(GOLD, told, strict=True)
        )
    )


def test_attempts_are_pooled_and_shown_each():
    """Two attempts, one perfect: 16 of 20 right; each has its own line and matrix."""
    told = report_of(an_evaluation(models=["m"], attempts=2), attempts_of(SAID, GOLD))
    got = figure(told, "m", "accuracy")
    assert (got.value, got.n, got.method) == (0.8, 20, "bootstrap over rows (BCa)")
    tables = {table.title: table for one in told.sections for table in one.tables}
    each = {name: [cell.value for cell in cells] for name, *cells in tables["Each attempt"].rows}
    assert each["m, attempt 1"] == pytest.approx([0.6, 4 / 7])
    assert each["m, attempt 2"] == [1, 1]
    assert [cell.value for cell in tables["m, attempt 2"].rows[0][1:]] == [4, 0, 0]
    assert [cell.value for cell in tables["m"].rows[0][1:]] == [6, 1, 1]


def test_models_are_compared_by_accuracy_and_f1():
    """Exact McNemar for right and wrong; F1, which is of all rows, by swapping."""
    gold = [YES, NO] * 30
    base = [NO if no % 3 else YES for no in range(60)]
    told = report_of(an_evaluation(), labelled(gold, base=base, tuned=gold))
    accuracy, f1 = comparison(told, "accuracy"), comparison(told, "f1")
    assert (accuracy.test, f1.test, f1.family) == ("exact McNemar", "paired randomization", 2)
    exact = 1 - f1_score(gold, base, pos_label=YES)
    assert f1.difference.value == pytest.approx(exact)
    assert f1.difference.low <= exact <= f1.difference.high
    assert accuracy.told and f1.told


def tokens(first: tuple[int, int], second: tuple[int, int]) -> Report:
    rows = [
        [
            said(name, YES, YES, paid=paid(prompt_tokens=one, completion_tokens=other))
            for name, (one, other) in (("base", first), ("tuned", second))
        ]
        for _ in range(10)
    ]
    return report_of(an_evaluation(), found(*rows))


def test_tokens_per_query_without_the_users_text():
    """By hand: 100 + 6 tokens, and 50 + 6: less the text's own t; the saving is
    1 - (56 - t) / (106 - t)."""
    text = count("question 1")
    told = tokens((100, 6), (50, 6))
    assert figure(told, "base", "tokens_per_query").value == 106
    assert figure(told, "base", "tokens_overhead").value == 106 - text
    saved = figure(told, "tuned", "tokens_saved").value
    assert saved == pytest.approx(1 - (56 - text) / (106 - text))
    assert figure(told, "base", "tokens_saved").value is None


def test_answers_without_a_call_have_no_tokens():
    """The API refused to answer: no tokens, and not 0 of them."""
    rows = [[said("base", None, YES, paid=paid(calls=0, prompt_tokens=0))] for _ in range(6)]
    rows[0] = [said("base", YES, YES, paid=paid(prompt_tokens=30, completion_tokens=1))]
    told = report_of(an_evaluation(models=["base"]), found(*rows))
    got = figure(told, "base", "tokens_per_query")
    assert (got.value, got.n) == (31, 1)


def test_a_suite_that_does_not_name_the_users_text_has_no_overhead():
    """None, and why: never the whole prompt as if the user had said nothing."""
    told = report(classification={**LABELS, "user_text": None})
    got = figure(told, "m", "tokens_overhead")
    assert got.value is None
    assert "user_text" in got.why
    assert "Tokens per query" in told.summary.columns


def test_a_model_that_cuts_text_otherwise_is_warned_of():
    """Fewer tokens than the user's text alone: the counts are of two tokenizers."""
    told = tokens((1, 0), (50, 6))
    assert any("another way" in warning for warning in told.warnings)


def test_a_row_whose_text_cannot_be_told_is_in_all_figures_but_that():
    """A done row may lack what only `user_text` reads; a report is made all the same."""
    rows = labelled([YES, NO], base=[YES, NO], tuned=[YES, NO])
    rows[1].data.clear()
    told = report_of(an_evaluation(), rows)
    assert figure(told, "base", "accuracy").n == 2
    assert figure(told, "base", "tokens_overhead").n == 1


def test_a_plan_asks_for_what_the_users_text_reads():
    """Else the row would be found wanting when all is paid."""
    labels = {"labels": ["yes", "no"], "user_text": "{{ row.said }}"}
    assert "said" in Previewer(an_evaluation(classification=labels)).required_fields
