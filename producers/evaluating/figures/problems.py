"""Answers that cannot be used, by model and reason; rows that failed and are in no figure."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.states import FailureCode
from models.words import counted, share
from producers.evaluating.figures.findings import Findings
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Cell, Figure, Section, Table

MANY_TRUNCATED = 0.01


def find(gathered: Gathered) -> Findings:
    """How many answers of each model there are, how many of use, and what is wrong with others."""
    problems = gathered.answers.of("problem")
    if not (~np.isnan(problems)).any():
        return Findings()
    counts = {
        label: counts_of(problems[:, at], gathered.problems.words)
        for at, label in enumerate(gathered.labels)
    }
    codes = [code for code in gathered.problems.words if any(one[code] for one in counts.values())]
    findings = Findings()
    rows: list[Sequence[Cell]] = []
    for at, (label, found) in enumerate(counts.items()):
        answers = int((~np.isnan(problems[:, at])).sum())
        usable = answers - sum(found.values())
        told = [answers, usable, *(found[code] for code in codes)]
        rows.append([label, *(Figure(float(number), "count") for number in told)])
        findings.figures[label] = {
            "answers": Figure(float(answers), "count"),
            "unusable": Figure(float(answers - usable), "count", n=answers),
        }
        findings.warnings += _warnings(label, answers, usable, found)
    table = Table("Answers", ["Model", "Answers", "Of use", *codes], rows)
    findings.sections = [Section("Answers of no use", _text(codes), [table])]
    return findings


def counts_of(problems: Floats, codes: Sequence[str]) -> dict[str, int]:
    """How often each problem came."""
    return {code: int((problems == place).sum()) for place, code in enumerate(codes)}


def of_rows(rows_failed: int, failures: Mapping[str, int]) -> Findings:
    """Rows that failed by name: in no figure, and said."""
    if not rows_failed:
        return Findings()
    told = ", ".join(f"{code} {number:,}" for code, number in failures.items())
    warning = f"{counted(rows_failed, 'row')} failed{f' ({told})' if told else ''} and "
    warning += f"{'is' if rows_failed == 1 else 'are'} in no figure: `maestrale retry` asks again"
    rows: list[Sequence[Cell]] = [
        [code, Figure(float(number), "count")] for code, number in failures.items()
    ]
    table = Table("Rows that failed", ["Reason", "Rows"], rows)
    return Findings(
        sections=[Section("Rows that failed", "They are in no figure.", [table])] if rows else [],
        warnings=[warning],
    )


def _text(codes: Sequence[str]) -> str:
    return (
        "They are counted as what they are, and dropped from nothing."
        if codes
        else "There are none."
    )


def _warnings(label: str, answers: int, usable: int, found: Mapping[str, int]) -> list[str]:
    truncated = found.get(FailureCode.TRUNCATED, 0)
    if answers and not usable:
        often = max(found, key=lambda code: found[code])
        return [f"{label} never gave an answer of use ({often}): its figures say no more than that"]
    if answers and truncated / answers >= MANY_TRUNCATED:
        return [
            f"{share(truncated / answers)} of the answers of {label} were cut off: raise max_tokens"
        ]
    return []
