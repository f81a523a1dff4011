"""The page Webhooks: who is told, what came of it, and sending again."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from tornado.web import HTTPError

from dashboard.frame import Action, View
from models.store import deliveries, endpoints
from models.store.views import hookpage
from models.store.views.hookpage import DeliveryPage
from models.words import printable

BY_HAND = "disabled on the dashboard"
LARGEST_ID = 2**31 - 1
LONGEST_LINE = 20_000
"""Characters; a whole message is shorter."""


class WebhooksView(View):
    """`/webhooks?endpoint=&failed=1`: endpoints, and the newest deliveries that are asked for."""

    tab = "webhooks"

    async def get(self) -> None:
        """Answers with the page."""
        endpoint_id = self.query("endpoint", limit=100)
        failed = bool(self.query("failed", limit=1))
        page = await self.database.read(
            hookpage.read, endpoint_id=endpoint_id or None, failed=failed
        )
        self.show(
            "maestrale/webhooks.html",
            title="Webhooks",
            page=page,
            endpoint_id=endpoint_id,
            failed=failed,
        )


class DeliveryView(View):
    """`/webhooks/delivery/ID`: what was sent, and every attempt."""

    tab = "webhooks"

    async def get(self, number: str) -> None:
        """The page; 404 in the same look for a delivery that is none."""
        page = None
        if int(number) <= LARGEST_ID:
            page = await self.database.read(hookpage.read_delivery, int(number))
        if page is None:
            raise HTTPError(404, "there is no such delivery: the tab Webhooks lists them")
        self.show(
            "maestrale/delivery.html",
            title=f"Delivery {number}",
            page=page,
            delivery=page.delivery,
            body=indented(page.delivery.body),
            can_replay=can_replay(page),
        )


class ReplayAction(Action):
    """`POST /webhooks/delivery/ID/replay`: the same bytes under the same id, once more."""

    async def act(self, number: str) -> str:
        """Makes it due now; nothing moves if its endpoint is disabled."""
        again = 0
        if int(number) <= LARGEST_ID:
            again = await self.database.write(deliveries.replay, ids=[int(number)])
        self.tell(
            "It is sent again, with the same id."
            if again
            else "Nothing was changed: its endpoint is disabled, or it is gone."
        )
        return self.address("delivery", number)


@dataclass(frozen=True, slots=True)
class _Switch:
    done: str
    lost: str


_SWITCHES: Mapping[str, _Switch] = {
    "enable": _Switch(
        "It is enabled. What waited for it is not sent by itself: replay what it shall hear.",
        "Nothing was changed: it is not disabled.",
    ),
    "disable": _Switch(
        "It is disabled, with what waited for it.", "Nothing was changed: it is not active."
    ),
}


class EndpointAction(Action):
    """`POST /webhooks/endpoint/ID/enable` and `.../disable`."""

    async def act(self, endpoint_id: str, name: str) -> str:
        """Moves the endpoint by the store's guarded moves, and says what came of it."""
        endpoint_id = endpoint_id.replace("\0", "")
        if name == "enable":
            won = await self.database.write(endpoints.enable, endpoint_id)
        else:
            won = await self.database.write(deliveries.disable_endpoint, endpoint_id, BY_HAND)
        self.tell(_SWITCHES[name].done if won else _SWITCHES[name].lost)
        return self.address("webhooks")


def can_replay(page: DeliveryPage) -> bool:
    """Whether its button is shown; the write decides."""
    return page.endpoint is not None and page.endpoint.state == "active"


def indented(body: str) -> str:
    """JSON as people read it, with nothing in it that a browser would not show."""
    text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    return "\n".join(printable(line, LONGEST_LINE) for line in text.split("\n"))
