"""How surprised models of our own are by a row's conversation: nothing is called, a child reads."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import MaestraleError
from models.payloads import Failed, Snoozed
from models.recipes.problems import RowProblem, shorten
from models.states import FailureCode
from models.store import registry
from models.suites.outcomes import Loss
from models.suites.schema import Contestant, Perplexity
from models.tables import TunedModel
from worker.evaluating.answering import first_stop
from worker.evaluating.row import EvaluationRow, Stopped, together
from worker.evaluating.scorers import Scorers
from worker.training.scored import Reading, Scored, Unscored

Read = Callable[..., Awaitable[Any]]
CODES: Mapping[str, FailureCode] = {
    "bad_dataset": FailureCode.TRUNCATED,
    "unsupported": FailureCode.REQUEST_REJECTED,
    "broken": FailureCode.INVALID_ANSWER,
}
"""What a row that a model cannot read is counted as; what memory refuses fails the row."""
CUT = "the process ends"


class Losses:
    """Finds models and has rows read to them. `read`: runs a function of the store."""

    def __init__(self, read: Read, home: Path, scorers: Scorers) -> None:
        self._read = read
        self._home = home
        self._scorers = scorers

    async def of_row(self, row: EvaluationRow) -> list[Loss] | Stopped:
        """A loss for every contestant, or what ended the row."""
        check_messages(row.data)
        seq_len = (row.evaluation.suite.perplexity or Perplexity()).seq_len
        wanted = (self._loss(row, one, seq_len) for one in row.evaluation.contestants)
        try:
            found = await together(wanted)
        except MaestraleError as error:
            return Snoozed(f"the database was away: {error}")
        return first_stop(found) or [one for one in found if isinstance(one, Loss)]

    async def close(self) -> None:
        """Ends the child."""
        await self._scorers.close()

    async def _loss(
        self, row: EvaluationRow, contestant: Contestant, seq_len: int
    ) -> Loss | Stopped:
        shard = row.run.shard
        reading = await self._reading(contestant.model, seq_len)
        if isinstance(reading, Failed):
            return reading
        if shard.is_stopped:
            return Snoozed(shard.stop_reason)
        with shard.waiting():
            told = await self._scorers.score(reading, row.data)
            return _as_outcome(contestant.label, told)
        return Snoozed(shard.stop_reason or CUT)

    async def _reading(self, name: str, seq_len: int) -> Reading | Failed:
        """The model of the registry, or a base as a training would take it."""
        known: TunedModel | None = await self._read(registry.by_name, name)
        if known is None:
            return Reading(name, seq_len=seq_len)
        if known.trainer != "local":
            return _failed(f"{name} lies with the provider, who tells no losses: leave it out")
        adapter = self._home / known.place
        if not adapter.is_dir():
            return _failed(f"{adapter} is not on this machine: evaluate where {name} was trained")
        return Reading(known.base, str(adapter.absolute()), seq_len)


def check_messages(row: Mapping[str, Any]) -> None:
    """Raises `RowProblem` for a row that is no conversation in which the assistant speaks, or whose
    tools are none."""
    messages = row.get("messages")
    is_chat = isinstance(messages, list) and all(
        isinstance(one, dict) and isinstance(one.get("role"), str) for one in messages
    )
    if not is_chat or not any(one["role"] == "assistant" for one in messages or ()):
        raise RowProblem(
            FailureCode.BAD_ROW, "messages must be a conversation in which the assistant speaks"
        )
    tools = row.get("tools")
    are_objects = isinstance(tools, list) and all(isinstance(one, dict) for one in tools)
    if tools is not None and not are_objects:
        raise RowProblem(FailureCode.BAD_ROW, "tools must be a list of objects, or left out")


def _as_outcome(label: str, told: Any) -> Loss | Failed:
    if isinstance(told, Scored):
        return Loss(label, told.tokens, told.nll)
    if isinstance(told, Unscored) and told.code in CODES:
        return Loss(label, 0, 0.0, problem=CODES[told.code], detail=shorten(told.detail))
    return _failed(f"{label}: {told.detail}")


def _failed(detail: str) -> Failed:
    return Failed(FailureCode.MODEL_FAILED, shorten(detail))
