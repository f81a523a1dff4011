"""Vectors of an answer as the ledger keeps them: base64, a quarter of their digits. Pure."""

from collections.abc import Sequence
from typing import Any

from models.vectors import to_text


def compact(answer: dict[str, Any]) -> dict[str, Any]:
    """The checked answer with its vectors as base64 of float32."""
    data = [{**item, "embedding": written(item["embedding"])} for item in answer["data"]]
    return {**answer, "data": data}


def written(vector: Sequence[float]) -> Sequence[float] | str:
    """As it is where float32 is too small for it: whoever reads it says so, by its row."""
    try:
        return to_text(vector)
    except OverflowError:
        return vector
