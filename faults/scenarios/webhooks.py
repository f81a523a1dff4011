"""Webhook endpoints that answer badly, slowly or never, beside one that is well.

Hours pass by hand: a delivery whose next attempt is more than a minute away is made due at once,
as the tests do, after its wait was read off and held against the table. Whatever waits less waits.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import update

from faults.findings import of
from faults.history import read
from faults.scenarios.registry import Begin, scenario
from faults.sink import note_delivery
from faults.world import World
from models.states import EndpointState
from models.store import deliveries
from models.store.engine import now_s
from proving.sinks import Reply, Sinks, at_first, drips, resets, says, silent, sinks, well


@dataclass(frozen=True)
class Bad:
    """How an endpoint misbehaves; `status`: of request number n, 0: none at all."""

    reply: Reply
    status: Callable[[int], int]


BAD: Mapping[str, Bad] = {
    "slow-loris": Bad(at_first(drips), lambda n: 0 if n == 1 else 204),
    "silent": Bad(at_first(silent), lambda n: 0 if n == 1 else 204),
    "429-a-day": Bad(
        at_first(says(429, "Retry-After: 86400\r\n")),
        lambda n: 429 if n == 1 else 204,
    ),
    "1-GB-with-200": Bad(says(200, gigabytes=1), lambda _: 200),
    "1-GB-with-500": Bad(at_first(says(500, gigabytes=1)), lambda n: 500 if n == 1 else 204),
    "302": Bad(says(302, "Location: /elsewhere\r\n"), lambda _: 302),
    "500": Bad(says(500), lambda _: 500),
    "410": Bad(says(410), lambda _: 410),
    "reset": Bad(resets, lambda _: 0),
    "bad-tls": Bad(well, lambda _: 204),
}
QUICK = ("--latency-median", "0.05")
FOR_HOURS, FOR_A_DAY = "500", "429-a-day"
DAY_S = 86_400
WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first failure, the second, ...: the list's table."""
JITTER, LOOK_S = 0.2, 60.0
"""Waits are longer by this share; and were read off so much later, on a slow machine."""
NOWHERE = {"/elsewhere": "where a 302 leads", "/bad-tls": "where nobody vouches for a certificate"}
FAR_S = 60.0
DELAY_S, LATE_S = 1.0, 10.0
"""From an event's commit to its arrival at the good endpoint: the median, and each."""
JOBS = 6


@scenario(18, is_alone=True)
def bad_endpoints(begin: Begin) -> None:
    """Slow-loris, 302, 410, 429, 500 for days, 1 GB, bad TLS, resets, beside a good endpoint."""
    with sinks() as servers, begin(*QUICK, hook=False) as world:
        world.subscribe("beside")
        ids = {name: _subscribe(world, servers, name) for name in BAD}
        jobs = []
        for number in range(JOBS):  # events go on while the slow ones hang: 20 s each
            jobs.append(world.submit(world.rows(2, start=10 * number)))
            time.sleep(2.0)
        for job in jobs:
            world.settled(job.id)
        waits = _let_days_pass(world, {ids[name]: name for name in (FOR_HOURS, FOR_A_DAY)})
        world.told()
        _expect_none_is_delayed(world)
        _expect_the_table(world, waits[FOR_HOURS])
        asked = [round(wait) for wait in waits[FOR_A_DAY][1]]
        world.expect(
            asked and all(DAY_S - LOOK_S <= wait <= DAY_S for wait in asked),
            f"{FOR_A_DAY}: tried again when it asked for it, after {asked} s",
        )
        for path, words in NOWHERE.items():
            world.expect(path not in servers.arrived, f"{words}, nothing has arrived")
        _expect_gone(world, ids["410"])


def _subscribe(world: World, servers: Sinks, name: str) -> str:
    bad = BAD[name]
    servers.replies[f"/{name}"] = bad.reply

    def heard(path: str, number: int, heads: Mapping[str, str], body: bytes) -> None:
        path = path[1:]
        secret, status = world.sink.secrets[path], BAD[path].status(number)
        note_delivery(world.sink.log, path, status, heads, body, secret)

    servers.heard = heard
    secure = name == "bad-tls"
    port = servers.tls_port if secure else servers.port
    return world.subscribe(name, f"{'https' if secure else 'http'}://127.0.0.1:{port}")


Waits = dict[int, list[float]]
"""By failures so far, what was waited for the next attempt."""


def _let_days_pass(world: World, watched: Mapping[str, str]) -> dict[str, Waits]:
    """Until no delivery is open; answers the waits of the endpoints watched, by their names."""
    hooks = world.on.client.webhooks
    waits: dict[str, Waits] = {name: defaultdict(list) for name in watched.values()}

    def is_over() -> bool:
        pending = [d for d in hooks.deliveries(limit=100_000) if d["state"] == "pending"]
        now = time.time()
        for one in pending:
            if one["endpoint_id"] in watched and one["next_at"] > now + FAR_S:
                waits[watched[one["endpoint_id"]]][one["tries"]].append(one["next_at"] - now)
        _let_time_fly(world)
        time.sleep(0.2)
        return not pending

    world.until(is_over, "all deliveries are over", 120)
    return waits


def _let_time_fly(world: World) -> None:
    """What waits for its next attempt is due now; attempts under way are left alone."""
    table: Any = deliveries.deliveries
    far = (table.c.state == "pending", table.c.next_at > now_s() + FAR_S)
    with world.on.client.store.write() as connection:
        connection.execute(update(table).where(*far).values(next_at=now_s()))


def _expect_gone(world: World, endpoint_id: str) -> None:
    """After its 410 an endpoint is disabled, and nothing that it refused is sent to it again."""
    lines = of(read(world.log.path.parent), "sink", "refused")
    tries = Counter(line["event"] for line in lines if line["endpoint"] == "410")
    state = world.on.client.webhooks.get(endpoint_id).state
    world.expect(
        set(tries.values()) == {1} and state == EndpointState.DISABLED,
        f"410: {state}, after {max(tries.values(), default=0)} attempt at an event at most",
    )


def _expect_none_is_delayed(world: World) -> None:
    lines = read(world.log.path.parent)
    written = {e["event"]: e["created"] for e in of(lines, "producer", "event")}
    arrived = {e["event"]: e.at for e in of(lines, "sink", "received") if e["endpoint"] == "beside"}
    delays = [at - written[event] for event, at in arrived.items()]
    world.expect(
        delays and median(delays) < DELAY_S and max(delays) < LATE_S,
        f"beside them {len(delays)} events arrived {median(delays):.2f} s after their commit, "
        f"{max(delays):.1f} s at most",
    )


def _expect_the_table(world: World, waits: Waits) -> None:
    """Each wait that was read off is that of the table, for as many failures."""
    wrong = [
        (tries, round(wait))
        for tries, found in waits.items()
        for wait in found
        if not WAITS_S[tries - 1] - LOOK_S <= wait <= WAITS_S[tries - 1] * (1 + JITTER) + 1
    ]
    seen_s = sum(min(found) for found in waits.values())
    world.expect(
        not wrong and set(waits) == set(range(2, 10)),
        f"{FOR_HOURS}: waited {seen_s / 3600:.0f} h by the table before it was given up; "
        f"unlike it: {wrong[:5]}",
    )
