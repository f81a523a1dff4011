"""The deliveries of one worker process: relays events, claims what is due, posts, records.

Every worker process of every machine has one. They meet in the database only, by claims: two never
make the same attempt, and what a dead one had in hand is due again when its claims run out. That
is why an endpoint may see an event twice, with the same id.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import aiohttp
from sqlalchemy import Connection

from models.addresses import Rules
from models.crashing import crash_point
from models.errors import MaestraleError, SetupError
from models.sealing import Sealer
from models.settings import Settings
from models.store import attempts, deliveries
from models.store.attempts import Attempted, Claimed
from worker.database import Database
from worker.webhooks.dialling import TOTAL_S, open_session
from worker.webhooks.lanes import FRESH_S, Lanes
from worker.webhooks.posting import Outcome, post
from worker.webhooks.schedule import GIVE_UP_S, judge
from worker.webhooks.signing import headers

log = logging.getLogger(__name__)

POLL_S = 0.4
"""How often an idle process looks; one cheap read. Varied, so that processes do not march."""
GROUP_S = 0.05
"""Outcomes gather this long for one commit: on SQLite a commit is dear, and takes the database."""
CLAIM_S = FRESH_S + TOTAL_S + 5
MOST_AT_ONCE = 100
"""Endpoints that are claimed for in one transaction, any of those with something due."""
LOCKED_S = 60.0
"""How long an endpoint whose secret we cannot open is left to processes that can."""
TROUBLE_S = 1.0
CLOSE_S = 3.0


class Deliverer:
    """Belongs to one event loop. `total_s`: the most that an attempt may take, seconds."""

    def __init__(self, settings: Settings, database: Database, *, total_s: float = TOTAL_S) -> None:
        self._rules = Rules.of(settings)
        self._sealer = Sealer(settings)
        self._database = database
        self._total_s = total_s
        self._lanes = Lanes()
        self._outcomes: list[Attempted] = []
        self.attempted = Counter({"delivered": 0, "failed": 0})
        """Attempts by outcome, for the metrics."""
        self._locked: dict[str, float] = {}
        self._posts: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._ahead_s = 0.0
        """The database's clock less ours: receivers refuse a time that is minutes off."""
        self._session: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Starts looking for work."""
        self._session = open_session(self._rules, total_s=self._total_s)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="webhooks")

    async def close(self) -> None:
        """Claims nothing more, waits a moment for what is under way, and gives the rest back."""
        if self._task is None or self._session is None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=CLOSE_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        left = self._lanes.give_back()
        if self._posts:
            await asyncio.wait(self._posts, timeout=CLOSE_S)
        for task in self._posts:
            task.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
        await self._session.close()
        with suppress(MaestraleError):  # else the claims run out
            await self._database.write(_settle, self._outcomes, left)

    @property
    def under_way(self) -> int:
        """Attempts that wait for an answer, for the metrics."""
        return self._lanes.under_way

    # -- the loop -------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self._round()
            except MaestraleError as error:
                log.warning("webhooks wait: %s", error)
                await asyncio.sleep(TROUBLE_S)
            except Exception:
                log.exception("a round of webhooks failed")
                self._outcomes.clear()  # one of them may be why; what they told is told again
                await asyncio.sleep(TROUBLE_S)
            await self._woken()

    async def _woken(self) -> None:
        """Sleeps until an attempt ended (and a group of them gathered), or for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S * random.uniform(0.75, 1.25)):  # noqa: S311 # no secret
                await self._wake.wait()
                await asyncio.sleep(GROUP_S)
        self._wake.clear()

    async def _round(self) -> None:
        """Relays what waits, records what ended, claims what is due, and begins what may begin."""
        there = await self._database.read(deliveries.look)
        if deliveries.EVENTS_WAIT in there:
            crash_point("event.committed")
            await self._database.write(deliveries.relay)
            crash_point("event.relayed")
            there = await self._database.read(deliveries.look)
        room = self._room(there)
        ended = list(self._outcomes)
        if ended or room:
            claimed_at = time.monotonic()  # before the claims: ours must end first
            claimed = await self._database.write(_turn_over, ended, room)
            del self._outcomes[: len(ended)]
            self._lanes.add(claimed, claimed_at)
            if claimed:
                crash_point("webhook.claimed")
                self._ahead_s = claimed[0].at - time.monotonic()
        self._begin()
        if deliveries.EVENTS_WAIT in there:
            self._wake.set()

    def _room(self, there: Sequence[str]) -> dict[str, int]:
        now = time.monotonic()
        self._locked = {name: until for name, until in self._locked.items() if until > now}
        names = [name for name in there if name and name not in self._locked]
        if len(names) > MOST_AT_ONCE:  # each is a query of the transaction that claims
            names = random.sample(names, MOST_AT_ONCE)
        return self._lanes.room(names, now)

    def _begin(self) -> None:
        for claimed in self._lanes.begin(time.monotonic()):
            task = asyncio.get_running_loop().create_task(self._attempt(claimed))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    # -- one attempt ----------------------------------------------------------------------

    async def _attempt(self, claimed: Claimed) -> None:
        outcome = None
        try:
            outcome = await self._post(claimed)
            crash_point("webhook.posted")
        except Exception:
            log.exception("delivery %d could not be attempted", claimed.id)
        finally:
            well = outcome is not None and not outcome.trouble
            self._lanes.end(claimed, time.monotonic(), well=well)
        if outcome is not None:
            self.attempted["delivered" if well else "failed"] += 1
            self._outcomes.append(_judged(claimed, outcome, self._now()))
        self._wake.set()
        if not self._closing:
            self._begin()

    async def _post(self, claimed: Claimed) -> Outcome | None:
        """None: its secret cannot be opened here, which is not the endpoint's failure."""
        assert self._session is not None, "the deliverer is not open"
        try:
            secrets = [self._sealer.open(sealed) for sealed in claimed.secrets]
            body = claimed.body.encode()
            signed = headers(secrets, claimed.message_id, int(self._now()), body)
        except (SetupError, ValueError) as error:
            await self._leave_to_others(claimed, error)
            return None
        return await post(self._session, self._rules, claimed.url, body, signed)

    async def _leave_to_others(self, claimed: Claimed, error: Exception) -> None:
        if claimed.endpoint_id not in self._locked:
            log.error("webhooks of endpoint %s wait: %s", claimed.endpoint_id, error)
        self._locked[claimed.endpoint_id] = time.monotonic() + LOCKED_S
        with suppress(MaestraleError):  # else the claim runs out
            await self._database.write(attempts.release, [claimed])

    def _now(self) -> float:
        """Seconds since the epoch, by the clock that all machines share."""
        return time.monotonic() + self._ahead_s


def _judged(claimed: Claimed, outcome: Outcome, now: float) -> Attempted:
    verdict = judge(
        claimed.tries + 1,
        outcome.status,
        retry_after=outcome.retry_after,
        now=now,
        chance=random.random(),  # noqa: S311 # jitter
    )
    return Attempted(
        claimed=claimed,
        state=verdict.state,
        after_s=verdict.after_s,
        status=outcome.status,
        ms=outcome.ms,
        error=outcome.trouble.value,
        excerpt=outcome.excerpt,
    )


def _turn_over(
    connection: Connection, ended: Sequence[Attempted], room: Mapping[str, int]
) -> list[Claimed]:
    """Records and claims in one transaction."""
    attempts.record(connection, ended, give_up_s=GIVE_UP_S)
    return attempts.claim_due(connection, room, claim_s=CLAIM_S)


def _settle(connection: Connection, ended: Sequence[Attempted], left: Sequence[Claimed]) -> None:
    attempts.record(connection, ended, give_up_s=GIVE_UP_S)
    attempts.release(connection, left)
