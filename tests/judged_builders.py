"""Suites that judge, rows of them in hand, and an asker whose answers a test makes up."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any

from models.payloads import Failed, JobSpec, RowInHand, Snoozed, Usage
from models.requests import call_key
from models.states import JobKind
from models.suites import Contestant, Evaluation, Suite
from worker.evaluating.row import EvaluationRow
from worker.jobs import JobInHand
from worker.paying import Answered
from worker.rows import RowRun

Said = str | dict[str, Any] | Failed | Snoozed
"""What a made-up server says: a text, JSON that is sent as text, or why there is no answer."""

CRITERIA = [{"name": name, "description": f"It is {name}."} for name in ("right", "full", "plain")]
JUDGE = {
    "model": "judge",
    "ask": {"prompt": "{{ row.question }}\n1: {{ first }}\n2: {{ second }}\n{{ criteria|length }}"},
    "criteria": CRITERIA,
}
GROUNDING = {
    "model": "judge",
    "question": "{{ row.question }}",
    "context": "{{ row.text }}",
    "questions": 2,
}


def an_evaluation(kind: str, *models: str, attempts: int = 1, **changes: Any) -> Evaluation:
    """A suite of that kind with its models; judges are those of its section."""
    suite: dict[str, Any] = {"name": "test", "kind": kind, **changes}
    if models:
        suite.setdefault("prompts", {"default": {"prompt": "{{ row.question }}"}})
    section = suite.get("judge") or suite.get("grounding") or {}
    judges = changes.pop("judges", None) or [section.get("model", "judge")]
    suite.pop("judges", None)
    return Evaluation(
        suite=Suite.model_validate(suite),
        contestants=[Contestant(model=name) for name in models],
        attempts=attempts,
        judges=judges,
    )


class MadeUp:
    """An asker whose server is a function of the body; embeddings come from `vectors`."""

    def __init__(
        self,
        says: Callable[[dict[str, Any]], Said],
        vectors: Callable[[str], list[float]] = lambda text: [float(len(text)), 1.0],
    ) -> None:
        self._says = says
        self._vectors = vectors
        self._numbers = count(1)
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        """Endpoint, body and sample of every call."""

    async def ask(
        self,
        shard: object,
        endpoint: str,
        body: dict[str, Any],
        *,
        sample: str = "",
        continuing: bool = False,
    ) -> Answered | Failed | Snoozed:
        """As `Asker.ask`, and each answer costs 10 nano-USD."""
        self.asked.append((endpoint, body, sample))
        await asyncio.sleep(0)
        if endpoint == "embeddings":
            return self._answered(body, {"data": [{"embedding": self._vectors(body["input"][0])}]})
        said = self._says(body)
        if isinstance(said, Failed | Snoozed):
            return said
        content = said if isinstance(said, str) else json.dumps(said)
        message = {"role": "assistant", "content": content, "tool_calls": None}
        return self._answered(
            body, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        )

    def to(self, model: str) -> list[dict[str, Any]]:
        """The bodies that a model was asked with."""
        return [body for _, body, _ in self.asked if body["model"] == model]

    def _answered(self, body: dict[str, Any], answer: dict[str, Any]) -> Answered:
        key = call_key("made up", "chat", body, str(next(self._numbers)))
        model = str(body["model"])
        return Answered(key, answer, model, Usage(10, 5), from_ledger=False, cost_nano=10)


def a_row(evaluation: Evaluation, asker: MadeUp, **data: Any) -> EvaluationRow:
    """A row of a job in hand."""
    spec = JobSpec(evaluation=evaluation.model_dump(mode="json"))
    job = JobInHand("job_test", JobKind.EVALUATE, spec, 5, lambda *_: None)
    row = RowInHand(0, "r0", {"id": "r0", "question": "Why?", **data})
    return EvaluationRow(RowRun(job.take(), row, asker=asker))  # type: ignore[arg-type] # a fake


def prompt_of(body: dict[str, Any]) -> str:
    """The last message's text."""
    return str(body["messages"][-1]["content"])
