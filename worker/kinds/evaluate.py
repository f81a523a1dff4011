"""The evaluation kind: a row is answered by every contestant, and its answers are judged."""

from collections.abc import Sequence
from typing import assert_never

from models.payloads import Failed, RowOutcome, Snoozed, Submitted, Succeeded
from models.recipes.problems import RowProblem
from models.suites.outcomes import Outcome, to_record
from models.suites.schema import SuiteKind
from worker.evaluating.answering import answers
from worker.evaluating.row import EvaluationRow, Stopped
from worker.kinds.generate import RowRun


async def run_row(run: RowRun) -> RowOutcome:
    """One row of a suite. An answer that cannot be used is a result; a call that failed is not."""
    row = EvaluationRow(run)
    try:
        found = await outcomes(row)
    except RowProblem as problem:
        return Failed(problem.code, problem.detail)
    if isinstance(found, Failed | Snoozed | Submitted):
        return found
    return Succeeded([to_record(one) for one in found], _provenance(row))


async def outcomes(row: EvaluationRow) -> "Sequence[Outcome] | Stopped":
    """What the suite's kind finds out about the row, or what ended it."""
    match row.evaluation.suite.kind:
        case SuiteKind.CLASSIFICATION | SuiteKind.CHOICE | SuiteKind.SAMPLES:
            return await answers(row)
        case SuiteKind.PAIRWISE | SuiteKind.JUDGES | SuiteKind.GROUNDED | SuiteKind.PERPLEXITY:
            raise NotImplementedError
        case _:
            assert_never(row.evaluation.suite.kind)


def _provenance(row: EvaluationRow) -> dict[str, object]:
    suite = row.evaluation.suite
    return {"suite": suite.name, "suite_hash": suite.hash, "calls": len(row.run.calls)}
