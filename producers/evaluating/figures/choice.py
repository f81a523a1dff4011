"""Letters against the right ones: accuracy per attempt, its spread, consistency, and whether a
model leans to a place.

Options are shuffled at each attempt; a letter that a model says is read back as the row's own. So
where the right option stood is chance, and accuracy by its place shows the model's leaning. An
answer that cannot be used is wrong, and stands at no place.
"""

from collections.abc import Sequence

import numpy as np

from producers.evaluating.figures.findings import Findings, bars, series_of, table_of
from producers.evaluating.figures.gathering import INVALID, Gathered
from producers.evaluating.figures.intervals import mean, share
from producers.evaluating.figures.paired import Metric, compare_hits
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Cell, Chart, Figure, Section, Table

SUMMARY = {"accuracy": "Accuracy", "consistency": "Consistency", "invalid": "No valid answer"}


def find(gathered: Gathered, seed: int) -> Findings:
    """All that letters tell."""
    answers = gathered.answers
    right = {label: answers.of("right")[:, at] for at, label in enumerate(gathered.labels)}
    value = {label: answers.of("value")[:, at] for at, label in enumerate(gathered.labels)}
    findings = Findings(summary=dict(SUMMARY))
    if gathered.attempts == 1:
        findings.summary.pop("consistency")
    for label in gathered.labels:
        missing = np.isnan(value[label])
        findings.figures[label] = {
            "accuracy": share(right[label], seed),
            **spread(right[label]),
            "consistency": share(consistent(value[label])[:, None], seed),
            "always_right": share(always(right[label])[:, None], seed),
            "invalid": share(np.where(missing, np.nan, value[label] == INVALID), seed),
        }
    findings.paired = compare_hits(Metric("accuracy"), right, seed)
    findings.sections = [_accuracy(findings, right), _places(gathered, seed)]
    findings.warnings = _leanings(gathered, seed)
    return findings


def spread(right: Floats) -> dict[str, Figure]:
    """The least, the most and the standard deviation (n - 1) of the attempts' accuracies."""
    each = [one for one in by_attempt(right) if one.value is not None]
    values = [one.value for one in each if one.value is not None]
    why = "there is nothing"
    if not values:
        nothing = Figure(None, "share", n=0, why=why)
        return dict.fromkeys(("accuracy_least", "accuracy_most", "accuracy_sd"), nothing)
    n, rows = len(values), f"over {len(values)} attempts"
    deviation = Figure(None, "share", n=n, why="one attempt has no spread")
    if n > 1:
        deviation = Figure(float(np.std(values, ddof=1)), "share", n=n, method=rows)
    return {
        "accuracy_least": Figure(min(values), "share", n=n, method=rows),
        "accuracy_most": Figure(max(values), "share", n=n, method=rows),
        "accuracy_sd": deviation,
    }


def by_attempt(right: Floats) -> list[Figure]:
    """Accuracy of each attempt; rows are independent here, so the interval is Wilson's."""
    return [share(right[:, [at]]) for at in range(right.shape[1])]


def consistent(value: Floats) -> Floats:
    """By row: 1 where all attempts say the same valid option, 0 where not; NaN of fewer."""
    counts = (~np.isnan(value)).sum(axis=1)
    filled = np.where(np.isnan(value), np.inf, value)
    least, most = filled.min(axis=1), np.where(np.isnan(value), -np.inf, value).max(axis=1)
    return np.where(counts > 1, (least == most) & (least != INVALID), np.nan)


def always(right: Floats) -> Floats:
    """By row: 1 where every attempt is right; NaN where there is none."""
    there = ~np.isnan(right)
    return np.where(there.any(axis=1), np.where(there, right, 1).all(axis=1), np.nan)


def _accuracy(findings: Findings, right: dict[str, Floats]) -> Section:
    attempts = next(iter(right.values())).shape[1]
    columns = {"accuracy": "Accuracy", "invalid": "No valid answer"}
    if attempts == 1:
        drawn = bars("Accuracy", findings.figures, {"accuracy": "Accuracy"}, "share")
        return Section("Accuracy", "", [table_of("Accuracy", findings.figures, columns)], [drawn])
    columns |= {
        "accuracy_least": "Least",
        "accuracy_most": "Most",
        "accuracy_sd": "Standard deviation",
        "consistency": "Same option every time",
        "always_right": "Right every time",
    }
    each = {label: by_attempt(one) for label, one in right.items()}
    names = [f"Attempt {at + 1}" for at in range(attempts)]
    rows: list[Sequence[Cell]] = [[label, *found] for label, found in each.items()]
    series = [series_of(label, found) for label, found in each.items()]
    return Section(
        "Accuracy",
        f"The mean over {attempts} attempts at each row; options are shuffled anew each time.",
        [
            table_of("Over all attempts", findings.figures, columns),
            Table("Each attempt", ["Model", *names], rows),
        ],
        [Chart("Accuracy of each attempt", "bars", names, series, "share")],
    )


def _places(gathered: Gathered, seed: int) -> Section:
    places = _count_of_places(gathered)
    right_at, chosen_at = gathered.answers.of("right_at"), gathered.answers.of("chosen_at")
    right = gathered.answers.of("right")
    names = [f"Place {at + 1}" for at in range(places)]
    hits: list[Sequence[Cell]] = []
    leans: list[Sequence[Cell]] = []
    for at, label in enumerate(gathered.labels):
        stood = right_at[:, at]
        held = [np.where(stood == place, right[:, at], np.nan) for place in range(places)]
        hits.append([label, *(share(one, seed) for one in held)])
        leans.append([label, *(leaning(chosen_at[:, at], stood, p, seed) for p in range(places))])
    return Section(
        "Places",
        "Accuracy by where the right option stood, and how much more often a place is chosen than "
        "it holds the right option: a model that reads the options leans to none.",
        [
            Table("Accuracy by the right option's place", ["Model", *names], hits),
            Table("Chosen more often than right", ["Model", *names], leans),
        ],
    )


def leaning(chosen_at: Floats, right_at: Floats, place: int, seed: int) -> Figure:
    """How much more often the place is chosen than it holds the right option, of valid answers."""
    valid = ~np.isnan(chosen_at) & (chosen_at >= 0) & (right_at >= 0)
    more = (chosen_at == place).astype(float) - (right_at == place)
    return mean(np.where(valid, more, np.nan), "share", seed, why="no valid answer")


def _leanings(gathered: Gathered, seed: int) -> list[str]:
    right_at, chosen_at = gathered.answers.of("right_at"), gathered.answers.of("chosen_at")
    found = []
    for at, label in enumerate(gathered.labels):
        for place in range(_count_of_places(gathered)):
            figure = leaning(chosen_at[:, at], right_at[:, at], place, seed)
            if is_plain(figure):
                found.append(
                    f"{label} leans to place {place + 1}: it is chosen "
                    f"{100 * (figure.value or 0):.1f} percentage points more often than it holds "
                    "the right option"
                )
    return found


def is_plain(figure: Figure) -> bool:
    """Whether the figure is above 0 by half an interval more than 95% asks for (p about 0.003):
    many models and places are looked at, and one of twenty would be found by chance."""
    if figure.value is None or figure.low is None:
        return False
    return figure.value > 1.5 * (figure.value - figure.low)


def _count_of_places(gathered: Gathered) -> int:
    right_at = gathered.answers.of("right_at")
    known = right_at[~np.isnan(right_at)]
    return int(known.max()) + 1 if len(known) and known.max() >= 0 else 0
