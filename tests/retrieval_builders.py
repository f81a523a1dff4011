"""A small embedded store, suites that search it, and a server that calls the function offered."""

import itertools
import json
from pathlib import Path
from typing import Any

from judged_builders import MadeUp

from models.suites import Contestant, Evaluation, Suite
from models.vectors import Embedded, describe, write_store
from worker.paying import Answered

DOCS = {
    "p1": ("miR-21 in the liver", ["miR-21"], [1.0, 0.0, 0.0]),
    "p2": ("miR-21-3p in the heart", ["miR-21"], [0.9, 0.1, 0.0]),
    "p3": ("miR-155 in blood", ["miR-155"], [0.0, 1.0, 0.0]),
    "p4": ("Nothing in particular", [], [0.8, 0.2, 0.1]),
    "p5": ("A family, miR-23, in bone", ["miR-23"], [0.0, 0.0, 1.0]),
}
OPTIONS = {"A": "liver", "B": "heart", "C": "bone", "D": "blood"}
PROMPT = (
    "{% for text in context %}<{{ text }}>{% endfor %} {{ row.question }} "
    "{% for one in options %}{{ one.letter }}) {{ one.text }} {% endfor %}"
)
BARE = "{{ row.question }} {% for one in options %}{{ one.letter }}) {{ one.text }} {% endfor %}"
RETRIEVAL: dict[str, Any] = {
    "query": "{{ row.question }}",
    "document": "{{ doc.title }}",
    "entity": "microrna",
    "top_k": 3,
}
SPACE = [1.0, 0.05, 0.02]
"""Where every query of these tests stands: nearest to p1, then p2 and p4."""


def a_store(folder: Path, *, model: str = "embedder", docs: dict[str, Any] = DOCS) -> Path:
    """The documents in a file."""
    path = folder / "papers.parquet"
    rows = (
        Embedded(name, json.dumps({"title": title, "molecules": names}), vector)
        for name, (title, names, vector) in docs.items()
    )
    write_store(path, rows, model)
    return path


def an_exam(store: Path | None, *models: str, attempts: int = 1, **changes: Any) -> Evaluation:
    """Multiple choice over the store; `model@bare` is asked without documents."""
    suite = {
        "name": "exam",
        "kind": "choice",
        "prompts": {"open": {"prompt": PROMPT}, "bare": {"prompt": BARE}},
        "choice": {},
        "retrieval": RETRIEVAL,
        **changes,
    }
    named = [model.partition("@") for model in models or ("m",)]
    facts = describe(store) if store else None
    return Evaluation(
        suite=Suite.model_validate(suite),
        contestants=[Contestant(model=model, prompt=prompt) for model, _, prompt in named],
        attempts=attempts,
        store=str(store) if store else None,
        store_hash=facts.hash if facts else "",
        store_model=facts.model if facts else "",
    )


def calling(*calls: tuple[str, object]) -> dict[str, Any]:
    """A message that calls functions: names and arguments; a text is sent as it is."""
    made = [
        {
            "id": f"their{at:04d}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for at, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": "", "tool_calls": made}


class Talking(MadeUp):
    """An asker whose server answers each request with the next of these messages, and for ever
    with the last."""

    def __init__(self, *messages: str | dict[str, Any], space: list[float] = SPACE) -> None:
        super().__init__(lambda _: "", lambda _: space)
        self._next = itertools.chain(messages, itertools.repeat(messages[-1]))

    async def ask(self, shard: object, endpoint: str, body: dict[str, Any], **named: Any) -> Any:
        """As `Asker.ask`."""
        found = await super().ask(shard, endpoint, body, **named)
        if endpoint == "embeddings" or not isinstance(found, Answered):
            return found
        said = next(self._next)
        message = said if isinstance(said, dict) else {"role": "assistant", "content": said}
        found.answer["choices"][0]["message"] = {"tool_calls": None, **message}
        return found

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was asked of the models, in order."""
        return [body for endpoint, body, _ in self.asked if endpoint == "chat"]

    @property
    def sought(self) -> list[str]:
        """The texts whose vectors were asked for."""
        return [body["input"][0] for endpoint, body, _ in self.asked if endpoint == "embeddings"]
