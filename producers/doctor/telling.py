"""Whether the world hears: sealed secrets, endpoints, deliveries, events."""

from collections.abc import Iterator
from typing import Any

from models.errors import SetupError
from models.sealing import Sealer
from models.store.views import checkup
from models.words import counted, duration
from producers.client import Maestrale
from producers.doctor.findings import Finding, bad, good, note

LATE_S = 300.0
"""Longer due than this, a delivery is late: they are claimed within seconds."""
UNTOLD_S = 60.0


def check_secrets(maestrale: Maestrale) -> Iterator[Finding]:
    """Whether the key at hand opens the secrets that sign webhooks."""
    with maestrale.store.read() as connection:
        sealed = checkup.sealed_secrets(connection)
    if not sealed:
        return
    sealer, closed = Sealer(maestrale.settings), []
    for endpoint_id, secret in sealed:
        try:
            sealer.open(secret)
        except SetupError:
            closed.append(endpoint_id)
    if closed:
        found = f"this key does not open the secrets of {', '.join(closed[:3])}"
        advice = (
            "set MAESTRALE_SECRET_KEY to what the workers have (or copy their home's secret.key); "
            "if it is lost, `maestrale webhooks rotate` gives new secrets"
        )
        yield bad("secrets", f"{found} ({len(closed)} of {len(sealed)})", advice)
    else:
        yield good("secrets", f"the key opens all {len(sealed)}")


def check_endpoints(maestrale: Maestrale) -> Iterator[Finding]:
    """Endpoints that were disabled or fail, and deliveries that are late."""
    with maestrale.store.read() as connection:
        total, ill = checkup.endpoints_ill(connection)
        late = checkup.late_deliveries(connection, LATE_S)
    yield from map(_worded, ill)
    if late.count:
        found = f"{late.count:,} late, the oldest due for {duration(late.oldest_s)}"
        yield bad("webhooks", found, "no worker sends them: run `maestrale up`, or see their logs")
    if total and not ill and not late.count:
        yield good("webhooks", f"{counted(total, 'endpoint')}, none fails")


def _worded(endpoint: Any) -> Finding:
    if endpoint.failing_s is None:
        advice = (
            f"mend it, then `maestrale webhooks enable {endpoint.id}` and replay what it missed"
        )
        return note("webhooks", f"{endpoint.id} is disabled: {endpoint.reason}", advice)
    found = f"{endpoint.id} fails for {duration(endpoint.failing_s)} ({endpoint.last_error})"
    advice = f"`maestrale webhooks deliveries --failed`; after five days {endpoint.id} is disabled"
    return note("webhooks", found, advice)


def check_events(maestrale: Maestrale) -> Iterator[Finding]:
    """Events that nobody took out of the outbox."""
    with maestrale.store.read() as connection:
        waiting = checkup.events_untold(connection, UNTOLD_S)
    if waiting.count:
        found = f"{waiting.count:,} are not relayed, for up to {waiting.oldest_s:,.0f} s"
        yield note("events", found, "a worker does it: run `maestrale up`")
