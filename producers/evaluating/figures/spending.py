"""What models took: latency per call, tokens, cost; of the contestants, and of who judged them.

The ledger keeps how long a call took when it was made: an evaluation that is repeated shows the
latencies and costs of the calls that were paid, not of looking them up. Where an answer took
several calls (lookups, repairs) only their sum is known, and its calls count as equally long.
A hosted batch tells no latency (0): its answers have costs, and no part in the latencies.
"""

from collections.abc import Mapping

import numpy as np

from models.nano import NANO
from models.words import counted
from producers.evaluating.figures.findings import Findings, table_of
from producers.evaluating.figures.gathering import PAID, Gathered
from producers.evaluating.figures.intervals import divided, of_sums, quantiles, ratio_of_sums
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Cell, Chart, Figure, Section, Series, Table

Spent = Mapping[str, Floats]
"""What calls took, by the names of `Paid`: (rows, draws), NaN where nothing was asked."""

LATENCY = {
    "latency_ms_mean": "Mean",
    "latency_ms_p50": "Median",
    "latency_ms_p95": "95th percentile",
}
MOST_DRAWN = 1_000
"""Values that a histogram carries: as many quantiles of them all."""


def find(gathered: Gathered, seed: int) -> Findings:
    """Latency and cost of everyone who was asked; nothing where nobody was."""
    own, judging = spent_by_contestants(gathered), spent_by_judges(gathered)
    if set(judging) >= set(gathered.labels):  # judges are what is compared
        own, judging = judging, {}
    findings = Findings()
    for label, spent in own.items():
        findings.figures[label] = {**latency_of(spent, seed), **cost_of(spent)}
    if not any((one["calls"] > 0).any() for one in own.values()):
        return Findings()
    findings.summary = {"latency_ms_mean": "Latency per call", "cost_usd": "Cost"}
    findings.sections = [_latency(findings, own), _cost({**own, **_named(judging)})]
    findings.warnings = _unpriced({**own, **_named(judging)})
    return findings


def spent_by_contestants(gathered: Gathered) -> dict[str, Spent]:
    """What each contestant's answers took."""
    return {
        label: {name: gathered.answers.of(name)[:, place] for name in PAID}
        for place, label in enumerate(gathered.labels)
    }


def spent_by_judges(gathered: Gathered) -> dict[str, Spent]:
    """What verdicts, or checking answers against their grounds, took."""
    log, judges = gathered.verdicts, gathered.evaluation.judges
    found: dict[str, Spent] = {}
    for place, judge in enumerate(judges):
        own = log.of("judge") == place
        if own.any():
            rows = log.of("row")[own]
            found[judge] = {name: by_row(rows, log.of(name)[own], gathered.rows) for name in PAID}
    grounds = {name: gathered.grounds.of(name) for name in PAID}
    if judges and (grounds["calls"] > 0).any():
        found[judges[0]] = {name: one.reshape(len(one), -1) for name, one in grounds.items()}
    return found


def by_row(rows: Floats, values: Floats, total: int) -> Floats:
    """Lines of a log as (rows, most lines of a row), NaN where a row has fewer."""
    places = rows.astype(int)
    often = np.bincount(places, minlength=total)
    order = np.argsort(places, kind="stable")
    within = np.arange(len(places)) - np.repeat(np.cumsum(often) - often, often)
    found = np.full((total, int(often.max(initial=0))), np.nan)
    found[places[order], within] = values[order]
    return found


def latency_of(spent: Spent, seed: int) -> dict[str, Figure]:
    """Mean, median and 95th percentile of a call's latency."""
    latency, calls = timed(spent)
    parts = np.column_stack([np.nansum(latency, axis=1), np.nansum(calls, axis=1)])
    kept = parts[parts[:, 1] > 0]
    n = int(kept[:, 1].sum()) if len(kept) else 0
    why = "answered by batch" if (spent["calls"] > 0).any() else "nothing was asked"
    average = of_sums(kept, ratio_of_sums, "ms", seed, n=n, why=why)
    each = quantiles(divided(latency, calls), [0.5, 0.95], "ms", seed, why=why)
    return dict(zip(LATENCY, [average, *each], strict=True))


def timed(spent: Spent) -> tuple[Floats, Floats]:
    """Latencies and calls of the answers whose latency is known, NaN for the others."""
    is_known = (spent["calls"] > 0) & (spent["latency_ms"] > 0)
    latency, calls = (np.where(is_known, spent[name], np.nan) for name in ("latency_ms", "calls"))
    return latency, calls


def cost_of(spent: Spent) -> dict[str, Figure]:
    """What all answers cost when they were paid, and a thousand of them; unknown is never 0."""
    asked = ~np.isnan(spent["calls"])
    cost = spent["cost_nano"][asked]
    answers, unknown = int(asked.sum()), int(np.isnan(cost).sum())
    if not answers:
        nothing = Figure(None, "usd", n=0, why="nothing was asked")
        return {"cost_usd": nothing, "cost_usd_per_1000": nothing}
    if unknown:
        why = f"unknown: {counted(unknown, 'answer')} of a model without a known price"
        return dict.fromkeys(
            ("cost_usd", "cost_usd_per_1000"), Figure(None, "usd", n=answers, why=why)
        )
    usd = float(cost.sum()) / NANO
    return {
        "cost_usd": Figure(usd, "usd", n=answers),
        "cost_usd_per_1000": Figure(1000 * usd / answers, "usd", n=answers),
    }


def thinned(values: Floats) -> list[float]:
    """Values for a histogram: all of them, or a thousand quantiles, which have the same shape."""
    known = np.sort(values[~np.isnan(values)])
    if len(known) > MOST_DRAWN:
        known = np.quantile(known, np.linspace(0, 1, MOST_DRAWN))
    return [float(one) for one in known]


def _latency(findings: Findings, own: Mapping[str, Spent]) -> Section:
    series = [Series(label, thinned(divided(*timed(one)))) for label, one in own.items()]
    return Section(
        "Latency",
        "Milliseconds per call, from request to answer, as it was when the call was made; how many "
        "others were under way at that time counts.",
        [table_of("Latency per call", findings.figures, LATENCY, _of_how_many(own))],
        [Chart("Latency per call", "histogram", [], series, "ms", "ms")],
    )


def _of_how_many(own: Mapping[str, Spent]) -> str:
    """Whose latencies are those of some answers only; empty: nobody's."""
    asked = {label: int((one["calls"] > 0).sum()) for label, one in own.items()}
    known = {label: int((~np.isnan(timed(one)[0])).sum()) for label, one in own.items()}
    parts = [
        f"{label}: {known[label]} of {counted(asked[label], 'answer')}"
        for label in own
        if known[label] < asked[label]
    ]
    told = f"A batch tells no latency; these are of {', '.join(parts)}."
    return told if parts else ""


def _cost(everyone: Mapping[str, Spent]) -> Section:
    rows: list[list[Cell]] = []
    for name, spent in everyone.items():
        calls = Figure(float(np.nansum(spent["calls"])), "count")
        tokens = [
            Figure(float(np.nansum(spent[one])), "tokens")
            for one in ("prompt_tokens", "completion_tokens")
        ]
        rows.append([name, calls, *tokens, *cost_of(spent).values()])
    columns = ["Model", "Calls", "Tokens in", "Tokens out", "Cost", "Per 1,000 answers"]
    text = "What the answers cost when they were paid, also those that the ledger had already."
    return Section("Cost", text, [Table("Cost", columns, rows)])


def _named(judging: Mapping[str, Spent]) -> dict[str, Spent]:
    return {f"{judge} (judging)": spent for judge, spent in judging.items()}


def _unpriced(everyone: Mapping[str, Spent]) -> list[str]:
    unknown = [
        name
        for name, one in everyone.items()
        if (np.isnan(one["cost_nano"]) & (one["calls"] > 0)).any()
    ]
    return [f"the cost of {', '.join(unknown)} is unknown: no price is known"] if unknown else []
