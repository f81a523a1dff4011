"""The evaluation kind: a row is answered by every contestant, and its answers are judged."""

from collections.abc import Sequence
from typing import assert_never

from models.payloads import Failed, RowOutcome, Snoozed, Submitted, Succeeded
from models.recipes.problems import RowProblem
from models.suites.outcomes import Outcome, to_record
from models.suites.schema import SuiteKind
from worker.evaluating.answering import answers
from worker.evaluating.grounding import grounded_answers
from worker.evaluating.judging import judged_answers, judges_compared
from worker.evaluating.libraries import Stores
from worker.evaluating.losses import Losses
from worker.evaluating.row import EvaluationRow, Stopped
from worker.rows import RowRun


class Evaluations:
    """The evaluations of one process. `losses`: who reads rows to models of our own; `stores`: what
    is open of the documents that are searched."""

    def __init__(self, losses: Losses, stores: Stores) -> None:
        self._losses = losses
        self._stores = stores

    async def run_row(self, run: RowRun) -> RowOutcome:
        """One row of a suite. An answer of no use is a result; a call that failed is not."""
        row = EvaluationRow(run, self._stores)
        try:
            found = await self._outcomes(row)
        except RowProblem as problem:
            return Failed(problem.code, problem.detail)
        if isinstance(found, Failed | Snoozed | Submitted):
            return found
        return Succeeded([to_record(one) for one in found], _provenance(row))

    async def _outcomes(self, row: EvaluationRow) -> "Sequence[Outcome] | Stopped":
        """What the suite's kind finds out about the row, or what ended it."""
        match row.evaluation.suite.kind:
            case SuiteKind.CLASSIFICATION | SuiteKind.CHOICE | SuiteKind.SAMPLES:
                return await answers(row)
            case SuiteKind.PAIRWISE:
                return await judged_answers(row)
            case SuiteKind.JUDGES:
                return await judges_compared(row)
            case SuiteKind.GROUNDED:
                return await grounded_answers(row)
            case SuiteKind.PERPLEXITY:
                return await self._losses.of_row(row)
            case _:
                assert_never(row.evaluation.suite.kind)


def _provenance(row: EvaluationRow) -> dict[str, object]:
    suite = row.evaluation.suite
    return {"suite": suite.name, "suite_hash": suite.hash, "calls": len(row.run.calls)}
