"""A dashboard to look at: a real Flower over a database that a test fills by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browsing import looking_at
from playwright.sync_api import Browser, Page
from running import Deployment, a_deployment
from sqlalchemy import delete, insert

from models.store import schema
from models.store.engine import Store, open_store
from models.tables import Job, LimiterSeen

OWNER = "owner:of-this-place"
SIGNED_IN = {"username": "owner", "password": "of-this-place"}
"""`http_credentials` of a browser's context."""


class Dashboard:
    """The services' address book: `flower` is a port, `store` the database it reads."""

    def __init__(self, deployment: Deployment, store: Store) -> None:
        self.deployment = deployment
        self.store = store
        self.flower = 0

    def url(self, path: str) -> str:
        """A page's address."""
        return f"http://127.0.0.1:{self.flower}{path}"

    def add(self, *jobs: Job) -> None:
        """Puts jobs into the database as they are, without rows."""
        with self.store.write() as connection:
            connection.execute(insert(Job.__table__), [job.model_dump() for job in jobs])  # type: ignore[attr-defined]

    def has_limiters(self, *seen: LimiterSeen) -> None:
        """Workers have just told how they stand with their models; others have not."""
        table = LimiterSeen.__table__  # type: ignore[attr-defined]
        with self.store.write() as connection:
            connection.execute(delete(table))
            connection.execute(insert(table), [one.model_dump() for one in seen])


@contextmanager
def a_dashboard(folder: Path, **environment: str) -> Iterator[Dashboard]:
    """A Flower that is answered, over an empty database below `folder`."""
    with a_deployment(folder) as deployment:
        store = open_store(deployment.settings)
        try:
            schema.migrate(store)
            dashboard = Dashboard(deployment, store)
            dashboard.flower = deployment.start_flower(**environment)
            yield dashboard
        finally:
            store.close()


def signed_in(browser: Browser, dashboard: Dashboard, path: str, **context: Any):
    """A page as its owner sees it; a context."""
    return looking_at(browser, dashboard.url(path), http_credentials=SIGNED_IN, **context)


def press(page: Page, button: str) -> str:
    """Presses a button; what the page says after it."""
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).click()
    return page.locator(".told").inner_text()
