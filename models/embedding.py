"""What an embedding job does with each of its rows, and how many texts one request may hold."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MOST_TEXTS = 64
"""Texts in one request; Mistral takes 512 (error 3210), other servers fewer."""
MOST_TOKENS = 16_000
"""Tokens in one request, cautiously guessed; Mistral takes 16,384."""


class Embedding(BaseModel):
    """Who embeds which text of a row, and where the vectors go."""

    # errors end in logs, texts must not
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str = Field(min_length=1)
    text: str = Field(min_length=1)
    """A template over `row`."""
    store: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    """The name under which the vectors are found."""
    path: str = ""
    """The store's file, if it is not below the home."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what is asked of whom and for which store, in hex."""
        canonical = json.dumps(self.model_dump(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def text_of(self) -> Callable[[Mapping[str, Any]], str]:
        """From a row to its text, compiled once; raises `RowProblem` where a field is missing."""
        from models.recipes.templates import compile_text  # noqa: PLC0415 # payloads are light

        render = compile_text(self.text, "text")
        return lambda row: render({"row": row}).strip()

    def body(self, text: str) -> dict[str, Any]:
        """The request for one text, whose hash is its key in the ledger."""
        return request(self.model, text)


def request(model: str, text: str) -> dict[str, Any]:
    """The request for the vector of one text."""
    return {"model": model, "input": [text]}
