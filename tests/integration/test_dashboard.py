"""Jobs and Limits inside a real Flower, looked at with a real browser."""

import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest
from browsing import DESK, PHONE, looking_at, overflow
from builders import a_job, a_limiter, eventually
from dashboards import OWNER, SIGNED_IN, Dashboard, a_dashboard
from playwright.sync_api import expect
from running import ask
from sqlalchemy import text

from models.nano import NANO
from models.states import JobState
from models.store import pulses

EVIL = "<script>document.title='owned'</script>{{7*7}}<img src=x onerror=alert(1)>"
HIDDEN = "\x1b[31mred\u202egnp.exe"
RUNNING, PAUSED = "job_that_runs", "job_that_waits"


WIDER_THAN_ITS_CARD = """
[...document.querySelectorAll(".card-table")].some(card => card.scrollWidth > card.clientWidth)
"""
NOTED = """
window.planned = [];
const set = window.setTimeout;
window.setTimeout = (work, ms) => {
  if (work.name === "look") { window.planned.push(ms); }
  return set(work, ms);
};
"""
"""Has a page note how long `static/live.js` waits before each look."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Flower as it comes: on loopback, without a password. A few jobs are there."""
    with a_dashboard(tmp_path_factory.mktemp("dashboard")) as shown:
        now = shown.store.now()
        seen = {"rows_total": 1000, "created_at": now, "started_at": now - 500}
        counts = {"rows_done": 400, "rows_failed": 7, "calls_made": 800, "calls_refused": 31}
        money = {"cost_nano": 2 * NANO, "budget_nano": 9 * NANO}
        shown.add(
            a_job(id=RUNNING, state=JobState.RUNNING, name="amira", **seen, **counts, **money),
            a_job(id=PAUSED, state=JobState.PAUSED, name=EVIL, input_name=HIDDEN, **seen),
            a_job(id="job_unpriced", calls_made=5, calls_unpriced=5, kind="embed", **seen),
        )
        yield shown


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Flower with a password, under a prefix."""
    given = {"FLOWER_BASIC_AUTH": OWNER, "FLOWER_URL_PREFIX": "/ops"}
    with a_dashboard(tmp_path_factory.mktemp("guarded"), **given) as shown:
        shown.add(a_job(id=PAUSED, state=JobState.PAUSED))
        yield shown


def answer(dashboard: Dashboard, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of a page."""
    try:
        with urlopen(Request(dashboard.url(path), headers=headers), timeout=20) as found:
            return found.status, dict(found.headers), found.read().decode()
    except HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read().decode()


def is_calling(dashboard: Dashboard, job_id: str, calls_per_s: int) -> None:
    """Workers have told of so many calls, over the last half minute."""
    with dashboard.store.write() as connection:
        last = int(dashboard.store.now() // 10) * 10
        beats = [
            pulses.Beat(job_id, last - ago, calls_per_s * 10, 0, 0, 0) for ago in (0, 10, 20, 30)
        ]
        pulses.add(connection, beats)


# -- inside Flower ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/workers", "/tasks", "/broker", "/jobs", "/limits"])
def test_our_tabs_stand_beside_flowers_own(dashboard: Dashboard, page: str):
    """On its pages and on ours; the page one is on is lit."""
    shown = ask(dashboard.flower, page)
    tabs = re.findall(r'<a class="nav-link( active)?"\s+href="([^"]+)"', shown)
    ours = ["/jobs", "/limits", "/webhooks"]
    assert [place for _, place in tabs] == [*ours, "/workers", "/tasks", "/broker"]
    assert [place for lit, place in tabs if lit] == [page]


@pytest.mark.parametrize("page", ["/jobs", "/limits", "/jobs?state=failed"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_browser_has_nothing_to_complain_of(browser, dashboard, page, viewport):
    """No violation of the policy, no error, nothing missing; nothing wider than the window."""
    with looking_at(browser, dashboard.url(page), viewport=viewport) as shown:
        shown.wait_for_load_state("networkidle")
        assert overflow(shown) <= 0
        assert shown.evaluate(WIDER_THAN_ITS_CARD) is False


def test_dark_is_dark(browser, dashboard: Dashboard):
    """Text is brighter than what it stands on, in our own parts too."""

    def brightness(shown, name: str, of: str) -> int:
        colour = f"getComputedStyle(document.querySelector('{of}')).{name}"
        return sum(int(part) for part in re.findall(r"\d+", shown.evaluate(colour))[:3])

    for theme, is_dark in (("dark", True), ("light", False)):
        with looking_at(browser, dashboard.url("/jobs"), color_scheme=theme) as shown:
            ground = brightness(shown, "backgroundColor", ".card-table")
            for words in (".job-id", ".under", ".list th", ".chip"):
                assert (brightness(shown, "color", words) > ground) is is_dark, words


# -- what is shown ---------------------------------------------------------------------------------


def test_a_line_says_how_a_job_stands(browser, dashboard: Dashboard):
    """State, rows, pace and its share of the limit, refusals, cost and budget, time left."""
    is_calling(dashboard, RUNNING, 10)
    dashboard.has_limiters(a_limiter(dashboard.store.now()))
    with dashboard.store.write() as connection:
        connection.execute(
            text(
                "INSERT INTO spending VALUES (:job, 'mistral-small-latest', 1, 800, 0, 0, 0, 0, 0)"
            ),
            {"job": RUNNING},
        )
    with looking_at(browser, dashboard.url("/jobs")) as shown:
        line = shown.locator(f"#{RUNNING}")
        cells = {
            cell.get_attribute("class"): " ".join(cell.inner_text().split())
            for cell in line.locator("td").all()
        }
        assert cells["col-state"] == "running"
        assert cells["col-progress"] == "400 of 1,000 rows, 7 failed"
        assert cells["col-pace"] == "10.0/s 50% of limit"
        assert cells["col-refusals"] == "31"
        assert cells["col-cost"] == "$2.00 of $9.00"
        assert cells["col-left"] == "1 min 57 s"
        assert cells["col-created"].endswith(("now", "ago"))
        assert "unknown" in shown.locator("#job_unpriced .col-cost").inner_text()


def test_limits_tell_what_is_allowed_and_used(browser, dashboard: Dashboard):
    """By account and model, with where it was learnt and why nothing is sent."""
    now = dashboard.store.now()
    dashboard.has_limiters(
        a_limiter(now, worker="w1", calls_per_s=9.0, waiting=40, in_flight=3),
        a_limiter(now, worker="w2", calls_per_s=10.9, redis_away=True),
        a_limiter(now, model="held-model", source="header", hold_until=now + 200),
    )
    with looking_at(browser, dashboard.url("/limits")) as shown:
        busy, held = (
            " ".join(shown.locator("tr", has_text=model).inner_text().split())
            for model in ("mistral-small-latest", "held-model")
        )
    assert "1,200 requests/min told by MAESTRALE_LIMITS 19.9/s, 100% of the requests" in busy
    assert "20.0/s 3 40" in busy
    assert "no Redis: 1 of 2" in busy
    assert "told by the API" in held
    assert re.search(r"held (3 min|200 s)", held)


def test_hostile_words_are_only_words(browser, dashboard: Dashboard):
    """Markup, templates, terminal codes and right-to-left overrides stand there as text."""
    with looking_at(browser, dashboard.url("/jobs")) as shown:
        line = shown.locator(f"#{PAUSED} .col-job").inner_text()
        assert EVIL[:59] in line
        assert "49" not in line
        assert r"\x1b[31mred\u202egnp.exe" in line
        assert "owned" not in shown.title()
        assert shown.locator(f"#{PAUSED} img, #{PAUSED} script").count() == 0
    query = "/jobs?text=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&state=%3Cb%3E&sort=;drop&page=-1"
    with looking_at(browser, dashboard.url(query)) as shown:
        assert shown.locator("input[name=text]").input_value() == '"><script>alert(1)</script>'
        assert "No job fits" in shown.locator(".empty").inner_text()


@pytest.mark.parametrize(
    "query", ["text=%00", "page=99999999999999999999", "page=x", "kind=%F0%9F"]
)
def test_no_query_breaks_the_page(dashboard: Dashboard, query: str):
    """What makes no sense filters nothing, or is refused in words."""
    status, _, shown = answer(dashboard, f"/jobs?{query}")
    assert status == 200 or (status == 400 and "cannot be read" in shown)
    assert "Traceback" not in shown


def test_without_scripts_it_filters_sorts_and_turns_pages(browser, dashboard: Dashboard):
    """Links and one form do all of it."""
    with looking_at(browser, dashboard.url("/jobs"), java_script_enabled=False) as shown:
        shown.get_by_role("link", name="Cost").click()
        shown.wait_for_url("**sort=cost**")
        expect(shown.locator("tbody tr").first).to_have_attribute("id", RUNNING)
        shown.locator("input[name=text]").fill("AMIRA")
        shown.get_by_role("button", name="Filter").click()
        expect(shown.locator("tbody tr")).to_have_count(1)
        expect(shown.locator("tbody tr")).to_have_attribute("id", RUNNING)
        assert "sort=cost" in shown.url
        shown.get_by_role("link", name="Show all").click()
        expect(shown.locator("input[name=text]")).to_have_value("")
        shown.locator("#chip-paused").click()
        expect(shown.locator("tbody tr")).to_have_count(1)
        expect(shown.locator("tbody tr")).to_have_attribute("id", PAUSED)


# -- live ------------------------------------------------------------------------------------------


def test_it_follows_without_a_reload_and_keeps_its_place(browser, dashboard: Dashboard):
    """Counters move, a new job comes on top: focus, selection and page are the same as before."""
    with looking_at(browser, dashboard.url("/jobs")) as shown:
        shown.evaluate("window.isTheSamePage = true")
        link = shown.locator(f"#{RUNNING} a.job-id")
        link.focus()
        dashboard.add(a_job(id="job_new", created_at=dashboard.store.now() + 60))
        with dashboard.store.write() as connection:
            connection.execute(
                text("UPDATE jobs SET rows_done = 555 WHERE id = :id"), {"id": RUNNING}
            )
        shown.locator(f"#{RUNNING}", has_text="555 of 1,000").wait_for(timeout=30_000)
        assert shown.locator("tbody tr").first.get_attribute("id") == "job_new"
        assert shown.evaluate("window.isTheSamePage")
        assert link.evaluate("link => link === document.activeElement")


def settle(shown) -> None:
    """Lets the browser and us hear of what was sent and failed, while its clock stands."""
    shown.wait_for_timeout(150)


def plans(shown, wait_s: float) -> None:
    """Waits until the page has planned its next look, so many seconds ahead."""
    wait_ms = wait_s * 1000
    eventually(
        lambda: shown.evaluate("window.planned.at(-1)") == wait_ms,
        f"it waits {wait_s} s",
        within_s=30,
    )


def test_it_says_when_it_is_not_up_to_date_and_recovers(browser, dashboard: Dashboard):
    """It asks again after 4, 8 ... seconds. Time is the browser's, and stands until it is wound."""
    with looking_at(browser, "about:blank") as shown:
        shown.clock.install(time=0)
        shown.clock.pause_at(1000)
        shown.add_init_script(NOTED)
        shown.goto(dashboard.url("/limits"))
        asked: list[str] = []
        shown.on("request", lambda request: asked.append(request.url))
        shown.route("**/limits", lambda route: route.abort())
        for wait_s in (2, 4, 8, 16):
            plans(shown, wait_s)
            del asked[:]
            shown.clock.run_for(wait_s * 1000 - 500)
            settle(shown)
            assert asked == []
            with shown.expect_event("requestfailed"):
                shown.clock.run_for(500)
        plans(shown, 32)
        shown.get_by_text("Not up to date since").wait_for()
        shown.unroute("**/limits")
        shown.clock.run_for(32_000)
        shown.locator("#stale").wait_for(state="hidden")
        shown.complaints.clear()  # of the refused requests


def test_it_asks_nothing_while_nobody_looks(browser, dashboard: Dashboard):
    """A tab in the background costs the database nothing, and is fresh when it is looked at."""
    hide = "Object.defineProperty(document, 'hidden', {get: () => window.isAway === true})"
    turn = "away => {window.isAway = away; document.dispatchEvent(new Event('visibilitychange'))}"
    with looking_at(browser, "about:blank") as shown:
        shown.add_init_script(hide)
        shown.clock.install()
        shown.goto(dashboard.url("/limits"))
        asked: list[str] = []
        shown.wait_for_load_state("networkidle")
        shown.on("request", lambda request: asked.append(request.url))
        shown.evaluate(turn, True)
        shown.clock.run_for(60_000)
        settle(shown)
        assert dashboard.url("/limits") not in asked
        with shown.expect_response("**/limits"):
            shown.evaluate(turn, False)


# -- who may see, and what is said when something is wrong -----------------------------------------


@pytest.mark.parametrize("page", ["/jobs", "/limits", "/jobs?page=%FF"])
def test_pages_carry_a_strict_policy_and_are_kept_by_nobody(dashboard: Dashboard, page: str):
    """Also when they tell of an error."""
    _, headers, _ = answer(dashboard, page)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_a_foreign_name_for_this_machine_is_refused(dashboard: Dashboard):
    """Without a password: else any site that a browser shows could read the pages by rebinding."""
    status, _, shown = answer(dashboard, "/jobs", Host="site.example")
    assert status == 403
    assert RUNNING not in shown
    for host in ("localhost", f"127.0.0.1:{dashboard.flower}", "[::1]:5555"):
        assert answer(dashboard, "/jobs", Host=host)[0] == 200


def test_a_database_that_does_not_answer_is_a_page(dashboard: Dashboard):
    """Status 503, what to do, no trace; and all is well again when it is."""
    with dashboard.store.write() as connection:
        connection.execute(text("ALTER TABLE jobs RENAME TO jobs_away"))
    try:
        status, headers, shown = answer(dashboard, "/jobs")
    finally:
        with dashboard.store.write() as connection:
            connection.execute(text("ALTER TABLE jobs_away RENAME TO jobs"))
    assert status == 503
    assert "maestrale migrate" in shown
    assert "Traceback" not in shown + dashboard.deployment.log("flower")
    assert "Content-Security-Policy" in headers
    assert answer(dashboard, "/jobs")[0] == 200


def test_behind_a_password_nothing_is_seen_without_it(guarded: Dashboard):
    """Neither pages nor answers to other methods."""
    for page in ("/ops/jobs", "/ops/limits"):
        with pytest.raises(HTTPError, match="401"):
            ask(guarded.flower, page)
        with pytest.raises(HTTPError, match="401"):
            ask(guarded.flower, page, "owner:guessed")
        assert PAUSED in ask(guarded.flower, "/ops/jobs", OWNER)


def test_under_a_prefix_everything_is_found(browser, guarded: Dashboard):
    """Tabs, style, script, and the script's own questions."""
    with looking_at(browser, guarded.url("/ops/jobs"), http_credentials=SIGNED_IN) as shown:
        with shown.expect_response("**/ops/jobs") as told:
            shown.wait_for_load_state()
        assert told.value.status == 200
        assert shown.locator(".card-table").evaluate("e => getComputedStyle(e).overflowX") == "auto"
        for name in ("Limits", "Webhooks", "Jobs", "Tasks"):
            shown.locator("nav").get_by_role("link", name=name, exact=True).click()
            shown.wait_for_url("**/ops/**")


def test_styles_and_scripts_are_kept_until_they_change(dashboard: Dashboard):
    """Their address carries what they are."""
    (style,) = re.findall(r'"(/maestrale/static/frame.css\?v=\w+)"', ask(dashboard.flower, "/jobs"))
    status, headers, _ = answer(dashboard, style)
    assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert "max-age=315360000" in headers["Cache-Control"]
    assert answer(dashboard, "/maestrale/static/../frame.py")[0] in (403, 404)
    assert answer(dashboard, "/maestrale/static/..%2fframe.py")[0] in (403, 404)


# -- acting ----------------------------------------------------------------------------------------


def resume(guarded: Dashboard, *, token: bool = True, **headers: str) -> tuple[int, str]:
    """Sends the form that resumes the paused job; its status, and where it leads."""
    request = Request(guarded.url(f"/ops/job/{PAUSED}/resume"), method="POST")
    signed_in = {"Authorization": f"Basic {b64encode(OWNER.encode()).decode()}"}
    page = urlopen(Request(guarded.url("/ops/jobs"), headers=signed_in), timeout=20)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    known = {"Cookie": cookie, **signed_in} if token else signed_in
    for name, value in (known | {n.replace("_", "-"): v for n, v in headers.items()}).items():
        request.add_header(name, value)
    request.data = f"_xsrf={cookie.partition('=')[2]}".encode() if token else b""
    try:
        with build_opener(Staying).open(request, timeout=20) as answered:
            return answered.status, ""
    except HTTPError as answered:
        return answered.code, answered.headers.get("Location", "")


class Staying(HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_args):
        """None: the redirect itself is the answer."""


def state(shown: Dashboard) -> str:
    """The paused job's state."""
    with shown.store.read() as connection:
        return connection.execute(
            text("SELECT state FROM jobs WHERE id = :id"), {"id": PAUSED}
        ).scalar()


@pytest.mark.parametrize(
    "headers",
    [
        {"token": False},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://site.example"},
        {"Origin": "null"},
        {"Cookie": "_xsrf=guessed"},
    ],
)
def test_a_form_that_is_not_ours_does_nothing(guarded: Dashboard, headers):
    """No token, a wrong one, or another site: though the browser sends the password along."""
    assert resume(guarded, **headers) == (403, "")
    assert state(guarded) == JobState.PAUSED


def test_nor_does_one_without_the_password(guarded: Dashboard):
    """Even with a token: those are given to everybody."""
    assert resume(guarded, Authorization="Basic bm86bm8=") == (401, "")
    assert state(guarded) == JobState.PAUSED


def test_our_own_form_acts_and_leads_back(guarded: Dashboard):
    """With 303, so that a reload does not act again."""
    origin = f"http://127.0.0.1:{guarded.flower}"
    status, back = resume(guarded, Sec_Fetch_Site="same-origin", Origin=origin)
    assert (status, back) == (303, f"/ops/job/{PAUSED}")
    assert state(guarded) == JobState.QUEUED


def test_without_a_password_no_form_acts(dashboard: Dashboard):
    """Whoever sends it: the dashboard does not know who that is."""
    request = Request(dashboard.url(f"/job/{PAUSED}/resume"), method="POST", data=b"_xsrf=x")
    request.add_header("Cookie", "_xsrf=x")
    with pytest.raises(HTTPError, match="403"):
        urlopen(request, timeout=20)
    assert state(dashboard) == JobState.PAUSED
