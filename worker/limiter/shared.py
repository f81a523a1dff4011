"""The typed function around `reserve.lua`: one call reserves slots and reports what happened."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.limiter.beliefs import TOKEN_BURST_S

HORIZON_S = 1.0
"""No slot is reserved further ahead; who would have to wait longer asks again."""
SPAN_S = 0.15
"""The slots of one answer lie within this time: a change of rate acts at once."""
GAP_AFTER_LOSS_S = 0.5
"""Pause after the state was lost, for slots given before."""
GAP_AFTER_OUTAGE_S = 1.5
"""The same after nobody could reach Redis: the last one notices within this time."""
STATE_TTL_S = 3600
SIGN_TTL_S = 15.0
"""A process that gave no sign for so long no longer counts."""
PROBE_TTL_S = 30.0
IN_LINE_S = 0.04
"""Slots given so far ahead show that somebody is in line, who asks `LEAD_S` before the last."""
RAMP_S = 2.0
"""From half to the full rate after a circuit has closed."""

_LUA = Path(__file__).with_name("reserve.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process wants and knows of one model. Times are seconds of Redis time, 0: none.

    `tokens` per slot; `settled`: tokens used beyond the estimates since the last call; `hold`:
    nobody sends before; `late_s`: how late a slot was used, beyond what the margin allows;
    `trip_s`: open the circuit for so long, for a call sent at `trip_sent`; `answered_sent`: when
    the newest call was sent that proves that the model works again; `returns`: the first call
    after Redis was away; `is_modest`: only slots that nobody else is in line for.
    """

    slots: int
    tokens: float = 0.0
    settled: float = 0.0
    version: int = 0
    proposes: bool = False
    belief: str = ""
    rate: float | None = None
    token_rate: float | None = None
    hold: float = 0.0
    refused: int = 0
    late_s: float = 0.0
    trip_s: float = 0.0
    trip_sent: float = 0.0
    answered_sent: float = 0.0
    probe_back: bool = False
    known_tat: float = 0.0
    known_ttat: float = 0.0
    sign: int = 0
    returns: bool = False
    is_modest: bool = False
    is_free: bool = False
    """Unpaced because someone said so, and not only as far as we know; not sent."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer: `starts` of the slots granted, all times in seconds of Redis time.

    `belief`: what the others believe, if it is not what was proposed. `wait_s`: how long
    not to ask again. `born`: since when the state exists and `seq` counts. `held_until` is in the
    past if nothing holds.
    """

    now: float
    version: int
    belief: str | None
    seq: int
    refused: int
    held_until: float
    level: int
    processes: int
    born: float
    tat: float
    ttat: float
    wait_s: float
    starts: tuple[float, ...]
    is_local: bool = False


class SharedState:
    """One account's reservations in Redis."""

    def __init__(self, redis: Redis, account: str, worker: str) -> None:
        self._script = redis.register_script(_LUA)
        self._account, self._worker = account, worker

    async def reserve(self, model: str, ask: Ask) -> Grant:
        """Reserve and report in one round trip. Raises what the client raises.

        Connections that lie in the pool die with a server that is back since: one that is found
        dead is no reason to go on alone beside the others, who have all of the limit by then. What
        a server did and could not answer is done twice: that leaves slots unused, and a probe of an
        open circuit for `PROBE_TTL_S` (it may be another process's, so nobody can give it back).
        Tokens given back twice would be more than the limit: they stay unused, too.
        """
        key = f"maestrale:limit:{{{self._account}}}:{model}"
        keys = [key, f"{key}:workers"]
        try:
            return await self._told(keys, ask)
        except RedisConnectionError:
            return await self._told(keys, replace(ask, settled=max(0.0, ask.settled)))

    async def _told(self, keys: list[str], ask: Ask) -> Grant:
        return _grant(await self._script(keys=keys, args=_arguments(self._worker, ask)))


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _arguments(worker: str, ask: Ask) -> list[str | int | float]:
    """In the order of the names at the top of the script."""
    return [
        worker,
        ask.sign,
        ask.slots,
        ask.tokens,
        ask.settled,
        ask.version,
        int(ask.proposes),
        ask.belief,
        ask.rate or 0,
        ask.token_rate or 0,
        _micros(ask.hold),
        ask.refused,
        _micros(ask.late_s),
        _micros(ask.trip_s),
        _micros(ask.trip_sent),
        _micros(ask.answered_sent),
        int(ask.probe_back),
        _micros(ask.known_tat),
        _micros(ask.known_ttat),
        int(ask.returns),
        int(ask.is_modest),
        *_CONSTANTS,
    ]


_CONSTANTS = (
    _micros(HORIZON_S),
    _micros(SPAN_S),
    _micros(TOKEN_BURST_S),
    _micros(GAP_AFTER_LOSS_S),
    _micros(GAP_AFTER_OUTAGE_S),
    STATE_TTL_S,
    _micros(SIGN_TTL_S),
    _micros(PROBE_TTL_S),
    _micros(RAMP_S),
    _micros(IN_LINE_S),
)


def _grant(reply: list[Any]) -> Grant:
    now, version, belief, seq, refused, held, level, processes, *times, starts = reply
    born, tat, ttat, wait = (time / 1e6 for time in times)
    return Grant(
        now=now / 1e6,
        version=version,
        belief=belief.decode() if isinstance(belief, bytes) else belief,
        seq=seq,
        refused=refused,
        held_until=held / 1e6,
        level=level,
        processes=max(1, processes),
        born=born,
        tat=tat,
        ttat=ttat,
        wait_s=wait,
        starts=tuple(start / 1e6 for start in starts),
    )
