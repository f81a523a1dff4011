"""The embedding kind: a row's text becomes a vector, which is its record."""

from models.payloads import Failed, RowOutcome, Succeeded
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.vectors import FLOAT_BYTES, to_text
from worker.embedding.asking import STEP, ask, packed
from worker.paying import Answered
from worker.rows import RowRun


async def run_row(run: RowRun) -> RowOutcome:
    """One row, one text, one vector."""
    told = run.shard.job.spec.embedding
    if told is None:
        return Failed(FailureCode.INTERNAL, "the job does not say what it embeds")
    try:
        text = told.text_of(run.row.data)
    except RowProblem as problem:
        return Failed(problem.code, problem.detail)
    if not text:
        return Failed(FailureCode.BAD_ROW, "text: the template gives nothing to embed for this row")
    asked = await ask(run, told.model, text)
    return _record(asked) if isinstance(asked, Answered) else asked


def _record(asked: Answered) -> RowOutcome:
    found = packed(asked.answer)
    if isinstance(found, Failed):
        return found
    record = {"vector": to_text(found), "dimensions": len(found) // FLOAT_BYTES}
    told = {"key": asked.key, "model": asked.model, "prompt_tokens": asked.usage.prompt_tokens}
    return Succeeded([record], {"calls": [{"step": STEP, **told}]})
