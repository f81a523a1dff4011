"""The door for calls that travel together: one per way, and a member per call."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import orjson

from worker.gateway.gateway import Gateway
from worker.gateway.local import LocalGateway
from worker.joint.groups import Group, Outcome, Party, Place, Terms
from worker.limiter import Flow, Limiter
from worker.seats import Seats

BYTES_PER_TOKEN = 3
"""A cautious guess: English has more, and texts without spaces hardly fewer."""

Likeness = tuple[bytes, str, int, Party]


class Joint:
    """The groups of one way. Belongs to one event loop.

    Only texts of one job, one turn and one set of parameters share a request: jobs keep their
    shares of the limit.
    """

    def __init__(self, limiter: Limiter | Seats, gateway: Gateway | LocalGateway) -> None:
        self._limiter = limiter
        self._gateway = gateway
        self._open: dict[Likeness, Group] = {}
        self._usual: dict[str, int] = {}
        self._numbers = count(1)

    def member(self, body: Mapping[str, Any]) -> "Member":
        """One call to be, whose `body` has one text as its `input`."""
        return Member(self, body)

    def place(
        self, fields: dict[str, Any], text: str, *, priority: int, flow: Flow, party: Party
    ) -> Place:
        """A place for the text, in the group that is open or in a new one."""
        canonical = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        likeness = (canonical, flow.name, priority, party)
        tokens = 1 + len(text.encode(errors="replace")) // BYTES_PER_TOKEN
        group = self._open.get(likeness)
        if group is None or not group.has_room(tokens):
            group = self._begin(likeness, fields, priority, flow)
        return group.join(text, tokens)

    def _begin(
        self, likeness: Likeness, fields: dict[str, Any], priority: int, flow: Flow
    ) -> Group:
        usual = 0 if likeness[-1] else self._usual.get(str(fields["model"]), 0)
        number = next(self._numbers)
        terms = Terms(self._limiter, self._gateway, fields, priority, flow, number, usual)

        def closed(group: Group) -> None:
            if group.tokens and not likeness[-1]:
                self._usual[terms.model] = group.tokens
            if self._open.get(likeness) is group:
                del self._open[likeness]

        group = self._open[likeness] = Group(terms, closed)
        return group


class Member:
    """Limiter and gateway of one call; asked again after a refused group, it keeps to its half."""

    def __init__(self, joint: Joint, body: Mapping[str, Any]) -> None:
        self._joint = joint
        given = body["input"]
        self._text = given if isinstance(given, str) else str(given[0])
        self._fields = {name: value for name, value in body.items() if name != "input"}
        self._place: Place | None = None

    async def acquire(self, _model: str, _tokens: int, *, priority: int, flow: Flow) -> Place:
        """A place in a group that has its permit. Raises as `Limiter.acquire` does."""
        party = self._place.party if self._place else ()
        self._place = self._joint.place(
            self._fields, self._text, priority=priority, flow=flow, party=party
        )
        await self._place.enter()
        return self._place

    async def embed(self, _body: Mapping[str, Any]) -> Outcome:
        """This text's part of what became of its group."""
        assert self._place is not None, "acquire comes first"
        return await self._place.arrive()


def is_single(body: Mapping[str, Any]) -> bool:
    """Whether the request has one text, and so may travel with others."""
    given = body["input"]
    return isinstance(given, str) or len(given) == 1
