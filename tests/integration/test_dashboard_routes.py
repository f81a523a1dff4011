"""Every route of the dashboard, asked what comes to schemathesis' mind, in a real Flower."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from builders import a_job, a_limiter
from dashboard_routes import FORMS, QUERIES, described, routes
from dashboards import OWNER, Dashboard, a_dashboard
from drawn import some
from review_builders import a_review
from schemas_tried import asked, the_schema

import dashboard as package
from models.states import JobState
from models.store import deliveries, endpoints

HOME = Path(package.__file__).parent
OWNS = tuple(OWNER.split(":"))
VERBS = {"get", "post"}
OPEN = ("/static/(.*)", "/login/?", "/logout", "/healthcheck", "/maestrale/static/(.*)", ".*")
"""Routes that ask nobody for a password: Flower's, our style and script, and 404."""
REVIEW, ENDPOINT = "rev_0123456789", "ep_first"
NEED_MORE = {"/job/{first}/report", "/review/{first}/pair", "/review/{first}/result"}
"""Pages that want more than the row: an evaluation, or what another test of these has judged."""
IDS = {
    "/job/": "job_runs",
    "/review/": REVIEW,
    "/webhooks/delivery/": "1",
    "/webhooks/endpoint/": ENDPOINT,
    "/maestrale/static/": "frame.css",
}
SCHEMA = the_schema(described(IDS))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Flower with a password, over a few jobs, a review and a limiter."""
    with a_dashboard(tmp_path_factory.mktemp("routes"), FLOWER_BASIC_AUTH=OWNER) as shown:
        now = shown.store.now()
        shown.add(
            a_job(id="job_runs", state=JobState.RUNNING, created_at=now, started_at=now),
            a_job(id="job_over", state=JobState.FAILED, created_at=now, started_at=now),
        )
        shown.has_limiters(a_limiter(now))
        a_review(shown.store, 3, id=REVIEW)
        with shown.store.write() as connection:
            endpoints.create(connection, ENDPOINT, url="https://example.org/", secret="sealed")
            deliveries.enqueue_test(connection, ENDPOINT)
        yield shown


class Visitors:
    """Who asks: the owner with a form's token in hand, the owner without it, and a stranger."""

    def __init__(self, browsers: list[requests.Session]) -> None:
        self.owner, self.tokenless, self.stranger = browsers
        self.answered: set[tuple[str, str, int]] = set()


@pytest.fixture(scope="module")
def visitors(guarded: Dashboard) -> Iterator[Visitors]:
    """Three browsers."""
    with requests.Session() as owner, requests.Session() as tokenless, requests.Session() as other:
        owner.auth = tokenless.auth = OWNS
        page = owner.get(guarded.url("/job/job_runs"), timeout=20).text
        found = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert found is not None
        owner.headers["X-Xsrftoken"] = found[1]
        yield Visitors([owner, tokenless, other])


def is_refused(answer: Any) -> bool:
    """Nothing was shown or done; what browsers ask with OPTIONS before they ask is answered so."""
    is_preflight = answer.status_code == 204 and not answer.text
    return answer.status_code in (400, 401, 403, 404, 405) or is_preflight


def test_no_route_is_missing_from_the_description() -> None:
    """What `install` puts into Flower is described, and whatever a page or form reads."""
    from flower import urls  # noqa: PLC0415 # Flower is slow to import

    from dashboard.pages import install  # noqa: PLC0415 # beside Flower

    before, handlers = list(urls.handlers), list(urls.handlers)
    install(handlers, dict(urls.settings))
    added = [one for one in handlers if one not in before]
    assert {one.regex.pattern.rstrip("$") for one in added} == {pattern for pattern, _ in routes()}
    assert len(described()["paths"]) == len(added)
    sources = "".join(path.read_text() for path in HOME.rglob("*.py"))
    assert set(re.findall(r"self\.(?:query|number)\(\"(\w+)\"", sources)) == set(QUERIES)
    assert set(re.findall(r"get_body_argument\(\"(\w+)\"", sources)) == set(FORMS)
    assert set(re.findall(r"async def (get|post|put|delete|patch|head)\(", sources)) == VERBS


@SCHEMA.parametrize()
@some(25)
def test_no_route_falls_over(case: Any, guarded: Dashboard, visitors: Visitors) -> None:
    """An answer in time, never 5xx, never a trace; without token or password nothing is done."""
    url = guarded.url("")
    answer = asked(case, url, session=visitors.owner)
    visitors.answered.add((case.method, case.operation.path, answer.status_code))
    if case.method == "POST":
        assert is_refused(asked(case, url, session=visitors.tokenless)), "without the token"
    elif answer.status_code == 200 and "text/html" in answer.headers["content-type"][0]:
        assert "default-src 'none'" in answer.headers["content-security-policy"][0]
    if "static" not in case.path:
        assert is_refused(asked(case, url, session=visitors.stranger)), "without the password"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_every_route_asks_for_the_password(
    guarded: Dashboard, visitors: Visitors, method: str
) -> None:
    """Flower's own as well, whatever the method: none but those of style and sign-in answers."""
    from flower import urls  # noqa: PLC0415 # Flower is slow to import

    flowers = [one[0].rstrip("$") for one in urls.handlers if isinstance(one, (tuple, list))]
    for pattern in sorted({*flowers, *(pattern for pattern, _ in routes())} - set(OPEN)):
        url = guarded.url(re.sub(r"\(.*?\)", "1", pattern))
        answer = visitors.stranger.request(method, url, timeout=20, allow_redirects=False)
        assert is_refused(answer), f"{method} {url}: {answer.status_code}"


def test_a_file_with_nul_in_its_name_is_none(guarded: Dashboard, visitors: Visitors) -> None:
    """404, as for any file that there is not."""
    for path in ("/maestrale/static/%00", "/maestrale/static/frame.css%00"):
        assert visitors.stranger.get(guarded.url(path), timeout=20).status_code == 404


def test_it_is_still_there(guarded: Dashboard, visitors: Visitors) -> None:
    """After all of it: its pages are shown, and what was unforeseen is not in its log."""
    asked_of = {path for _, path, _ in visitors.answered} - NEED_MORE
    good = {path for _, path, status in visitors.answered if status in (200, 303)}
    assert asked_of <= good, "nothing but refusals: the page itself was never tried"
    assert visitors.owner.get(guarded.url("/jobs"), timeout=20).status_code == 200
    log = guarded.deployment.log("flower")
    assert "Uncaught exception" not in log, log[log.index("Uncaught exception") :][:3000]
