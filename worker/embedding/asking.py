"""The vector of a text for a row: one call in the ledger per model and text, however many ask."""

from collections.abc import Mapping
from typing import Any

from models.embedding import request
from models.payloads import Failed
from models.states import FailureCode
from models.vectors import from_text, pack, unpack
from worker.paying import Answered
from worker.rows import RowRun, Stopped

STEP = "embed"
"""What a row's calls for vectors are called."""


async def vector(run: RowRun, model: str, text: str) -> list[float] | Stopped:
    """The vector of `text`, paid for at most once; or why there is none."""
    asked = await ask(run, model, text)
    if not isinstance(asked, Answered):
        return asked
    found = packed(asked.answer)
    return found if isinstance(found, Failed) else unpack(found)


async def ask(run: RowRun, model: str, text: str) -> Answered | Stopped:
    """The call behind `vector`, with what it took."""
    asked = await run.asker.ask(
        run.shard,
        "embeddings",
        request(model, text),
        sample=run.shard.job.sample(0),
        continuing=bool(run.calls),
    )
    if isinstance(asked, Answered):
        run.calls.append((STEP, asked))
    return asked


def packed(answer: Mapping[str, Any]) -> bytes | Failed:
    """The one vector of a checked answer, as float32: base64, or numbers as a server wrote them."""
    found = answer["data"][0]["embedding"]
    try:
        return from_text(found) if isinstance(found, str) else pack(found)
    except (OverflowError, ValueError) as error:
        return Failed(FailureCode.INVALID_ANSWER, f"the vector is of no use: {error}")
