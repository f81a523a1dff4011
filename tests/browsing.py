"""A real Chromium without a window, and what it complained about."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
"""Debian's; playwright's own browsers are not fetched."""
PHONE = {"width": 375, "height": 740}
DESK = {"width": 1280, "height": 800}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; each test opens pages of its own in it (`looking_at`)."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def looking_at(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """The page at `url`, open; fails at the end if the browser complained about anything.

    `context`: `viewport=PHONE`, `color_scheme="dark"`, `java_script_enabled=False`,
    `http_credentials={"username": ..., "password": ...}` ... What a test expects to be complained
    about it takes out of `page.complaints`.
    """
    opened = browser.new_context(**{"viewport": DESK, **context})
    page = opened.new_page()
    complaints: list[str] = []
    page.complaints = complaints  # type: ignore[attr-defined] # for the test
    page.on("console", lambda said: _note(complaints, said))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: _note_failure(complaints, request))
    try:
        page.goto(url)
        yield page
        assert not complaints, complaints
    finally:
        opened.close()


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def _note(complaints: list[str], said: Any) -> None:
    if said.type in ("error", "warning"):
        complaints.append(said.text)


def _note_failure(complaints: list[str], request: Any) -> None:
    if request.failure != "net::ERR_ABORTED":  # the page was left before it came
        complaints.append(f"failed: {request.url} ({request.failure})")
