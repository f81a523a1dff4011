"""What Maestrale needs, checked one thing after the other, each with what to do if it is missing.

`findings` says what a check answers; `places` looks at disk and database, `broker` at Redis,
`account` at the key, the limits and the prices, `processes` at who is alive, `telling` at webhooks.
"""

from collections.abc import Callable, Iterator
from typing import Any

from models.settings import Settings
from producers.client import Maestrale
from producers.doctor import account, places, processes, telling
from producers.doctor.account import wants_key
from producers.doctor.broker import check_redis
from producers.doctor.findings import Finding, Verdict, guarded

__all__ = ["Finding", "Verdict", "check_redis", "examine", "wants_key"]

Check = Callable[[Any], Iterator[Finding]]
_OF_SETTINGS: tuple[tuple[str, Check], ...] = (
    ("redis", check_redis),
    ("key", account.check_key),
    ("key", processes.check_account),
    ("processes", processes.check_processes),
)
_OF_DATABASE: tuple[tuple[str, Check], ...] = (
    ("workers", processes.check_workers),
    ("trainer", processes.check_trainer),
    ("conductor", processes.check_conductor),
    ("clock", processes.check_clock),
    ("spool", places.check_spool),
    ("limits", account.check_limits),
    ("prices", account.check_prices),
    ("jobs", account.check_paused),
    ("secrets", telling.check_secrets),
    ("webhooks", telling.check_endpoints),
    ("events", telling.check_events),
)

IF_AWAY = "see that DATABASE_URL is right and that its server runs"


def examine(settings: Settings) -> list[Finding]:
    """All checks, in the order in which to mend what is wrong. None of them costs anything."""
    found = guarded("home", places.check_home, settings)
    with Maestrale(settings) as maestrale:
        database = guarded("database", places.check_database, maestrale, IF_AWAY)
        found += database
        for what, check in _OF_SETTINGS:
            found += guarded(what, check, settings)
        if not any(finding.is_bad for finding in database):  # the rest stands in there
            for what, check in _OF_DATABASE:
                found += guarded(what, check, maestrale)
    return found
