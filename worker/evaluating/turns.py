"""A contestant that looks things up itself, by calling a function: a few turns, each a call.

Every answer of the model is a call in the ledger, so a row that is run again goes the same way for
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from models.recipes.answers import Choice
from models.recipes.problems import Problem
from models.recipes.strict_json import Json
from models.suites.looking_up import NOTHING, Sought, exchange, looks_up, offer, sought_by
from models.suites.outcomes import Paid
from models.suites.retrieving import Ranked, fitted
from models.suites.schema import Contestant
from worker.evaluating.retrieving import Reading
from worker.evaluating.row import Body, EvaluationRow, Stopped


@dataclass(slots=True)
class Desk:
    """The documents of one answer: what it was shown and by whose wish, and what room is left."""

    reading: Reading
    room: int
    retrieved: list[dict[str, Json]] = field(default_factory=list)
    lookups: list[dict[str, Json]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    _places: set[int] = field(default_factory=set)

    def put(self, found: Sequence[Ranked], *, turn: int = 0) -> list[tuple[str, str]]:
        """Shows what fits of the documents found; answers ids and texts of those that are new."""
        new = [one for one in found if one.place not in self._places]
        shelf = fitted(new, self.reading.text, self.room)
        self.room -= shelf.tokens
        self._places |= {one.place for one in shelf.shown}
        self.retrieved += [self._told(one, turn) for one in shelf.shown]
        self.retrieved += [{**self._told(one, turn), "left_out": True} for one in shelf.left_out]
        shown = [(self.id_of(one), self.reading.text(one.place)) for one in shelf.shown]
        self.texts += [text for _, text in shown]
        return shown

    def shown_of(self, found: Sequence[Ranked]) -> list[str]:
        """Ids of those that stand in the conversation already."""
        return [self.id_of(one) for one in found if one.place in self._places]

    def id_of(self, one: Ranked) -> str:
        """What the store calls the document."""
        return self.reading.library.store.ids[one.place]

    def _told(self, one: Ranked, turn: int) -> dict[str, Json]:
        why: dict[str, Json] = {"why": "tool", "turn": turn} if turn else {"why": one.why}
        return {"id": self.id_of(one), "score": round(one.score, 4), **why}


async def conversed(
    row: EvaluationRow, contestant: Contestant, body: Body, paid: Paid, desk: Desk, attempt: int
) -> Choice | Problem | Stopped:
    """The contestant's answer, after as many look-ups as it wants and may have; a model that goes
    on calling is asked once more without the function."""
    told = desk.reading.told
    assert told.tool is not None, "only those who may look things up come here"
    offered = offer(body, told.tool, has_entity=bool(told.entity))
    for turn in range(1, told.tool.max_turns + 1):
        choice = await row.ask(contestant.label, offered, paid, attempt=attempt)
        if not isinstance(choice, Choice) or not looks_up(choice, body):
            return choice
        sought = sought_by(choice.tool_calls, told.tool)
        results = await _results(desk, sought, turn)
        if not isinstance(results, list):
            return results
        is_last = turn == told.tool.max_turns
        added = exchange(choice, sought, results, told.tool, turn, is_last=is_last)
        offered = {**offered, "messages": [*offered["messages"], *added]}
    final = {**body, "messages": offered["messages"]}
    return await row.ask(contestant.label, final, paid, attempt=attempt)


async def _results(desk: Desk, wanted: Sequence[Sought | str], turn: int) -> list[str] | Stopped:
    """What each call is answered, one after the other: they share the room that is left."""
    results: list[str] = []
    for sought in wanted:
        if isinstance(sought, str):
            desk.lookups.append({"turn": turn, "error": sought})
            results.append(f"Error: {sought}")
            continue
        found = await desk.reading.found(sought.query or sought.entity, sought.entity)
        if not isinstance(found, list):
            return found
        results.append(_result(desk, found, sought, turn))
    return results


def _result(desk: Desk, found: Sequence[Ranked], sought: Sought, turn: int) -> str:
    """The documents as the model reads them; what it has already is only named."""
    known = desk.shown_of(found)
    new = desk.put(found, turn=turn)
    entity: dict[str, Json] = {"entity": sought.entity} if sought.entity else {}
    desk.lookups.append({"turn": turn, "query": sought.query, **entity, "found": len(new)})
    parts = [f"[{name}]\n{text}" for name, text in new]
    if known:
        parts.append(f"Shown before: {', '.join(known)}")
    if missing := len(found) - len(known) - len(new):
        parts.append(f"There was no room for {missing} more.")
    return "\n\n".join(parts) or NOTHING
