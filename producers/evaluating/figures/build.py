"""Outcomes become a report: the one way in for those who make reports."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from models.states import JobState
from models.suites import Evaluation, SuiteKind
from models.tables import Job
from models.words import counted
from producers.evaluating.figures import (
    choice,
    classification,
    facts,
    grounds,
    judges,
    judging,
    losses,
    overhead,
    problems,
    samples,
    spending,
)
from producers.evaluating.figures.facts import Facts
from producers.evaluating.figures.findings import Findings, table_of
from producers.evaluating.figures.gathering import Found, Gathered, gather
from producers.evaluating.figures.libraries import require_libraries
from producers.evaluating.figures.verdicts import comparisons_of
from producers.evaluating.report import Report

FEW_ROWS = 30
WIDE = 0.2
"""A share's interval that is wider than this tells little."""
TITLES = {
    SuiteKind.CLASSIFICATION: "labels",
    SuiteKind.CHOICE: "multiple choice",
    SuiteKind.SAMPLES: "answers side by side",
    SuiteKind.PAIRWISE: "answers in pairs, judged",
    SuiteKind.JUDGES: "judges against experts",
    SuiteKind.GROUNDED: "faithfulness and relevancy",
    SuiteKind.PERPLEXITY: "loss and perplexity",
}


def build(evaluation: Evaluation, job: Job, found: Iterable[Found], more: Facts) -> Report:
    """The report of an evaluation: the same rows give the same report, to the last digit.

    `found` is read once; the rows of a job that still runs give the figures so far.
    """
    require_libraries()
    seed = evaluation.suite.seed
    gathered = gather(evaluation, found, seed)
    findings = find(gathered, seed)
    findings.join(spending.find(gathered, seed))
    findings.join(problems.find(gathered))
    findings.join(problems.of_rows(job.rows_failed, more.failures))
    return Report(
        title=f"{evaluation.suite.name}: {TITLES[evaluation.suite.kind]}",
        kind=evaluation.suite.kind.value,
        job_id=job.id,
        summary=table_of("Summary", findings.figures, findings.summary),
        comparisons=comparisons_of(findings.paired),
        sections=findings.sections,
        examples=gathered.examples,
        warnings=[*facts.where(more), *cautions(gathered, job, findings), *findings.warnings],
        facts=facts.told(evaluation, job, more),
        repeat=facts.repeat(evaluation, more),
        figures=findings.figures,
    )


def find(gathered: Gathered, seed: int) -> Findings:
    """What the suite's kind tells."""
    return FINDS[gathered.evaluation.suite.kind](gathered, seed)


def _labels(gathered: Gathered, seed: int) -> Findings:
    findings = classification.find(gathered, seed)
    findings.join(overhead.find(gathered, seed))
    return findings


FINDS: Mapping[SuiteKind, Callable[[Gathered, int], Findings]] = {
    SuiteKind.CLASSIFICATION: _labels,
    SuiteKind.CHOICE: choice.find,
    SuiteKind.SAMPLES: samples.find,
    SuiteKind.PAIRWISE: judging.find,
    SuiteKind.JUDGES: judges.find,
    SuiteKind.GROUNDED: grounds.find,
    SuiteKind.PERPLEXITY: losses.find,
}


def cautions(gathered: Gathered, job: Job, findings: Findings) -> list[str]:
    """What to keep in mind with every figure."""
    found = []
    if job.state not in (JobState.SUCCEEDED, JobState.FAILED):
        found.append(f"the job is {job.state}: these are the figures of the rows that are done")
    if gathered.rows < FEW_ROWS:
        found.append(
            f"{counted(gathered.rows, 'row')} only: intervals are wide, and tests tell none but "
            "large differences"
        )
    elif wide := wide_ones(findings):
        found.append(
            f"too few rows to say {', '.join(wide)} better than within {100 * WIDE:.0f} percentage "
            "points (95%)"
        )
    return [*found, *_uneven(gathered)]


def wide_ones(findings: Findings) -> list[str]:
    """Figures of the summary, as people call them, whose interval is wide for some model."""
    wide = []
    for name, title in findings.summary.items():
        told = [one[name] for one in findings.figures.values() if name in one]
        shares = [one for one in told if one.unit == "share" and one.low is not None]
        if any((one.high or 0.0) - (one.low or 0.0) > WIDE for one in shares):
            wide.append(title)
    return wide


def _uneven(gathered: Gathered) -> list[str]:
    there = ~np.isnan(gathered.answers.of("problem"))
    answers = there.sum(axis=(0, 2)).tolist()
    if len(set(answers)) < 2:
        return []
    told = ", ".join(
        f"{label} {number:,}" for label, number in zip(gathered.labels, answers, strict=True)
    )
    return [f"models have different numbers of answers ({told}): n stands at each figure"]
