"""Which judge to trust: each against the preferences of experts, on the same rows.

A judge's lead is the points of the row's first answer less those of its second, over both orders
and all attempts. Spearman and Kendall (tau-b) hold leads against preferences, agreement and Cohen's
kappa their signs (first, second, tie). Where a judge gave no valid verdict in both orders it agrees
with nobody: a class of its own in agreement and kappa, left out of the correlations, as n says.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from producers.evaluating.figures.findings import Findings, bars, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import (
    FEWEST_ROWS,
    NO_SPREAD,
    TOO_FEW,
    divided,
    of_sums,
    share,
)
from producers.evaluating.figures.paired import BOOTSTRAP, Metric, Paired, pairs
from producers.evaluating.figures.resampling import DRAWS, LEVEL, Floats, two_sided
from producers.evaluating.figures.spending import cost_of, spent_by_judges
from producers.evaluating.figures.verdicts import comparisons_of
from producers.evaluating.report import Comparison, Figure, Section

SPEARMAN = Metric("spearman", "number")
KENDALL_DRAWS = 500
"""Kendall's tau is worked out draw by draw."""
COLUMNS = {
    "spearman": "Spearman",
    "kendall": "Kendall",
    "agreement": "Agreement",
    "kappa": "Cohen's kappa",
}
_CLASSES = 4
"""Second, tie, first; no valid verdict."""
_CELLS = 1_000_000
Correlation = Callable[[Floats, Floats], float]


@dataclass(frozen=True, slots=True)
class Judged:
    """By row: how far a judge prefers the first answer, and the expert; NaN where unknown."""

    lead: Floats
    expert: Floats

    @property
    def valid(self) -> Floats:
        """(rows, 2): lead and preference, where both are known."""
        both: Floats = np.column_stack([self.lead, self.expert])
        return both[~np.isnan(both).any(axis=1)]

    @property
    def known(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Rows with an expert's preference."""
        return ~np.isnan(self.expert)

    @property
    def cells(self) -> Floats:
        """(rows with a preference, 16): where a row falls, expert by judge."""
        expert = np.sign(self.expert[self.known]) + 1
        lead = np.nan_to_num(np.sign(self.lead[self.known]) + 1, nan=_CLASSES - 1)
        found = np.zeros((len(expert), _CLASSES**2))
        found[np.arange(len(expert)), (expert * _CLASSES + lead).astype(int)] = 1
        return found


def find(gathered: Gathered, seed: int) -> Findings:
    """How well each judge agrees with the experts, and which to use."""
    judged = {label: judged_by(gathered, place) for place, label in enumerate(gathered.labels)}
    findings = Findings(
        {label: figures_of(one, seed) for label, one in judged.items()}, dict(COLUMNS)
    )
    order = ranked(findings)
    findings.paired = [
        _compare(names, judged[names[0]], judged[names[1]], seed) for names in pairs(order)
    ]
    costs = {judge: cost_of(one)["cost_usd"] for judge, one in spent_by_judges(gathered).items()}
    columns = {**COLUMNS, "invalid": "No valid verdict"}
    findings.sections = [
        Section(
            "Judges",
            advice(order, findings, comparisons_of(findings.paired), costs),
            [table_of("Against the experts' preferences", findings.figures, columns)],
            [bars("Against the experts' preferences", findings.figures, COLUMNS, "number")],
        )
    ]
    return findings


def judged_by(gathered: Gathered, judge: int) -> Judged:
    """A judge's leads, over both orders and all attempts, with the experts' preferences."""
    log = gathered.verdicts
    expert = np.full(gathered.rows, np.nan)
    expert[log.of("row").astype(int)] = log.of("expert")
    orders = []
    for first, sign in ((0, 1), (1, -1)):
        kept = (log.of("judge") == judge) & (log.of("first") == first)
        kept &= (log.of("attempt") >= 1) & (log.of("attempt") <= gathered.attempts)
        found = np.full((gathered.rows, gathered.attempts), np.nan)
        place = log.of("row")[kept].astype(int), log.of("attempt")[kept].astype(int) - 1
        found[place] = sign * (log.of("first_points") - log.of("second_points"))[kept]
        orders.append(found)
    both = (orders[0] + orders[1]) / 2
    known = ~np.isnan(both)
    return Judged(divided(np.nansum(both, axis=1), known.sum(axis=1)).round(9), expert)


def figures_of(one: Judged, seed: int) -> dict[str, Figure]:
    """Correlations, agreement and kappa, each with its interval."""
    agree = np.sign(one.lead) == np.sign(one.expert)
    why = "the leads or the preferences are all alike"
    return {
        "spearman": _correlated(one.valid, spearman, drawn_spearman(one.valid, seed), why),
        "kendall": _correlated(one.valid, kendall, drawn_kendall(one.valid, seed), why),
        "agreement": share(np.where(one.known, agree, np.nan)[:, None], seed),
        "kappa": replace(
            of_sums(one.cells, kappa_of_sums, "number", seed, why=why), value=kappa(one)
        ),
        "invalid": share(np.where(one.known, np.isnan(one.lead), np.nan)[:, None], seed),
    }


def spearman(leads: Floats, expert: Floats) -> float:
    """Spearman's rank correlation (scipy); NaN where either does not vary."""
    from scipy.stats import spearmanr  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

    varies = len(leads) > 1 and np.ptp(leads) > 0 and np.ptp(expert) > 0
    return float(spearmanr(leads, expert).statistic) if varies else np.nan


def kendall(leads: Floats, expert: Floats) -> float:
    """Kendall's tau-b (scipy); NaN where either does not vary."""
    from scipy.stats import kendalltau  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

    varies = len(leads) > 1 and np.ptp(leads) > 0 and np.ptp(expert) > 0
    return float(kendalltau(leads, expert).statistic) if varies else np.nan


def kappa(one: Judged) -> float | None:
    """Cohen's kappa over first, second, tie and no verdict (scikit-learn)."""
    from sklearn.metrics import cohen_kappa_score  # noqa: PLC0415 # the extra `evaluate`, 0.6 s

    expert, lead = np.divmod(one.cells.argmax(axis=1), _CLASSES)
    if len(set(expert.tolist()) | set(lead.tolist())) < 2:  # also: no row at all
        return None
    return float(cohen_kappa_score(expert, lead))


def kappa_of_sums(sums: Floats) -> Floats:
    """Cohen's kappa out of counts, expert by judge."""
    matrix = sums.reshape(*sums.shape[:-1], _CLASSES, _CLASSES)
    total = matrix.sum((-1, -2))
    seen = divided(np.trace(matrix, axis1=-2, axis2=-1), total)
    chance = divided((matrix.sum(-1) * matrix.sum(-2)).sum(-1), total**2)
    return divided(seen - chance, 1 - chance)


def drawn_spearman(valid: Floats, seed: int, draws: int = DRAWS) -> Floats:
    """Spearman of (rows, 2 or more) columns: of each with the last, over draws of the rows.

    (draws, columns - 1); several columns are drawn together, and can be held against each other.
    """
    from scipy.stats import rankdata  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

    rng, rows, found = np.random.default_rng(seed), len(valid), []
    size = max(1, _CELLS // max(1, valid.size))
    for start in range(0, draws if rows else 0, size):
        chosen = valid[rng.integers(rows, size=(min(size, draws - start), rows))]
        away = rankdata(chosen, axis=1) - (rows + 1) / 2
        products = (away[..., :-1] * away[..., -1:]).sum(axis=1)
        sizes = np.sqrt((away**2).sum(axis=1))
        found.append(divided(products, sizes[:, :-1] * sizes[:, -1:]))
    return np.concatenate(found) if found else np.full((draws, valid.shape[1] - 1), np.nan)


def drawn_kendall(valid: Floats, seed: int) -> Floats:
    """(draws, 1): Kendall's tau-b over draws of the rows."""
    if len(valid) < FEWEST_ROWS:
        return np.full((KENDALL_DRAWS, 1), np.nan)
    rng = np.random.default_rng(seed)
    chosen = (valid[rng.integers(len(valid), size=len(valid))] for _ in range(KENDALL_DRAWS))
    return np.array([[kendall(*one.T)] for one in chosen])


def ranked(findings: Findings) -> list[str]:
    """The judge that correlates best first; then by agreement."""

    def key(label: str) -> tuple[float, float]:
        told = findings.figures[label]
        rank, agreement = told["spearman"].value, told["agreement"].value
        return (-np.inf if rank is None else rank, agreement or 0.0)

    return sorted(findings.figures, key=key, reverse=True)


def advice(
    order: list[str],
    findings: Findings,
    comparisons: list[Comparison],
    costs: dict[str, Figure],
) -> str:
    """Which judge to use, in plain words, and whether others are told from it."""
    best = order[0]
    figure = findings.figures[best]["spearman"]
    if figure.value is None:
        return "No judge can be named: leads or preferences do not vary, or there are none."
    words = (
        f"Use {best}: its leads follow the experts' preferences best (Spearman {figure.value:.2f}"
    )
    words += f", 95% interval {figure.low:.2f} to {figure.high:.2f})." if _has(figure) else ")."
    if figure.why == TOO_FEW or (figure.low is not None and figure.low <= 0):
        words += " But not even that can be told from chance: judge more rows."
    alike = [
        one.first if one.second == best else one.second
        for one in comparisons
        if best in (one.first, one.second) and not one.told
    ]
    if not alike:
        return words + (" It is better than the others." if len(order) > 1 else "")
    words += f" It cannot be told from {', '.join(alike)} on these rows"
    cheaper = _cheapest([best, *alike], costs)
    return words + (f"; {cheaper} costs least." if cheaper else ".")


def _cheapest(names: list[str], costs: dict[str, Figure]) -> str:
    known = {name: costs[name].value for name in names if name in costs}
    prices = {name: price for name, price in known.items() if price is not None}
    if len(prices) < len(names) or len(set(prices.values())) < 2:
        return ""
    return min(prices, key=lambda name: prices[name])


def _has(figure: Figure) -> bool:
    return figure.low is not None and figure.high is not None


def _correlated(valid: Floats, statistic: Correlation, drawn: Floats, why: str) -> Figure:
    value = statistic(*valid.T)
    if np.isnan(value):
        return Figure(None, "number", n=len(valid), why=why)
    if len(valid) < FEWEST_ROWS:
        return Figure(value, "number", n=len(valid), why=TOO_FEW)
    known = drawn[~np.isnan(drawn)]
    if len(known) < 0.9 * len(drawn) or np.ptp(known) < 1e-12:
        return Figure(value, "number", n=len(valid), why=NO_SPREAD)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    method = "bootstrap over rows (percentile)"
    return Figure(value, "number", float(low), float(high), len(valid), method)


def _compare(names: tuple[str, str], first: Judged, second: Judged, seed: int) -> Paired:
    kept = first.known & ~np.isnan(first.lead) & ~np.isnan(second.lead)
    columns = np.column_stack([first.lead, second.lead, first.expert])[kept]
    rows = len(columns)
    value = spearman(columns[:, 1], columns[:, 2]) - spearman(columns[:, 0], columns[:, 2])
    differing = int((np.sign(columns[:, 0]) != np.sign(columns[:, 1])).sum())
    differing = differing or int((columns[:, 0] != columns[:, 1]).sum())
    if np.isnan(value):
        nothing = Figure(None, "number", n=rows, why="there is nothing to compare")
        return Paired(SPEARMAN, *names, nothing, rows, differing)
    if rows < FEWEST_ROWS:
        figure = Figure(value, "number", n=rows, why=TOO_FEW)
        return Paired(SPEARMAN, *names, figure, rows, differing, BOOTSTRAP)
    both = drawn_spearman(columns, seed)
    drawn = both[:, 1] - both[:, 0]
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    method = "paired bootstrap over rows (percentile)"
    figure = Figure(value, "number", float(low), float(high), rows, method)
    p = two_sided(drawn) if differing else 1.0
    return Paired(SPEARMAN, *names, figure, rows, differing, BOOTSTRAP, p, float(np.nanstd(drawn)))
