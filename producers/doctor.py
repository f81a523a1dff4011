"""What a job needs, checked one thing after the other, each with what to do if it is missing."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

import redis

from models.errors import MaestraleError
from models.settings import Settings
from models.store import schema
from producers.client import Maestrale
from producers.services import Services

FULL_BYTES = 200_000_000
"""Less free space than this, and paid answers may find no place."""
LOW_BYTES = 2_000_000_000
ANSWER_S = 5.0


class Verdict(StrEnum):
    """How a check came out."""

    GOOD = "good"
    NOTE = "note"
    """Nothing is wrong, but worth knowing."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing checked. `advice` says what to do; empty if nothing is."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether jobs will not run until somebody acts."""
        return self.verdict is Verdict.BAD

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order in which to mend what is wrong. None of them costs anything."""
    with Maestrale(settings) as maestrale:
        home = _guarded("home", _check_home, settings)
        database = _guarded("database", _check_database, maestrale)
        redis_and_key = _guarded("redis", check_redis, settings) + _guarded(
            "key", _check_key, settings
        )
        running = _guarded("processes", _check_processes, settings)
        told = _guarded("workers", _check_workers, maestrale)
        told += _guarded("limits", _check_limits, maestrale)
    is_told = not any(finding.is_bad for finding in database)  # it all stands in the database
    return home + database + redis_and_key + running + (told if is_told else [])


def _guarded(what: str, check: Callable[[Any], Iterator[Finding]], subject: Any) -> list[Finding]:
    """A check that cannot even be made is a finding, too."""
    try:
        return list(check(subject))
    except MaestraleError as error:
        return [Finding(what, Verdict.BAD, str(error))]
    except OSError as error:
        found = f"{error.filename} cannot be used ({error.strerror})"
        return [Finding(what, Verdict.BAD, found, "set MAESTRALE_HOME to a folder of yours")]


def _check_home(settings: Settings) -> Iterator[Finding]:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    probe = settings.home / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(settings.home).free
    told = f"{settings.home}, {free / 1e9:.1f} GB free"
    if free < FULL_BYTES:
        yield Finding("home", Verdict.BAD, told, "free some space, or set MAESTRALE_HOME elsewhere")
    elif free < LOW_BYTES:
        yield Finding("home", Verdict.NOTE, told, "a large job may fill the disk")
    else:
        yield Finding("home", Verdict.GOOD, told)


def _check_database(maestrale: Maestrale) -> Iterator[Finding]:
    url = urlsplit(maestrale.settings.sqlalchemy_url)
    name = "SQLite" if maestrale.store.is_sqlite else f"PostgreSQL at {url.hostname}"
    with maestrale.store.read() as connection:
        revision = schema.revision(connection)
    if revision == schema.newest_revision():
        yield Finding("database", Verdict.GOOD, f"{name}, schema {revision}")
    else:
        found = f"{name}, schema {revision or 'missing'}"
        yield Finding("database", Verdict.BAD, found, "run `maestrale migrate`")


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Whether the Redis-protocol server answers; the embedded one, if none is given."""
    url = settings.redis_url
    given = bool(settings.redis_url_given.get_secret_value())
    if not url:
        yield Finding("redis", Verdict.BAD, "no server is running", "run `maestrale up`")
        return
    where = urlsplit(url)
    place = f"{where.hostname}:{where.port or 6379}" if where.hostname else where.path
    try:
        policy = _eviction_policy(url)
    except (redis.RedisError, ValueError) as error:
        advice = "check REDIS_URL and that the server runs" if given else "run `maestrale up`"
        yield Finding("redis", Verdict.BAD, f"{place} does not answer ({error})", advice)
        return
    if policy not in ("noeviction", ""):
        advice = "set maxmemory-policy to noeviction: else messages and limits may vanish"
        yield Finding("redis", Verdict.NOTE, f"{place}, maxmemory-policy {policy}", advice)
    else:
        yield Finding("redis", Verdict.GOOD, place if given else f"{place} (ours)")


def _eviction_policy(url: str) -> str:
    """Asks the server; empty if it does not tell. Raises `RedisError` if it does not answer."""
    with redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, decode_responses=True
    ) as client:
        client.ping()
        told = cast(dict[str, Any], client.info("memory"))
        return str(told.get("maxmemory_policy", ""))


def _check_key(settings: Settings) -> Iterator[Finding]:
    key = settings.api_key.get_secret_value()
    if not key:
        advice = "set MISTRAL_API_KEY (in the environment or in .env), then `maestrale up` again"
        yield Finding("key", Verdict.BAD, "MISTRAL_API_KEY is not set", advice)
        return
    request = urllib.request.Request(  # noqa: S310 # the operator's own URL
        f"{settings.base_url}/v1/models", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 # as above
            models = len(json.load(answer).get("data", []))
        yield Finding("key", Verdict.GOOD, f"{settings.base_url} takes it: {models} models")
    except urllib.error.HTTPError as error:
        advice = "check MISTRAL_API_KEY" if error.code in (401, 403) else "try again in a while"
        found = f"{settings.base_url} answers {error.code} to it"
        yield Finding("key", Verdict.BAD, found, advice)
    except (OSError, ValueError) as error:
        found = f"{settings.base_url} cannot be reached ({error})"
        yield Finding("key", Verdict.BAD, found, "check MISTRAL_BASE_URL and the network")


def _check_workers(maestrale: Maestrale) -> Iterator[Finding]:
    workers = maestrale.workers()
    if not workers:
        yield Finding("workers", Verdict.BAD, "none is alive", "run `maestrale up`")
        return
    slots = sum(worker.slots for worker in workers)
    yield Finding("workers", Verdict.GOOD, f"{len(workers)} alive, {slots} shards at once")


def _check_processes(settings: Settings) -> Iterator[Finding]:
    noted = Services(settings).noted()
    dead = [service.name for service in noted if not service.is_alive]
    if dead:
        found = f"{', '.join(dead)} died"
        yield Finding("processes", Verdict.BAD, found, "run `maestrale up`: it starts them again")
    if any(service.name == "clock" and service.is_alive for service in noted):
        yield Finding("clock", Verdict.GOOD, "runs here")
    else:
        yield Finding("clock", Verdict.NOTE, "not started here: the workers keep time themselves")


def _check_limits(maestrale: Maestrale) -> Iterator[Finding]:
    limits = maestrale.limits()
    if not limits:
        yield Finding(
            "limits", Verdict.NOTE, "not known yet: they are learnt from the first answers"
        )
    for model, limit in sorted(limits.items()):
        rate = limit.requests_per_minute
        if rate == 0:
            advice = "ask for it on the provider's console, or choose another --model"
            yield Finding("limits", Verdict.NOTE, f"{model} is not on the plan", advice)
        elif rate:
            yield Finding("limits", Verdict.GOOD, f"{model}: {rate:,.0f} requests/min")
