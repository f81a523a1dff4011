"""Answers in pairs before a judge: points, won, tied, lost, and how far the judge leans to a place.

Each pair is judged in both orders, and counts only with both verdicts: a model's points are the
mean of the two, so that what a judge gives to whatever stands first (or second) is given once to
each and cancels in the difference. Who has more points over both orders has won. Verdicts that are
not valid leave their pair out of points and wins, and are counted. Where an answer could not be
used the judge was not asked: that pair is won and lost, but in no mean of points, of which it says
nothing.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.suites.pairing import ALL_PAIRS_UP_TO
from models.words import counted
from producers.evaluating.figures.findings import Findings, bars, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import mean, share
from producers.evaluating.figures.paired import (
    ALPHA,
    Metric,
    compare_values,
    mean_parts,
    sign_test,
)
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.figures.verdicts import p_value
from producers.evaluating.report import Cell, Chart, Figure, Section, Series, Table


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models before the judge, (rows, attempts) each; NaN where a verdict is missing or not
    valid. `shown_first`: by name, the points of a model where it stood first; `shown_second`."""

    first: str
    second: str
    shown_first: dict[str, Floats]
    shown_second: dict[str, Floats]
    unasked: Floats
    """Whether an answer could not be used, so that the judge was not asked."""

    def points(self, name: str) -> Floats:
        """A model's points, over both orders; NaN where one is missing or nobody was asked."""
        both = (self.shown_first[name] + self.shown_second[name]) / 2
        return np.where(self.unasked, np.nan, both)

    @property
    def lead(self) -> Floats:
        """What the second model has more than the first, over both orders, asked or not."""
        first = self.shown_first[self.first] + self.shown_second[self.first]
        return np.round(
            ((self.shown_first[self.second] + self.shown_second[self.second]) - first) / 2, 9
        )

    @property
    def of_place(self) -> Floats:
        """What standing first gives: half the difference between the two orders' leads."""
        here = self.shown_first[self.first] - self.shown_second[self.second]
        there = self.shown_first[self.second] - self.shown_second[self.first]
        return np.where(self.unasked, np.nan, (here + there) / 2)

    @property
    def winners(self) -> tuple[Floats, Floats]:
        """In each order, 1 where the one shown first has more, -1 where the other, 0 at a tie."""
        here = np.sign(self.shown_first[self.first] - self.shown_second[self.second])
        there = np.sign(self.shown_first[self.second] - self.shown_second[self.first])
        nobody = self.unasked | np.isnan(here) | np.isnan(there)
        return np.where(nobody, np.nan, here), np.where(nobody, np.nan, there)


def find(gathered: Gathered, seed: int) -> Findings:
    """All that verdicts tell of the models, and of the judge."""
    found = [pair_of(gathered, *places) for places in combinations(range(len(gathered.labels)), 2)]
    judged = [pair for pair in found if (~np.isnan(pair.lead)).any()]
    findings = Findings(summary={"points": "Points", "win_rate": "Won (ties half)"})
    for label in gathered.labels:
        own = [pair for pair in judged if label in (pair.first, pair.second)]
        findings.figures[label] = _model_figures(gathered, label, own, seed)
    for pair in judged:
        points = {name: pair.points(name) for name in (pair.first, pair.second)}
        findings.paired += compare_values(Metric("points", "points"), points, seed)
    findings.sections = [
        _points(gathered, findings, seed),
        _wins(judged, seed),
        _places(judged, seed),
    ]
    findings.warnings = [
        *_opponents(gathered),
        *_invalid(gathered),
        *_unasked(judged),
        *_leaning(judged),
    ]
    return findings


def pair_of(gathered: Gathered, first: int, second: int, criterion: str = "") -> Pair:
    """The verdicts on two models; of one criterion, or of all together."""
    log, names = gathered.verdicts, (gathered.labels[first], gathered.labels[second])
    shape = (gathered.rows, gathered.attempts)
    shown_first = {name: np.full(shape, np.nan) for name in names}
    shown_second = {name: np.full(shape, np.nan) for name in names}
    unasked = np.zeros(shape, bool)
    columns = (f"first.{criterion}", f"second.{criterion}") if criterion else None
    here, there = (log.of(name) for name in columns or ("first_points", "second_points"))
    for one, other in ((first, second), (second, first)):
        kept = (log.of("first") == one) & (log.of("second") == other)
        kept &= (log.of("attempt") >= 1) & (log.of("attempt") <= gathered.attempts)
        place = log.of("row")[kept].astype(int), log.of("attempt")[kept].astype(int) - 1
        shown_first[gathered.labels[one]][place] = here[kept]
        shown_second[gathered.labels[other]][place] = there[kept]
        unasked[place] |= log.of("unasked")[kept] > 0
    return Pair(*names, shown_first, shown_second, unasked)


def _model_figures(gathered: Gathered, label: str, own: list[Pair], seed: int) -> dict[str, Figure]:
    nothing = np.full((gathered.rows, 1), np.nan)
    points = np.hstack([nothing, *(pair.points(label) for pair in own)])
    leads = np.hstack(
        [nothing, *(pair.lead if label == pair.second else -pair.lead for pair in own)]
    )
    there = ~np.isnan(leads)
    figures = {
        "points": mean(points, "points", seed, why="no pair has valid verdicts in both orders"),
        "win_rate": mean(np.where(there, (np.sign(leads) + 1) / 2, np.nan), "share", seed),
    }
    for name, keeps in (("won", leads > 0), ("tied", leads == 0), ("lost", leads < 0)):
        figures[name] = share(np.where(there, keeps, np.nan), seed)
    return figures


def _points(gathered: Gathered, findings: Findings, seed: int) -> Section:
    columns = {"points": "All criteria"}
    for criterion in gathered.criteria if len(gathered.criteria) > 1 else ():
        name = f"points_{criterion}"
        columns[name] = criterion
        for label, figure in _of_criterion(gathered, criterion, seed).items():
            findings.figures[label][name] = figure
    judge = ", ".join(gathered.evaluation.judges)
    return Section(
        "Points",
        f"Given by {judge}; each pair in both orders, a model's points the mean of the two.",
        [table_of("Mean points", findings.figures, columns)],
        [bars("Mean points", findings.figures, columns, "points")],
    )


def _of_criterion(gathered: Gathered, criterion: str, seed: int) -> dict[str, Figure]:
    points: dict[str, list[Floats]] = {label: [] for label in gathered.labels}
    for places in combinations(range(len(gathered.labels)), 2):
        pair = pair_of(gathered, *places, criterion)
        for label in (pair.first, pair.second):
            points[label].append(pair.points(label))
    nothing = np.full((gathered.rows, 1), np.nan)
    return {
        label: mean(np.hstack([nothing, *found]), "points", seed) for label, found in points.items()
    }


def _wins(judged: list[Pair], seed: int) -> Section:
    rows: list[list[Cell]] = []
    names = []
    counts: dict[str, list[float]] = {"won": [], "tied": [], "lost": []}
    for pair in judged:
        lead = pair.lead
        names.append(f"{pair.second} against {pair.first}")
        cells: list[Cell] = [names[-1]]
        for name, keeps in (("won", lead > 0), ("tied", lead == 0), ("lost", lead < 0)):
            kept = np.where(np.isnan(lead), np.nan, keeps)
            cells.append(share(kept, seed))
            counts[name].append(float(np.nansum(kept)))
        parts = mean_parts(lead)
        rows.append([*cells, p_value(sign_test(np.round(parts[parts[:, 1] > 0, 0], 9)))])
    return Section(
        "Won, tied, lost",
        "Who has more points over both orders has won. The sign test asks whether as many rows "
        "could be won as lost by chance; ties say nothing to it, and it is not corrected for the "
        "number of pairs.",
        [Table("Pairs", ["Pair", "Won", "Tied", "Lost", "Sign test"], rows)],
        [Chart("Pairs", "bars", names, [Series(k, v) for k, v in counts.items()], "count")],
    )


def _places(judged: list[Pair], seed: int) -> Section:
    rows: list[list[Cell]] = []
    for pair in judged:  # the orders agree where the same model leads in both, or none
        here, there = pair.winners
        known = ~np.isnan(here)
        told = (here != -there, (here > 0) & (there > 0), (here < 0) & (there < 0))
        cells = [share(np.where(known, one, np.nan), seed) for one in told]
        cells.append(mean(pair.of_place, "points", seed))
        rows.append([f"{pair.second} against {pair.first}", *cells])
    columns = ["Pair", "Orders disagree", "First shown won both", "Second shown won both"]
    return Section(
        "Leaning of the judge",
        "How often the two orders end differently, and what standing first gives: points that "
        "whatever is shown first gets more. Over both orders it cancels.",
        [Table("Position bias", [*columns, "Points for standing first"], rows)],
    )


def _leaning(judged: list[Pair]) -> list[str]:
    if not judged:
        return ["no pair has valid verdicts in both orders: there is nothing to compare"]
    found = mean_parts(np.hstack([pair.of_place for pair in judged]))
    sums, counts = found[found[:, 1] > 0].T
    leads = np.round(sums, 9)
    if sign_test(leads) >= ALPHA:  # exact: it also sees a judge that always gives the same more
        return []
    by = float(leads.sum() / counts.sum())
    place = "first" if by > 0 else "second"
    return [
        f"the judge leans to the answer shown {place} (by {abs(by):.2f} points): it "
        "cancels, since each pair is judged in both orders, but such a judge tells less"
    ]


def _opponents(gathered: Gathered) -> list[str]:
    labels = gathered.labels
    if len(labels) <= ALL_PAIRS_UP_TO:
        return []
    return [
        f"of {len(labels)} models {labels[0]} is judged against all, and each of the others "
        f"against {labels[0]} alone: mean points and shares won are over different opponents, so "
        "read the table of pairs before you rank by them"
    ]


def _invalid(gathered: Gathered) -> list[str]:
    log = gathered.verdicts
    total = len(log.of("row"))
    invalid = int((np.isnan(log.of("first_points")) | np.isnan(log.of("second_points"))).sum())
    if not invalid:
        return []
    return [
        f"{invalid:,} of {counted(total, 'verdict')} were not valid, though asked for twice: their "
        "pairs are in no figure of points or wins"
    ]


def _unasked(judged: list[Pair]) -> list[str]:
    number = sum(int(pair.unasked.sum()) for pair in judged)
    if not number:
        return []
    return [
        f"{counted(number, 'pair')} went to the judge with an answer that cannot be used, and were "
        "not judged: they are won and lost, but in no mean of points"
    ]
