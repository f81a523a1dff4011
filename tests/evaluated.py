"""Builders of what evaluations found out: suites, jobs and done rows, with no server in sight."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models.suites import Contestant, Evaluation, Suite
from models.suites.outcomes import FIRST, SECOND, Answer, Grounds, Loss, Outcome, Paid, Verdict
from models.tables import Job
from producers.evaluating.figures.build import Facts, build
from producers.evaluating.report import Comparison, Figure, Report

PROMPTS = {"default": {"prompt": "{{ row.q }}"}, "bare": {"prompt": "{{ row.q }}"}}
LABELS = {"labels": ["yes", "no"], "positive": "yes", "user_text": "{{ row.q }}"}
CRITERIA = [{"name": "law", "description": "right", "points": 3}]
JUDGE = {"ask": {"prompt": "{{ first }} {{ second }}"}, "criteria": CRITERIA}
SECTIONS: dict[str, dict[str, Any]] = {
    "classification": {"classification": LABELS},
    "choice": {"choice": {}},
    "samples": {},
    "pairwise": {"judge": JUDGE},
    "judges": {"judge": JUDGE, "prompts": {}},
    "grounded": {"grounding": {"question": "{{ row.q }}"}},
    "perplexity": {"prompts": {}},
}


@dataclass(frozen=True, slots=True)
class Found:
    """A done row."""

    row_id: str
    data: dict[str, Any]
    outcomes: list[Outcome]


def an_evaluation(
    kind: str = "classification",
    models: Sequence[str] = ("base", "tuned"),
    attempts: int = 1,
    judges: Sequence[str] = (),
    **more: Any,
) -> Evaluation:
    """Some models put to a suite of that kind; `more` is the suite's."""
    told = {"name": "exam", "kind": kind, "prompts": PROMPTS, **SECTIONS[kind], **more}
    needs_judge = kind in ("pairwise", "judges", "grounded")
    return Evaluation(
        suite=Suite.model_validate(told),
        contestants=[Contestant(model=model) for model in models if kind != "judges"],
        attempts=attempts,
        judges=list(judges) or (["judge"] if needs_judge else []),
    )


def a_job(**more: Any) -> Job:
    """A job that ended well."""
    told = {
        "id": "job_1",
        "kind": "evaluate",
        "name": "exam",
        "state": "succeeded",
        "spec": "{}",
        "fingerprint": "f" * 64,
        "input_name": "rows.jsonl",
        "created_at": 0.0,
    }
    return Job(**{**told, **more})


def found(*outcomes: Iterable[Outcome]) -> list[Found]:
    """One row for each group of outcomes."""
    return [
        Found(f"r{no}", {"q": f"question {no}"}, list(group)) for no, group in enumerate(outcomes)
    ]


def paid(**more: Any) -> Paid:
    """What one call took."""
    told = {"calls": 1, "latency_ms": 100, "prompt_tokens": 20, "completion_tokens": 5}
    return Paid(**{**told, "cost_nano": 1000, **more})


def said(model: str, value: str | None, gold: str, attempt: int = 1, **more: Any) -> Answer:
    """An answer; None: one of no use."""
    problem = "" if value is not None else more.pop("problem", "invalid_answer")
    told = {"text": value or "", "paid": paid(), "problem": problem, **more}
    return Answer(model=model, attempt=attempt, value=value, gold=gold, **told)


def labelled(gold: Sequence[str], **answers: Sequence[str | None]) -> list[Found]:
    """Rows of a classification: the gold labels, and what each model said, one attempt each."""
    return found(
        *(
            [said(model, told[no], right) for model, told in answers.items()]
            for no, right in enumerate(gold)
        )
    )


def verdicts(
    first: str,
    second: str,
    here: tuple[int, int] | None,
    there: tuple[int, int] | None,
    attempt: int = 1,
    **more: Any,
) -> list[Outcome]:
    """Both orders: points of (first, second) where the first stood first, and where it did not.

    None: that verdict was not valid.
    """
    told = {"judge": "judge", "attempt": attempt, "paid": paid(), **more}
    orders = ((first, second, here), (second, first, there[::-1] if there else None))
    return [
        Verdict(
            first=one,
            second=other,
            first_points={"law": points[0]} if points else None,
            second_points={"law": points[1]} if points else None,
            problem="" if points else "invalid_answer",
            **told,
        )
        for one, other, points in orders
    ]


def preferred(judge: str, lead: float | None, expert: float, **more: Any) -> list[Outcome]:
    """Kind judges: a judge's lead for the first answer, in both orders; None: no valid verdict."""
    points = None if lead is None else (max(0, int(lead)), max(0, int(-lead)))
    return verdicts(FIRST, SECOND, points, points, judge=judge, expert=expert, **more)


def grounded(model: str, faithfulness: float | None, relevancy: float | None) -> Grounds:
    """What grounds were found for an answer."""
    return Grounds(model, 1, "judge", 4, 2, faithfulness, relevancy, paid=paid())


def lost(model: str, nll: float, tokens: int) -> Loss:
    """A row's loss."""
    return Loss(model, tokens, nll)


def report_of(evaluation: Evaluation, rows: Iterable[Found], **more: Any) -> Report:
    """The report of a job that ended well; `more` is the job's."""
    return build(evaluation, a_job(**more), rows, Facts())


def figure(report: Report, model: str, name: str) -> Figure:
    """One figure of a report."""
    return report.figures[model][name]


def comparison(report: Report, metric: str) -> Comparison:
    """The first comparison by that metric."""
    return next(one for one in report.comparisons if one.metric == metric)


def all_figures(report: Report) -> list[Figure]:
    """Every figure that a report holds, wherever it stands."""
    tables = [report.summary, *itertools.chain(*(one.tables for one in report.sections))]
    cells = itertools.chain(*(row for table in tables for row in table.rows))
    named = itertools.chain(*(one.values() for one in report.figures.values()))
    return [one for one in (*cells, *named) if isinstance(one, Figure)]
