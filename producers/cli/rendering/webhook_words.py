"""Endpoints, deliveries and events as Rich renderables and as facts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from rich.console import Group, RenderableType
from rich.text import Text

from models.states import DeliveryState, EndpointState
from models.store.endpoints import OVERLAP_S
from models.tables import Endpoint, Event
from producers.cli.rendering import words
from producers.cli.rendering.facts import moment
from producers.cli.rendering.showing import hint, indented, line, pairs, warning
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import counted, safe
from producers.webhooks import Bound, Tested

ONCE = "This is the one time it is shown. `maestrale webhooks rotate` makes another."
SETTING = "WEBHOOK_SECRET"
"""What `examples/receiver.py` reads."""
STYLES: Mapping[str, str] = {
    EndpointState.ACTIVE: "green",
    EndpointState.DISABLED: "red",
    DeliveryState.PENDING: "yellow",
    DeliveryState.DELIVERED: "green",
    DeliveryState.EXHAUSTED: "red",
}


# -- facts -----------------------------------------------------------------------------------------


def endpoint_facts(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as programs read it; its secret is no part of it."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": orjson.loads(endpoint.events),
        "job": endpoint.job_id,
        "state": endpoint.state,
        "reason": endpoint.reason,
        "created_at": moment(endpoint.created_at),
        "last_status": endpoint.last_status,
        "last_error": endpoint.last_error,
        "last_at": moment(endpoint.last_at),
        "last_success_at": moment(endpoint.last_success_at),
        "failing_since": moment(endpoint.failing_since),
        "old_secret_until": moment(endpoint.old_until),
    }


def delivery_facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """A delivery as programs read it."""
    same = ("state", "attempts", "last_status", "last_ms", "last_error")
    times = ("created_at", "settled_at")
    pending = found["state"] == DeliveryState.PENDING
    return {
        "id": found["id"],
        "webhook_id": found["message_id"],
        "event": found["event_type"],
        "subject": found["subject_id"],
        "endpoint": found["endpoint_id"],
        "origin": found["origin"],
        **{name: found[name] for name in same},
        "next_at": moment(found["next_at"]) if pending else None,
        **{name: moment(found[name]) for name in times},
    }


def event_facts(event: Event) -> dict[str, Any]:
    """An event as programs read it."""
    return {
        "type": event.type,
        "at": moment(event.created_at),
        "subject": event.subject_id,
        "data": orjson.loads(event.data),
    }


def bound_facts(bound: Bound) -> dict[str, Any]:
    """A `--webhook` of a job; `secret` only where it is a new one."""
    told = {"url": bound.url, "endpoint": bound.endpoint_id or None, "how": bound.how}
    return {**told, "secret": bound.secret} if bound.secret else told


# -- endpoints -------------------------------------------------------------------------------------


def place(url: str) -> str:
    """A URL without its query, which may hold a token."""
    parts = urlsplit(url)
    return safe(f"{parts.scheme}://{parts.netloc}{parts.path}{'?…' if parts.query else ''}", 200)


def secret_lines(secret: str) -> list[RenderableType]:
    """A secret, never cut, however narrow the terminal."""
    return [Text.assemble(("  secret     ", "dim"), (secret, "bold")), hint(ONCE)]


def added(endpoint: Endpoint, secret: str) -> list[RenderableType]:
    """`maestrale webhooks add`."""
    return [
        about(endpoint),
        *secret_lines(secret),
        hint("Try it:", f"maestrale webhooks test {endpoint.id}"),
        hint("A receiver to learn from: examples/receiver.py; it reads the secret from", SETTING),
    ]


def about(endpoint: Endpoint) -> RenderableType:
    """An endpoint: where, for what, and how it stands."""
    rows: list[tuple[str, RenderableType]] = [
        ("endpoint", Text(endpoint.id, style="bold")),
        ("url", place(endpoint.url)),
        ("events", patterns(endpoint)),
        ("job", endpoint.job_id or "all"),
        ("state", state(endpoint)),
    ]
    return pairs(rows)


def patterns(endpoint: Endpoint) -> str:
    """The events it hears of."""
    return safe(", ".join(orjson.loads(endpoint.events)) or "all")


def state(endpoint: Endpoint) -> Text:
    """Its state, and why it is disabled."""
    text = Text(endpoint.state, style=STYLES.get(endpoint.state, ""))
    return text.append(f": {safe(endpoint.reason)}") if endpoint.reason else text


def listed(found: Sequence[Endpoint], now: float) -> RenderableType:
    """`maestrale webhooks list`."""
    if not found:
        return hint("There are no endpoints yet:", "maestrale webhooks add URL")
    table = bare_table("endpoint", "state", "events", "job", "last answer")
    table.add_column("url", overflow="fold")
    for one in found:
        table.add_row(
            one.id, state(one), patterns(one), one.job_id or "all", _last(one, now), place(one.url)
        )
    return indented(table)


def rotated(endpoint: Endpoint, secret: str, changed: int) -> list[RenderableType]:
    """`maestrale webhooks rotate`."""
    shared = f" {counted(changed, 'endpoint')} of this secret were changed." if changed > 1 else ""
    hours = round(OVERLAP_S / 3600)
    return [
        about(endpoint),
        *secret_lines(secret),
        hint(f"The old secret signs beside it for {hours} hours: change the receiver.{shared}"),
    ]


def tested(endpoint: Endpoint, test: Tested) -> list[RenderableType]:
    """`maestrale webhooks test`: how the first attempt went."""
    where = place(endpoint.url)
    if test.attempt is not None:
        answer = answered(test.attempt["status"], test.attempt["ms"], test.attempt["error"])
        if test.is_good:
            return [Text.assemble(("  ✓ ", "bold green"), f"{where} answered {answer}")]
        excerpt = test.attempt.get("excerpt") or ""
        said = [line("it said", safe(excerpt))] if excerpt else []
        return [Text.assemble(("  ✗ ", "bold red"), f"{where}: {answer}"), *said]
    if not test.has_workers:
        return [
            warning("no worker is running, and workers send webhooks: `maestrale up`"),
            hint("The test is sent as soon as one runs:", "maestrale webhooks deliveries"),
        ]
    return [
        warning("no answer yet: it may be behind others, or the endpoint is slow"),
        hint("Look again:", f"maestrale webhooks deliveries --endpoint {endpoint.id}"),
    ]


def bindings(all_bound: Sequence[Bound]) -> list[RenderableType]:
    """What became of each `--webhook`."""
    said: list[RenderableType] = []
    for one in all_bound:
        how = {
            "new": f"{one.endpoint_id}, with a new secret",
            "known": f"{one.endpoint_id}, signed with the secret this URL has",
            "heard": "an endpoint there hears of every job already",
        }[one.how]
        said.append(line("webhook", Text.assemble(place(one.url), (f"  {how}", "dim"))))
        said += secret_lines(one.secret) if one.secret else []
    return said


# -- deliveries and events -------------------------------------------------------------------------


def deliveries(found: Sequence[Mapping[str, Any]], now: float) -> RenderableType:
    """`maestrale webhooks deliveries`."""
    if not found:
        return hint("There are no such deliveries.")
    table = bare_table("id", "event", "of", "endpoint", "state", "tries")
    table.add_column("last answer", overflow="fold")
    table.add_column("made", style="dim", no_wrap=True)
    for one in found:
        table.add_row(*_delivery_cells(one, now))
    unsent = [one for one in found if one["state"] not in _UNDER_WAY]
    again = [f"maestrale webhooks replay {one['id']}" for one in unsent[:1]]
    return Group(indented(table), *(hint("Send one again:", command) for command in again))


_UNDER_WAY = (DeliveryState.DELIVERED, DeliveryState.PENDING)


def _delivery_cells(found: Mapping[str, Any], now: float) -> list[RenderableType]:
    tried = found["attempts"] and found["last_ms"] is not None
    answer = answered(found["last_status"], found["last_ms"], found["last_error"]) if tried else ""
    return [
        str(found["id"]),
        found["event_type"],
        found["subject_id"],
        found["endpoint_id"],
        Text(found["state"], style=STYLES.get(found["state"], "")),
        str(found["attempts"]),
        answer,
        words.ago(now - found["created_at"]),
    ]


def answered(status: int | None, ms: int | None, error: str) -> str:
    """`200 in 12 ms`, `no answer after 5,003 ms: timed out`."""
    took = "" if ms is None else f" {'in' if status else 'after'} {ms:,} ms"
    return f"{status or 'no answer'}{took}{': ' + safe(error) if error else ''}"


def event_line(event: Event) -> Text:
    """One event in a line: when, what, whose, and how it stood."""
    data = orjson.loads(event.data)
    told = [safe(data["origin"])] if "origin" in data else []
    if "rows_total" in data:
        told.append(f"{data['rows_done']:,} of {counted(data['rows_total'], 'row')} done")
        told += [f"{data['rows_failed']:,} failed"] if data["rows_failed"] else []
    told += [safe(data["reason"])] if data.get("reason") else []
    return Text.assemble(
        (f"  {moment(event.created_at)}", "dim"),
        f"  {event.subject_id}  ",
        (f"{event.seq:>3}  {safe(event.type):<17}", "bold"),
        "  " + ", ".join(told),
    )


def _last(endpoint: Endpoint, now: float) -> str:
    if endpoint.last_at is None:
        return "-"
    what = endpoint.last_status or safe(endpoint.last_error, 60) or "no answer"
    return f"{what}, {words.ago(now - endpoint.last_at)}"
