"""Labels against the row's own: accuracy, precision, recall, F1, the confusion matrix.

An answer that cannot be used is a label of its own, "no valid answer", which is never right: it
counts in every accuracy; it is a miss (false negative) of the label that the row has, and so
lowers that label's recall and F1; it is a false positive of none, since it claims none. Nothing is
dropped.

Values by scikit-learn. Intervals draw whole rows, with all their attempts, and work the same
formulas out of the drawn confusion matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.suites.schema import Classification
from producers.evaluating.figures.findings import Figures, Findings, bars, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import divided, of_sums, ratio, share, wilson
from producers.evaluating.figures.paired import Metric, Paired, compare_hits, compare_sums, pairs
from producers.evaluating.figures.resampling import Floats, Statistic
from producers.evaluating.report import Cell, Chart, Figure, Section, Series, Table

NO_ANSWER = "no valid answer"
MOST_MATRICES = 5
"""With more attempts, confusion matrices are shown of all together only."""
METRICS = ("precision", "recall", "f1")
NEVER_SAID = "no answer says this label"
NOT_THERE = "no row has this label"


class Labelled:
    """Gold and answered labels as numbers, and each row's part of the confusion matrix."""

    def __init__(self, gathered: Gathered, place: int, labels: int) -> None:
        answers = gathered.answers
        self.labels = labels
        self.gold = answers.of("gold")[:, place]
        told = answers.of("value")[:, place]
        self.right = answers.of("right")[:, place]
        self.said = np.where((told < 0) | (told >= labels), labels, told)
        """As numbers; `labels` for an answer that cannot be used."""
        self.there = (self.gold >= 0) & (self.gold < labels) & ~np.isnan(told)

    def flat(self, attempt: int | None = None) -> tuple[Any, Any]:
        """Gold and answered labels of one attempt (from 0), or of all."""
        chosen = slice(None) if attempt is None else slice(attempt, attempt + 1)
        there = self.there[:, chosen]
        gold, said = self.gold[:, chosen][there], self.said[:, chosen][there]
        return gold.astype(int), said.astype(int)

    def cells(self) -> Floats:
        """(rows, labels * (labels + 1)): how often a row fell into each cell of the matrix."""
        width = self.labels * (self.labels + 1)
        found = np.zeros((len(self.gold), width))
        rows, _attempts = np.nonzero(self.there)
        gold, said = self.flat()
        np.add.at(found, (rows, gold * (self.labels + 1) + said), 1)
        return found


def find(gathered: Gathered, seed: int) -> Findings:
    """All that labels tell."""
    told = gathered.evaluation.suite.classification
    assert told is not None, "a classification suite has the section"
    labelled = {
        label: Labelled(gathered, place, len(told.labels))
        for place, label in enumerate(gathered.labels)
    }
    positive = positive_of(told)
    figures = {label: _figures(one, told, positive, seed) for label, one in labelled.items()}
    columns = _columns(positive)
    findings = Findings(figures, columns)
    findings.paired = _paired(labelled, told, positive, seed)
    findings.sections = [
        _headline(figures, columns, told, positive),
        _per_class(figures, told),
        _confusion(labelled, told, gathered.attempts),
    ]
    findings.sections += _by_attempt(labelled, positive, gathered.attempts)
    return findings


def positive_of(told: Classification) -> int | None:
    """The label of binary figures: the one named, or the first of two; None: there is none."""
    if told.positive is not None:
        return told.labels.index(told.positive)
    return 0 if len(told.labels) == 2 else None


def f1_of(label: int, labels: int) -> Statistic:
    """2 hits / (said + there), as scikit-learn: NaN where the label is neither said nor there."""

    def f1(sums: Floats) -> Floats:
        hits, said, there = _of_label(sums, label, labels)
        return divided(2 * hits, said + there)

    return f1


def macro_f1(labels: int) -> Statistic:
    """The mean F1 of labels that are said or there."""
    each = [f1_of(label, labels) for label in range(labels)]

    def mean_f1(sums: Floats) -> Floats:
        found = np.stack([one(sums) for one in each])
        known = ~np.isnan(found)
        return divided(np.where(known, found, 0).sum(axis=0), known.sum(axis=0))

    return mean_f1


def _of_label(sums: Floats, label: int, labels: int) -> tuple[Floats, Floats, Floats]:
    matrix = sums.reshape(*sums.shape[:-1], labels, labels + 1)
    return matrix[..., label, label], matrix[..., label].sum(-1), matrix[..., label, :].sum(-1)


def _figures(
    one: Labelled, told: Classification, positive: int | None, seed: int
) -> dict[str, Figure]:
    from sklearn.metrics import (  # noqa: PLC0415 # the extra `evaluate`, and 0.6 s
        f1_score,
        precision_recall_fscore_support,
    )

    gold, said = one.flat()
    cells, labels = one.cells(), list(range(len(told.labels)))
    found = {
        "accuracy": share(np.where(one.there, one.right, np.nan), seed),
        "invalid": share(np.where(one.there, one.said == len(labels), np.nan), seed),
    }
    if not len(gold):
        return found
    values = precision_recall_fscore_support(gold, said, labels=labels, zero_division=np.nan)[:3]
    for place, name in enumerate(told.labels):
        for metric, figure in _label_figures(cells, place, len(labels), seed).items():
            exact = float(values[METRICS.index(metric)][place])
            found[f"{metric}_{name}"] = replace(figure, value=None if np.isnan(exact) else exact)
    macro = f1_score(gold, said, labels=labels, average="macro", zero_division=np.nan)
    found["f1_macro"] = replace(
        of_sums(cells, macro_f1(len(labels)), "share", seed, n=len(gold)), value=float(macro)
    )
    for metric in METRICS:
        if positive is not None:
            found[metric] = found[f"{metric}_{told.labels[positive]}"]
    found.setdefault("f1", found["f1_macro"])
    return found


def _label_figures(cells: Floats, label: int, labels: int, seed: int) -> dict[str, Figure]:
    hits, said, there = _of_label(cells, label, labels)
    return {
        "precision": ratio(hits, said, seed, why=NEVER_SAID),
        "recall": ratio(hits, there, seed, why=NOT_THERE),
        "f1": _f1_figure(cells, label, labels, seed),
    }


def _f1_figure(cells: Floats, label: int, labels: int, seed: int) -> Figure:
    """At 0 and 1 no draw differs: there F1 is 2 J / (1 + J) of the share J = hits / (hits + false
    positives + misses), whose interval is Wilson's: a row counts once, however many attempts."""
    hits, said, there = _of_label(cells, label, labels)
    n = int(cells.sum())
    figure = of_sums(cells, f1_of(label, labels), "share", seed, n=n, why="neither said nor there")
    union = said + there - hits
    if figure.low is not None or figure.value not in (0, 1):
        return figure
    rows = int((union > 0).sum())
    low, high = (2 * one / (1 + one) for one in wilson(figure.value * rows, rows))
    return Figure(figure.value, "share", low, high, n, "Wilson over rows, by F1 = 2 J / (1 + J)")


def _columns(positive: int | None) -> dict[str, str]:
    if positive is None:
        return {"accuracy": "Accuracy", "f1": "F1 (macro)", "invalid": "No valid answer"}
    return {
        "accuracy": "Accuracy",
        "precision": "Precision",
        "recall": "Recall",
        "f1": "F1",
        "invalid": "No valid answer",
    }


def _paired(
    labelled: dict[str, Labelled], told: Classification, positive: int | None, seed: int
) -> list[Paired]:
    labels = len(told.labels)
    hits = {name: np.where(one.there, one.right, np.nan) for name, one in labelled.items()}
    found = compare_hits(Metric("accuracy"), hits, seed)
    statistic = macro_f1(labels) if positive is None else f1_of(positive, labels)
    for names in pairs(list(labelled)):
        first, second = (labelled[name] for name in names)
        both = first.there.any(axis=1) & second.there.any(axis=1)
        cells = first.cells()[both], second.cells()[both]
        found.append(compare_sums(Metric("f1"), names, *cells, statistic, seed))
    return found


def _headline(
    figures: Figures, columns: dict[str, str], told: Classification, positive: int | None
) -> Section:
    drawn = {name: title for name, title in columns.items() if name != "invalid"}
    complete = {name: one for name, one in figures.items() if drawn.keys() <= one.keys()}
    about = "F1 is the mean over all labels."
    if positive is not None:
        about = f"Precision, recall and F1 are about the label {told.labels[positive]!r}."
    text = f"{about} An answer that cannot be used is wrong, and a miss of the row's own label."
    return Section(
        "Labels",
        text,
        [table_of("Right and wrong", figures, columns)],
        [bars("Right and wrong", complete, drawn, "share")] if complete else (),
    )


def _per_class(figures: Figures, told: Classification) -> Section:
    nothing = Figure(None, "share", why="there is nothing")
    rows: list[Sequence[Cell]] = [
        [
            f"{name}: {label}",
            *(found.get(f"{metric}_{label}", nothing) for metric in METRICS),
        ]
        for name, found in figures.items()
        for label in told.labels
    ]
    macro = table_of("Mean over the labels", figures, {"f1_macro": "F1 (macro)"})
    each = Table("Each label", ["Model and label", "Precision", "Recall", "F1"], rows)
    return Section("Each label", "", [each, macro])


def _confusion(labelled: dict[str, Labelled], told: Classification, attempts: int) -> Section:
    tables, charts = [], []
    for name, one in labelled.items():
        counts = matrix(one)
        tables.append(_matrix_table(name, counts, told.labels))
        charts.append(_matrix_chart(name, counts, told.labels))
        if 1 < attempts <= MOST_MATRICES:
            tables += [
                _matrix_table(f"{name}, attempt {no + 1}", matrix(one, no), told.labels)
                for no in range(attempts)
            ]
    text = "Rows: the row's own label. Columns: what the model said."
    return Section("What is taken for what", text, tables, charts)


def matrix(one: Labelled, attempt: int | None = None) -> Floats:
    """(labels, labels + 1) counts; the last column is answers that cannot be used."""
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415 # the extra `evaluate`

    gold, said = one.flat(attempt)
    if not len(gold):
        return np.zeros((one.labels, one.labels + 1))
    counts = confusion_matrix(gold, said, labels=list(range(one.labels + 1)))
    return np.asarray(counts[: one.labels], float)


def _matrix_table(title: str, counts: Floats, labels: Sequence[str]) -> Table:
    rows: list[Sequence[Cell]] = [
        [label, *(Figure(float(count), "count") for count in line)]
        for label, line in zip(labels, counts, strict=True)
    ]
    return Table(title, ["Label", *labels, NO_ANSWER], rows)


def _matrix_chart(title: str, counts: Floats, labels: Sequence[str]) -> Chart:
    series = [Series(label, line.tolist()) for label, line in zip(labels, counts, strict=True)]
    return Chart(title, "matrix", [*labels, NO_ANSWER], series, "count")


def _by_attempt(
    labelled: dict[str, Labelled], positive: int | None, attempts: int
) -> list[Section]:
    if attempts < 2:
        return []
    rows: list[Sequence[Cell]] = [
        [f"{name}, attempt {no + 1}", *_attempt_figures(one, positive, no)]
        for name, one in labelled.items()
        for no in range(attempts)
    ]
    f1 = "F1 (macro)" if positive is None else "F1"
    return [Section("Attempts", "", [Table("Each attempt", ["Attempt", "Accuracy", f1], rows)])]


def _attempt_figures(one: Labelled, positive: int | None, attempt: int) -> list[Figure]:
    hits = np.where(one.there, one.right, np.nan)[:, [attempt]]
    statistic: Callable[[Floats], Floats] = macro_f1(one.labels)
    if positive is not None:
        statistic = f1_of(positive, one.labels)
    counts = matrix(one, attempt)
    value = float(statistic(counts.ravel()))
    f1 = Figure(None if np.isnan(value) else value, "share", n=int(counts.sum()))
    return [share(hits), f1]
