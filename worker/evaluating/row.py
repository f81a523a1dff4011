"""One row of an evaluation under way: who is asked, what it was asked, and what that took."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from models.payloads import Failed, Snoozed, Submitted
from models.recipes.answers import Choice, Read
from models.recipes.problems import Problem, invalid
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites import Asked, Evaluation
from models.suites.outcomes import Paid
from models.vectors import unpack
from worker.embedding import asking
from worker.evaluating.libraries import Stores
from worker.gateway.mistral import to_choice
from worker.paying import Answered
from worker.rows import RowRun

Body = dict[str, Any]
Stopped = Failed | Snoozed | Submitted
Check = Callable[[Json], str]
"""What is wrong with an answer that fits its schema; empty: nothing."""
T = TypeVar("T")

BAD_ANSWERS = frozenset({FailureCode.REQUEST_REJECTED, FailureCode.REFUSED})
"""Failed calls that are an answer of a kind: this model cannot answer this row. Any other failure
is nobody's answer, and fails the row by name."""


@dataclass(slots=True)
class EvaluationRow:
    """A row and what it asks through."""

    run: RowRun
    stores: Stores = field(default_factory=Stores)
    """Where its documents are: this process's open stores."""
    shown: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """Texts of the documents that each answer was given, by its label and attempt: what it has to
    keep to, and what a judge may read."""

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
        self,
        step: str,
        model: str,
        names: Mapping[str, Json],
        paid: Paid,
        *,
        attempt: int = 1,
        check: Check | None = None,
    ) -> Read | Problem | Stopped:
        """A usable answer to a step, asked once more with the error if the first does not fit."""
        body = self.asked.request(step, model, self.data, names)
        choice = await self.ask(step, body, paid, attempt=attempt)
        if not isinstance(choice, Choice):
            return choice
        read = self._read(step, choice, check)
        if isinstance(read, Problem) and read.repairable:
            body = self.asked.repair(step, body, choice, read)
            choice = await self.ask(step, body, paid, attempt=attempt)
            return self._read(step, choice, check) if isinstance(choice, Choice) else choice
        return read

    async def vector(self, model: str, text: str, paid: Paid) -> list[float] | Stopped:
        """The text's embedding; what it took is added to `paid`."""
        asked = await asking.ask(self.run, model, text)
        if not isinstance(asked, Answered):
            return asked
        count(paid, asked)
        found = asking.packed(asked.answer)
        return found if isinstance(found, Failed) else unpack(found)

    def _read(self, step: str, choice: Choice, check: Check | None) -> Read | Problem:
        read = self.asked.read(step, choice)
        complaint = check(read.value) if check and isinstance(read, Read) else ""
        return invalid(complaint) if complaint else read


async def together(wanted: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them at the same time and to their end, then the first error if there was one: a row
    is over when nothing of it is asked any more."""
    ended = await asyncio.gather(*wanted, return_exceptions=True)
    found: list[T] = []
    for one in ended:
        if isinstance(one, BaseException):
            raise one
        found.append(one)
    return found


def count(paid: Paid, asked: Answered) -> None:
    """Adds what a call took."""
    paid.calls += 1
    paid.latency_ms += asked.latency_ms
    paid.prompt_tokens += asked.usage.prompt_tokens
    paid.completion_tokens += asked.usage.completion_tokens
    known = paid.cost_nano is not None and asked.cost_nano is not None
    paid.cost_nano = (paid.cost_nano or 0) + (asked.cost_nano or 0) if known else None
    paid.keys.append(asked.key)
