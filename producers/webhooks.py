"""The client's side of webhooks: endpoints, their secrets, the log of deliveries, replay.

A secret is shown once, where it is made, and stored sealed. `Maestrale.webhooks` leads here.
"""

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection

from models.addresses import Rules, check_url
from models.errors import BadInputError, NotFoundError, SetupError
from models.events import EVENT_TYPES
from models.sealing import Sealer
from models.settings import Settings
from models.states import EndpointState
from models.store import deliveries, endpoints
from models.store.engine import Store
from models.tables import Endpoint
from producers.ids import new_id

SECRET_BYTES = 32
TEST_PATIENCE_S = 25.0
"""How long `test` waits: an attempt may take 20 s, and a worker looks every second or so."""
LOOK_S = 0.2
KEY_ADVICE = (
    "with PostgreSQL the webhooks' secrets need a key that all processes share: set "
    "MAESTRALE_SECRET_KEY for every one of them to what this prints:\n"
    "    python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
)


@dataclass(frozen=True, slots=True)
class Hook:
    """A checked URL that shall hear of one job, and the secret for it if it is a new one."""

    url: str
    endpoint_id: str
    secret: str = field(repr=False)
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bound:
    """What became of a hook: `secret` is told for a new one only, and only here."""

    url: str
    endpoint_id: str
    how: Literal["new", "known", "heard"]
    """`known`: signed with the secret of a known endpoint; `heard`: one hears all jobs already."""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test went. None: nobody tried within the time."""

    delivery_id: int
    attempt: dict[str, Any] | None
    has_workers: bool

    @property
    def is_good(self) -> bool:
        """Whether the endpoint answered with 2xx."""
        return self.attempt is not None and 200 <= (self.attempt["status"] or 0) < 300


class Webhooks:
    """Endpoints and deliveries of one database. `store` and `workers` ask when they are needed."""

    def __init__(
        self, settings: Settings, store: Callable[[], Store], workers: Callable[[], Sequence[Any]]
    ) -> None:
        self._settings = settings
        self._store = store
        self._workers = workers
        self._sealer = Sealer(settings)

    # -- endpoints -----------------------------------------------------------------------------

    def add(
        self, url: str, *, patterns: Sequence[str] = (), job_id: str | None = None
    ) -> tuple[Endpoint, str]:
        """A new endpoint, and its secret: this is the one time that it is told.

        `job_id` is a whole one. Raises `BadInputError` for a URL or pattern that cannot be.
        """
        check_url(url, Rules.of(self._settings))
        check_patterns(patterns)
        self._check_key()
        hook = self._new_hook(url)
        with self._store().write() as connection:
            _refuse_twice(connection, url, patterns, job_id)
            endpoints.create(
                connection,
                hook.endpoint_id,
                url=url,
                secret=hook.sealed,
                patterns=patterns,
                job_id=job_id,
            )
        return self.get(hook.endpoint_id), hook.secret

    def get(self, endpoint_id: str) -> Endpoint:
        """The endpoint; any unique beginning of its id will do. Or `NotFoundError`."""
        full = endpoint_id if endpoint_id.startswith("ep_") else f"ep_{endpoint_id}"
        with self._store().read() as connection:
            found = endpoints.get(connection, full) if endpoint_id else None
        if found is None:
            raise NotFoundError(
                f"there is no endpoint {endpoint_id!r}: `maestrale webhooks list` lists them"
            )
        return found

    def all_(self, *, job_id: str | None = None, limit: int | None = None) -> list[Endpoint]:
        """Endpoints of all jobs first, then those of one job each, the newest first."""
        with self._store().read() as connection:
            return endpoints.all_(connection, job_id=job_id, limit=limit)

    def rotate(self, endpoint_id: str) -> tuple[Endpoint, str, int]:
        """A new secret, told here only; the old one signs beside it for 24 hours.

        The last number: how many endpoints share it (those made by `--webhook` for one job do).
        """
        found = self.get(endpoint_id)
        self._check_key()
        hook = self._new_hook(found.url)
        with self._store().write() as connection:
            changed = endpoints.rotate(connection, found.id, hook.sealed)
        return self.get(found.id), hook.secret, changed

    def disable(self, endpoint_id: str, reason: str = "disabled by the user") -> Endpoint:
        """Sends nothing there any more; what is pending is disabled with it."""
        found = self.get(endpoint_id)
        with self._store().write() as connection:
            deliveries.disable_endpoint(connection, found.id, reason)
        return self.get(found.id)

    def enable(self, endpoint_id: str) -> Endpoint:
        """Sends there again what happens from now on; `replay` sends what was on its way before.

        What happened in between was not kept for it.
        """
        found = self.get(endpoint_id)
        with self._store().write() as connection:
            endpoints.enable(connection, found.id)
        return self.get(found.id)

    # -- for one job ---------------------------------------------------------------------------

    def prepare(self, urls: Sequence[str]) -> tuple[Hook, ...]:
        """Checks URLs for `Maestrale.submit(webhooks=...)` before anything is read or paid."""
        rules = Rules.of(self._settings)
        for url in urls:
            check_url(url, rules)
        if urls:
            self._check_key()
        return tuple(self._new_hook(url) for url in dict.fromkeys(urls))

    def bound(self, job_id: str, hooks: Sequence[Hook]) -> list[Bound]:
        """What became of the hooks of a job that is committed."""
        with self._store().read() as connection:
            there = {found.url: found for found in endpoints.all_(connection, job_id=job_id)}
        return [_bound(hook, there.get(hook.url)) for hook in hooks]

    # -- deliveries ----------------------------------------------------------------------------

    def deliveries(
        self,
        *,
        endpoint_id: str | None = None,
        failed: bool = False,
        job_id: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """The newest deliveries first. `failed`: whose last attempt failed, or disabled."""
        with self._store().read() as connection:
            return deliveries.newest(
                connection, endpoint_id=endpoint_id, failed=failed, subject_id=job_id, limit=limit
            )

    def attempts(self, delivery_id: int) -> list[dict[str, Any]]:
        """Every POST of a delivery and what came of it."""
        with self._store().read() as connection:
            return deliveries.attempts_of(connection, delivery_id)

    def replay(
        self,
        *,
        ids: Sequence[int] | None = None,
        since: float | None = None,
        endpoint_id: str | None = None,
        failed_only: bool = False,
    ) -> int:
        """Sends deliveries again, each with the id it had; answers how many."""
        with self._store().write() as connection:
            return deliveries.replay(
                connection, ids=ids, since=since, endpoint_id=endpoint_id, failed_only=failed_only
            )

    def test(self, endpoint_id: str, *, patience_s: float = TEST_PATIENCE_S) -> Tested:
        """Has a `webhook.test` sent by a worker and waits for its first attempt."""
        found = self.get(endpoint_id)
        if found.state == EndpointState.DISABLED:
            raise BadInputError(
                f"{found.id} is disabled: `maestrale webhooks enable {found.id}` comes first"
            )
        with self._store().write() as connection:
            delivery_id = deliveries.enqueue_test(connection, found.id)
        deadline = time.monotonic() + patience_s
        while not (tried := self.attempts(delivery_id)):
            if not self._workers() or time.monotonic() > deadline:
                break
            time.sleep(LOOK_S)
        return Tested(delivery_id, tried[0] if tried else None, bool(self._workers()))

    # -- secrets -------------------------------------------------------------------------------

    def _new_hook(self, url: str) -> Hook:
        raw = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        secret = f"whsec_{raw}"
        return Hook(url, new_id("ep"), secret, self._sealer.seal(secret))

    def _check_key(self) -> None:
        """A key of one home is of no use to a worker of another: with PostgreSQL there are some."""
        if not self._settings.secret_key.get_secret_value() and not self._store().is_sqlite:
            raise SetupError(KEY_ADVICE)


def check_patterns(patterns: Sequence[str]) -> None:
    """Raises `BadInputError` with the list of those that are, for one that is no event."""
    families = sorted({f"{name.partition('.')[0]}.*" for name in EVENT_TYPES})
    for pattern in patterns:
        if pattern not in EVENT_TYPES and pattern not in families:
            raise BadInputError(
                f"there is no event {pattern!r}. Events: {', '.join(EVENT_TYPES)}. "
                f"Families: {', '.join(families)}"
            )


def bind(connection: Connection, hook: Hook, job_id: str, patterns: Sequence[str] = ()) -> None:
    """Has the hook's URL hear of the job, in the transaction that makes the job.

    `patterns`: of which events; none: of all.
    """
    if endpoints.hears_all(connection, hook.url):
        return
    if known := endpoints.for_url(connection, hook.url):
        endpoints.copy_for_job(connection, known.id, hook.endpoint_id, job_id, patterns)
    else:
        endpoints.create(
            connection,
            hook.endpoint_id,
            url=hook.url,
            secret=hook.sealed,
            patterns=patterns,
            job_id=job_id,
        )


def _bound(hook: Hook, found: Endpoint | None) -> Bound:
    if found is None:
        return Bound(hook.url, "", "heard")
    if found.secret != hook.sealed:
        return Bound(hook.url, found.id, "known")
    return Bound(hook.url, found.id, "new", hook.secret)


def _refuse_twice(
    connection: Connection, url: str, patterns: Sequence[str], job_id: str | None
) -> None:
    if found := endpoints.same(connection, url=url, patterns=patterns, job_id=job_id):
        raise BadInputError(
            f"{found} hears of these events at this URL already: "
            f"`maestrale webhooks rotate {found}` gives it a new secret"
        )
