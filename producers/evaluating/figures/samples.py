"""Answers side by side: how long they are, how many of use. Which is better, people say."""

import numpy as np

from producers.evaluating.figures.findings import Findings, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import mean, quantiles, share
from producers.evaluating.figures.spending import thinned
from producers.evaluating.report import Chart, Section, Series

COLUMNS = {
    "characters": "Characters",
    "characters_median": "Median",
    "completion_tokens": "Tokens",
    "invalid": "No valid answer",
}


def find(gathered: Gathered, seed: int) -> Findings:
    """Lengths of answers that can be used."""
    answers = gathered.answers
    findings = Findings(summary={"characters": "Characters", "invalid": "No valid answer"})
    series = []
    for place, label in enumerate(gathered.labels):
        problem = answers.of("problem")[:, place]
        usable = problem < 0
        characters = np.where(usable, answers.of("characters")[:, place], np.nan)
        tokens = np.where(usable, answers.of("completion_tokens")[:, place], np.nan)
        findings.figures[label] = {
            "characters": mean(characters, "number", seed, why="no answer can be used"),
            "characters_median": quantiles(characters, [0.5], "number", seed)[0],
            "completion_tokens": mean(tokens, "tokens", seed, why="no answer can be used"),
            "invalid": share(np.where(np.isnan(problem), np.nan, problem >= 0), seed),
        }
        series.append(Series(label, thinned(characters)))
    findings.sections = [
        Section(
            "Answers",
            "How long they are. Which of two is better, people judge: `maestrale review make`.",
            [table_of("Length", findings.figures, COLUMNS)],
            [Chart("Length", "histogram", [], series, "number", "characters")],
        )
    ]
    return findings
