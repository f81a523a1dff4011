"""One row of an evaluation under way: who is asked, what it was asked, and what that took."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.payloads import Failed, Snoozed, Submitted
from models.recipes.answers import Choice, Read
from models.recipes.problems import Problem
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites import Asked, Evaluation
from models.suites.outcomes import Paid
from worker.gateway.mistral import to_choice
from worker.kinds.generate import RowRun
from worker.paying import Answered

Body = dict[str, Any]
Stopped = Failed | Snoozed | Submitted

BAD_ANSWERS = frozenset({FailureCode.REQUEST_REJECTED, FailureCode.REFUSED})
"""Failed calls that are an answer of a kind: this model cannot answer this row. Any other failure
is nobody's answer, and fails the row by name."""


@dataclass(slots=True)
class EvaluationRow:
    """A row and what it asks through."""

    run: RowRun

    @property
    def asked(self) -> Asked:
        """The suite's prompts."""
        return self.run.shard.job.asked

    @property
    def evaluation(self) -> Evaluation:
        """What the job does with each of its rows."""
        return self.asked.evaluation

    @property
    def data(self) -> dict[str, Json]:
        """The row as the user wrote it."""
        return self.run.row.data

    async def ask(
        self, label: str, body: Body, paid: Paid, *, attempt: int = 1
    ) -> Choice | Problem | Stopped:
        """The model's answer to `body`; what it took is added to `paid`.

        Each attempt is a draw of its own; a retried row finds those it has in the ledger.
        """
        sample = self.run.shard.job.sample(attempt - 1)
        asked = await self.run.asker.ask(
            self.run.shard, "chat", body, sample=sample, continuing=bool(self.run.calls)
        )
        if isinstance(asked, Answered):
            self.run.calls.append((label, asked))
            count(paid, asked)
            return to_choice(asked.answer)
        if isinstance(asked, Failed) and asked.code in BAD_ANSWERS:
            return Problem(asked.code, asked.detail)
        return asked

    async def draw(
        self, step: str, model: str, names: Mapping[str, Json], paid: Paid, *, attempt: int = 1
    ) -> Read | Problem | Stopped:
        """A usable answer to a step, asked once more with the error if the first does not fit."""
        body = self.asked.request(step, model, self.data, names)
        choice = await self.ask(step, body, paid, attempt=attempt)
        if not isinstance(choice, Choice):
            return choice
        read = self.asked.read(step, choice)
        if isinstance(read, Problem) and read.repairable:
            body = self.asked.repair(step, body, choice, read)
            choice = await self.ask(step, body, paid, attempt=attempt)
            return self.asked.read(step, choice) if isinstance(choice, Choice) else choice
        return read


def count(paid: Paid, asked: Answered) -> None:
    """Adds what a call took."""
    paid.calls += 1
    paid.latency_ms += asked.latency_ms
    paid.prompt_tokens += asked.usage.prompt_tokens
    paid.completion_tokens += asked.usage.completion_tokens
    known = paid.cost_nano is not None and asked.cost_nano is not None
    paid.cost_nano = (paid.cost_nano or 0) + (asked.cost_nano or 0) if known else None
    paid.keys.append(asked.key)


def is_stopped(found: object) -> bool:
    """Whether a row ends here: stopped, waiting, or failed by name."""
    return isinstance(found, Failed | Snoozed | Submitted)
