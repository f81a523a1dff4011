"""Documents for a row: what its question is, and which documents that finds."""

import asyncio
from dataclasses import dataclass
from functools import partial

from models.payloads import Snoozed
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.suites.retrieving import NAMES_IN, Ranked
from models.suites.schema import Retrieval
from worker.embedding.asking import vector
from worker.evaluating.libraries import Library, StoreProblemError, Wanted
from worker.evaluating.row import EvaluationRow, Stopped


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row may be given: an open store, and how it is searched."""

    row: EvaluationRow
    told: Retrieval
    library: Library

    async def found(self, text: str, also: str = "") -> list[Ranked] | Stopped:
        """The documents for a text, the best first. `also`: names to look for besides its own."""
        sought = await vector(self.row.run, self.library.store.model, text)
        if not isinstance(sought, list):
            return sought
        recognise = NAMES_IN.get(self.told.entity or "")
        named = recognise(f"{also}\n{text}") if recognise else []
        search = partial(self.library.search, sought, named, self.told.top_k)
        try:
            return await asyncio.to_thread(search)
        except StoreProblemError as problem:
            return _paused(self.row, problem)

    def text(self, place: int) -> str:
        """What is shown of a document."""
        return self.row.asked.text(self.told.document, self.library.store.doc(place), name="doc")

    def query(self) -> str:
        """What is searched for on behalf of the row; `RowProblem` where that is nothing."""
        text = self.row.asked.text(self.told.query, self.row.data)
        if not text:
            raise RowProblem(FailureCode.BAD_ROW, "retrieval.query: the text is empty")
        return text


async def reading_of(row: EvaluationRow) -> Reading | Stopped | None:
    """The row's store, open; None where nobody needs one.

    A store that is not there, or is another, pauses the job: none of its rows could succeed.
    """
    told = row.evaluation.suite.retrieval
    if told is None or not any(map(row.asked.needs_store, row.evaluation.contestants)):
        return None
    try:
        return Reading(row, told, await row.stores.library(Wanted.by(row.evaluation)))
    except StoreProblemError as problem:
        return _paused(row, problem)


def _paused(row: EvaluationRow, problem: StoreProblemError) -> Snoozed:
    row.run.shard.job.pause("store", str(problem))
    return Snoozed(row.run.shard.stop_reason)
