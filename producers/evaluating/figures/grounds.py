"""Faithfulness and answer relevancy as RAGAS defines them: means, and models on the same rows.

Answers whose figure cannot be had (nothing was claimed; the judge gave no valid verdict) are in no
mean of it, and counted.
"""

import numpy as np

from producers.evaluating.figures.findings import Findings, bars, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import mean, share
from producers.evaluating.figures.paired import Metric, compare_values
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Figure, Section

COLUMNS = {"faithfulness": "Faithfulness", "relevancy": "Answer relevancy"}
MORE = {
    "claims": "Claims per answer",
    "noncommittal": "Evasive answers",
    "unfaithful_unknown": "Faithfulness not to be had",
    "relevancy_unknown": "Relevancy not to be had",
}
WHY = "no answer could be checked"


def find(gathered: Gathered, seed: int) -> Findings:
    """All that grounds tell."""
    findings = Findings(summary=dict(COLUMNS))
    for place, label in enumerate(gathered.labels):
        findings.figures[label] = _figures(gathered, place, seed)
    for name in COLUMNS:
        found = gathered.grounds.of(name)
        values = {label: found[:, place] for place, label in enumerate(gathered.labels)}
        findings.paired += compare_values(Metric(name), values, seed)
    findings.sections = [
        Section(
            "Grounds",
            "Faithfulness: the share of an answer's claims that the context supports. Relevancy: "
            "how near questions generated back from the answer are to the one that was asked.",
            [
                table_of("Faithfulness and relevancy", findings.figures, COLUMNS),
                table_of("What they are made of", findings.figures, MORE),
            ],
            [bars("Faithfulness and relevancy", findings.figures, COLUMNS, "share")],
        )
    ]
    return findings


def _figures(gathered: Gathered, place: int, seed: int) -> dict[str, Figure]:
    grounds = gathered.grounds
    faithfulness, relevancy = (grounds.of(name)[:, place] for name in COLUMNS)
    there = ~np.isnan(grounds.of("claims")[:, place])
    return {
        "faithfulness": mean(faithfulness, "share", seed, why=WHY),
        "relevancy": mean(relevancy, "share", seed, why=WHY),
        "claims": mean(grounds.of("claims")[:, place], "number", seed, why=WHY),
        "noncommittal": share(grounds.of("noncommittal")[:, place], seed),
        "unfaithful_unknown": share(_missing(faithfulness, there), seed),
        "relevancy_unknown": share(_missing(relevancy, there), seed),
    }


def _missing(values: Floats, there: Floats) -> Floats:
    return np.where(there, np.isnan(values), np.nan)
