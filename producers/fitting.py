"""Rows too long for the models that would be asked about them: told before anything is paid."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from models.recipes import Compiled, Recipe, RowProblem
from models.recipes.loops import Scope
from producers import offered
from producers.tokens import token_counter

LEAST_CHATTING, LEAST_EMBEDDING = 4096, 512
"""Tokens: no model takes fewer. Until a row could have more, the server is not asked."""

Body = Mapping[str, Any]
Fits = Callable[[dict[str, Any], int], str]


class Fitting:
    """Says of a row whether what is asked about it first fits into the models' windows.

    Only rows with so many bytes that they might not fit are rendered and counted: a token has one
    byte or more. (A template that prints a field again and again in a loop escapes it: the server
    then refuses, unpaid.) Without a known window, or with tokens that are only guessed, all fit.
    """

    def __init__(
        self,
        client: offered.Client,
        models: Iterable[str],
        template: str,
        bodies: Callable[[dict[str, Any]], Iterable[Body]],
        least: int = LEAST_CHATTING,
    ) -> None:
        """`template`: all that is asked besides the row. `bodies`: a row's first requests. `least`:
        tokens that each of the models surely takes."""
        self._client, self._models, self._bodies = client, models, bodies
        self._fixed, self._printed = len(template.encode()), 1 + template.count("{{")
        self._windows: Mapping[str, int] | None = None
        self._smallest: float = least

    def problem(self, row: dict[str, Any], size: int) -> str:
        """Why the row, of `size` bytes as JSON, is too long; empty: it is not."""
        if self._fixed + self._printed * size <= self._smallest:
            return ""
        if self._windows is None:
            self._ask()
            return self.problem(row, size)
        try:
            return next(filter(None, map(self._complaint, self._bodies(row))), "")
        except RowProblem:  # it is not asked at all
            return ""

    def _ask(self) -> None:
        self._windows = offered.windows(self._models, self._client)
        if not (self._windows and token_counter().exact):
            self._windows = {}
        self._smallest = min(self._windows.values(), default=math.inf)

    def _complaint(self, body: Body) -> str:
        window = (self._windows or {}).get(body["model"])
        tokens = window and token_counter().above(_text(body), window)
        if not tokens:
            return ""
        what = "text" if "input" in body else "prompt"
        return f"the {what} has {tokens:,} tokens, and {body['model']} takes {window:,}"


def of_recipe(recipe: Recipe, client: offered.Client) -> Fits:
    """Of the requests of its first step; what later ones ask depends on answers."""
    compiled, first = Compiled(recipe), recipe.steps[0]
    template = recipe.model_dump_json()

    def bodies(row: dict[str, Any]) -> Iterable[Body]:
        return compiled.requests(first, Scope(row))

    return Fitting(client, [first.model], template, bodies).problem


def _text(body: Body) -> str:
    """What is surely read as it stands; the server's own marks around it are not counted."""
    if "input" in body:
        return "\n".join(body["input"])
    texts = [str(message.get("content") or "") for message in body["messages"]]
    tools = body.get("tools")
    return "\n".join([*texts, orjson.dumps(tools).decode()] if tools else texts)
