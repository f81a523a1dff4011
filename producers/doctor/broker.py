"""The Redis-protocol server: whether it answers, and whether it keeps what it is given."""

from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from redis.exceptions import NoPermissionError

from models.doorbell import TRANSPORTS
from models.errors import SetupError
from models.settings import Settings
from producers.doctor.findings import Finding, bad, good, note

ANSWER_S = 5.0


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Whether the server answers; the embedded one, if none is given."""
    url = settings.redis_url
    given = bool(settings.redis_url_given.get_secret_value())
    if not url:
        yield bad("redis", "no server is running", "run `maestrale up`")
        return
    place = _place(url)
    try:
        policy, keeps = _kept(url)
    except NoPermissionError:
        advice = "see there that maxmemory-policy is noeviction and appendonly is yes"
        yield note("redis", f"{place} answers, and its ACL lets nobody look at INFO", advice)
    except (redis.RedisError, ValueError) as error:
        advice = "check REDIS_URL and that the server runs" if given else "run `maestrale up`"
        yield bad("redis", f"{place} does not answer ({error})", advice)
    else:
        yield from _judged(place if given else f"{place} (ours)", policy, keeps)


def _place(url: str) -> str:
    """Where the server is, without its password. Raises `SetupError`: nothing of it is shown."""
    try:
        where = urlsplit(url)
        if where.scheme in TRANSPORTS and where.hostname:  # kombu takes no `unix`
            return f"{where.hostname}:{where.port or 6379}"
    except ValueError:  # its text would show a part of the password
        pass
    raise SetupError(
        "REDIS_URL does not parse: write redis://[user:password@]host:port/0, and what is special "
        "in a password (/ # ? @) percent-encoded"
    )


def _judged(place: str, policy: str, keeps: bool | None) -> Iterator[Finding]:
    if policy not in ("noeviction", ""):
        advice = "set maxmemory-policy to noeviction: else messages and limits may vanish"
        yield note("redis", f"{place}, maxmemory-policy {policy}", advice)
    if keeps is False:
        advice = "set appendonly to yes: else a restart forgets messages (the clock rings again)"
        yield note("redis", f"{place} keeps nothing on disk", advice)
    if policy in ("noeviction", "") and keeps is not False:
        yield good("redis", place)


def _kept(url: str) -> tuple[str, bool | None]:
    """Eviction policy and whether an append-only file is written; empty, None: it does not tell.

    Raises `NoPermissionError` if it answers but tells nothing, `RedisError` if it does not answer.
    """
    with redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, decode_responses=True
    ) as client:
        client.ping()
        memory = cast(dict[str, Any], client.info("memory"))
        disk = cast(dict[str, Any], client.info("persistence"))
    enabled = disk.get("aof_enabled")
    return str(memory.get("maxmemory_policy", "")), None if enabled is None else bool(enabled)
