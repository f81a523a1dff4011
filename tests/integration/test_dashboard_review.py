"""Judging pairs in a real Flower with a real Chromium: by keyboard, resumed, and blind."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from browsing import DESK, PHONE, looking_at, overflow
from builders import eventually
from dashboards import OWNER, SIGNED_IN, Dashboard, a_dashboard
from overhearing import Heard, overheard
from playwright.sync_api import Browser, Page, expect
from review_builders import ALPHA, OMEGA, a_review, judged, some_pairs
from running import ask
from sqlalchemy import delete

from models.reviews import own_order
from models.reviews.votes import Said
from models.store import reviews
from models.tables import Review, ReviewPair

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOTS = os.environ.get("MAESTRALE_TEST_SHOTS", "")
"""A folder for screenshots that people look at; empty: none are taken."""
KEYS = ["ArrowLeft", "2", "t", "1", "ArrowRight", "ArrowDown"]
WORDS = ["left", "right", "tie", "left", "right", "tie"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower with a password."""
    with a_dashboard(tmp_path_factory.mktemp("reviews"), FLOWER_BASIC_AUTH=OWNER) as found:
        yield found


@pytest.fixture
def dashboard(running: Dashboard) -> Dashboard:
    """Without any review."""
    with running.store.write() as connection:
        for table in (reviews.judgements, reviews.pairs, reviews.reviews):
            connection.execute(delete(table))
    return running


def signed_in(browser: Browser, dashboard: Dashboard, path: str, **context: Any):
    return looking_at(browser, dashboard.url(path), http_credentials=SIGNED_IN, **context)


def said(dashboard: Dashboard, review: Review, reviewer: str | None = None) -> list[Said]:
    """What the store knows."""
    with dashboard.store.read() as connection:
        return reviews.said(connection, review.id, reviewer)


def begin(page: Page, name: str) -> None:
    """Types the reviewer's name and begins."""
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/pair")


def press(page: Page, key: str) -> None:
    """Presses a key that leads to another pair."""
    before = page.locator("#how-far").inner_text()
    page.keyboard.press(key)
    # `wait_for_function` looks again by eval, which the page's policy forbids
    expect(page.locator("#how-far")).to_have_text(re.compile(rf"^(?!\s*{re.escape(before)}\s*$)"))
    page.wait_for_load_state()


def place(page: Page) -> str:
    """`Pair 3 of 6, 2 judged`."""
    return page.locator("#how-far").inner_text()


def shoot(page: Page, name: str) -> None:
    """A picture for people."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


# -- judging ---------------------------------------------------------------------------------------


def test_a_whole_review_is_judged_by_keyboard_with_a_reload_in_the_middle(
    browser: Browser, dashboard: Dashboard
):
    """Each judgement is there at once, in the reviewer's own order; a reload loses nothing."""
    review = a_review(dashboard.store, 6)
    order = own_order(review.id, "Ada", 6)
    with signed_in(browser, dashboard, "/jobs") as page:
        page.get_by_role("link", name="Reviews by people").click()
        page.get_by_role("link", name="tone").click()
        begin(page, "Ada")
        for number, key in enumerate(KEYS, 1):
            assert place(page) == f"Pair {number} of 6, {number - 1} judged"
            assert f"of {order[number - 1]}." in page.locator("#left").inner_text()
            if number == 4:
                page.reload()
                assert place(page) == "Pair 4 of 6, 3 judged"
            press(page, key)
            assert len(said(dashboard, review)) == number
        assert "Thank you, Ada" in page.locator("h1").inner_text()
        assert "all 6 pairs" in place(page)
    assert {one.no: one.choice for one in said(dashboard, review)} == dict(
        zip(order, WORDS, strict=True)
    )


def test_a_comment_is_written_and_sent_without_the_mouse(browser: Browser, dashboard: Dashboard):
    """`c` goes to it, letters in it judge nothing, Escape leaves it; a reload keeps the draft."""
    review = a_review(dashboard.store, 2)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        page.keyboard.press("c")
        page.keyboard.type("tut 12")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.keyboard.type("c <b>")
        assert place(page).startswith("Pair 1")
        page.reload()
        expect(page.locator("#comment")).to_have_value("tut 1\nc <b>2")
        page.keyboard.press("c")
        page.keyboard.press("Escape")
        press(page, "t")
        assert page.locator("#comment").input_value() == ""
    (one,) = said(dashboard, review)
    assert (one.choice, one.comment) == ("tie", "tut 1\nc <b>2")


def test_back_shows_what_was_said_and_lets_it_be_changed(browser: Browser, dashboard: Dashboard):
    """`u` and Backspace; the next judgement goes on where it stopped."""
    review = a_review(dashboard.store, 4)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        press(page, "1")
        press(page, "2")
        press(page, "u")
        press(page, "Backspace")
        assert place(page) == "Pair 1 of 4, 2 judged"
        pressed = page.locator(".choice[aria-pressed=true]")
        assert pressed.get_attribute("value") == "left"
        page.keyboard.press("u")  # there is none before it
        press(page, "t")
        assert place(page) == "Pair 3 of 4, 2 judged"
    first, second = own_order(review.id, "Ada", 4)[:2]
    assert {one.no: one.choice for one in said(dashboard, review)} == {
        first: "tie",
        second: "right",
    }


def test_several_reviewers_each_have_their_own_order(browser: Browser, dashboard: Dashboard):
    """A name is remembered, another takes its place, and the first goes on where it stopped."""
    review = a_review(dashboard.store, 6)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        press(page, "1")
        page.goto(dashboard.url(f"/review/{review.id}"))
        expect(page.get_by_label("Your name")).to_have_value("Ada")
        assert "Ada 1 of 6" in page.locator("#judged").inner_text()
        begin(page, "Zoë / ;ß")
        assert place(page) == "Pair 1 of 6, 0 judged"
        press(page, "2")
        page.goto(dashboard.url(f"/review/{review.id}"))
        expect(page.get_by_label("Your name")).to_have_value("Zoë / ;ß")
        begin(page, "ADA")
        assert place(page) == "Pair 2 of 6, 1 judged"
    ada, zoe = own_order(review.id, "Ada", 6), own_order(review.id, "Zoë / ;ß", 6)
    assert set(said(dashboard, review)) == {
        Said(ada[0], "Ada", "left"),
        Said(zoe[0], "Zoë / ;ß", "right"),
    }
    assert ada != zoe


def test_mouse_and_touch_judge_too(browser: Browser, dashboard: Dashboard):
    """By large buttons, on a phone's screen."""
    review = a_review(dashboard.store, 3)
    with signed_in(
        browser, dashboard, f"/review/{review.id}", viewport=PHONE, has_touch=True
    ) as page:
        begin(page, "Ada")
        for name in ("Left is better", "Tie", "Right is better"):
            button = page.get_by_role("button", name=name)
            box = button.bounding_box()
            assert box
            assert box["height"] >= 44
            was = place(page)
            button.tap()
            expect(page.locator("#how-far")).not_to_have_text(was)
        assert "Thank you" in page.locator("h1").inner_text()
    assert sorted(one.choice for one in said(dashboard, review)) == ["left", "right", "tie"]


def test_without_the_script_the_buttons_do_it(browser: Browser, dashboard: Dashboard):
    """The form itself is sent, with its comment."""
    review = a_review(dashboard.store, 2)
    path = f"/review/{review.id}"
    with signed_in(browser, dashboard, path, java_script_enabled=False) as page:
        page.get_by_label("Your name").fill("Ada")
        page.get_by_role("button", name="Begin").click()
        page.get_by_label("Comment").fill("fine")
        page.get_by_role("button", name="Right is better").click()
        expect(page.locator("#how-far")).to_have_text("Pair 2 of 2, 1 judged")
        page.get_by_role("button", name="Tie").click()
        expect(page.locator("h1")).to_contain_text("Thank you")
    assert [one.choice for one in sorted(said(dashboard, review), key=_own(review))] == [
        "right",
        "tie",
    ]


def _own(review: Review):
    order = own_order(review.id, "Ada", review.pairs_total)
    return lambda one: order.index(one.no)


def test_a_judgement_that_is_not_saved_is_not_lost(browser: Browser, dashboard: Dashboard):
    """The page stays, says so, keeps the comment, and the next try goes through."""
    review = a_review(dashboard.store, 2)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        page.get_by_label("Comment").fill("important")
        page.keyboard.press("Escape")
        page.route("**/judge", lambda route: route.abort())
        page.keyboard.press("1")
        expect(page.get_by_role("alert")).to_contain_text("Not saved")
        assert place(page).startswith("Pair 1")
        page.unroute("**/judge")
        press(page, "2")
        page.complaints.clear()  # of the refused request
    (one,) = said(dashboard, review)
    assert (one.choice, one.comment) == ("right", "important")


def test_a_long_answer_scrolls_by_keys_and_judges_nothing(browser: Browser, dashboard: Dashboard):
    """With the focus in it the down key is the text's; the page itself stays in its window."""
    (pair,) = some_pairs(1)
    pair.left = "\n".join(f"line {no}" for no in range(400))
    review = a_review(dashboard.store, pairs=[pair])
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        left = page.get_by_role("region", name="Left", exact=True).locator(".text")
        left.focus()
        page.keyboard.press("ArrowDown")
        scrolled = "document.getElementById('left').scrollTop > 0"
        eventually(lambda: page.evaluate(scrolled), "the text scrolls")
        assert place(page).startswith("Pair 1")
        assert page.locator(".choices").is_visible()
        assert page.evaluate(
            "document.querySelector('.choices').getBoundingClientRect().bottom <= innerHeight"
        )
    assert said(dashboard, review) == []


def test_answers_are_text_with_their_spaces(browser: Browser, dashboard: Dashboard):
    """Nothing in them runs, hides or turns; lines, indents and French spaces stay."""
    (pair,) = some_pairs(1)
    pair.left, pair.right = HOSTILE, "def f():\n\n    return 1\n« c’est\u00a0cela\u202f»"
    pair.asked = HOSTILE
    review = a_review(dashboard.store, pairs=[pair], name=HOSTILE, question=HOSTILE)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        begin(page, "<b>Ada</b>")
        for name in ("asked", "left"):
            assert page.locator(f"#{name}").text_content() == SHOWN
        assert page.locator("#right").text_content() == pair.right
        assert page.locator("#right").inner_text() == pair.right
        assert page.locator("main script, main b").count() == 0
        press(page, "1")
        assert "Thank you, <b>Ada</b>" in page.locator("h1").inner_text()
        page.goto(dashboard.url("/reviews"))
        assert SHOWN[:30] in page.locator("main").inner_text()
        assert not {"\x1b", "\u202e"} & set(page.content())


# -- blind -----------------------------------------------------------------------------------------


def a_blind_review(dashboard: Dashboard, *, turned: bool) -> Review:
    """The same pairs under the same id, the models' sides turned over or not."""
    drawn = [True, True, False, True, False, False, False, True]
    sides = [side != turned for side in drawn]
    names = (OMEGA, ALPHA) if turned else (ALPHA, OMEGA)
    return a_review(
        dashboard.store,
        pairs=some_pairs(8, left_is_first=sides),
        first=names[0],
        second=names[1],
    )


def walk(browser: Browser, dashboard: Dashboard, review: Review) -> list[Heard]:
    """All that the browser of a reviewer sends and hears who looks at everything there is before
    the result, and judges it all."""
    with overheard(dashboard.flower) as proxy:
        with looking_at(browser, proxy.url("/reviews"), http_credentials=SIGNED_IN) as page:
            page.goto(proxy.url(f"/review/{review.id}"))
            begin(page, "Ada")
            for number in range(1, review.pairs_total + 1):
                if number == 3:
                    press(page, "u")
                    press(page, "1")
                if number == 5:
                    page.reload()
                press(page, KEYS[number % len(KEYS)])
            page.goto(proxy.url(f"/review/{review.id}"))
            page.goto(proxy.url(f"/review/{review.id}/result"))  # not asked for in so many words
            page.goto(proxy.url("/reviews"))
            page.wait_for_load_state("networkidle")
        return proxy.heard


def test_nothing_that_a_reviewers_browser_hears_names_models_rows_or_seed(
    browser: Browser, dashboard: Dashboard
):
    """In no address, header, body or cookie, in no spelling of the names."""
    review = a_blind_review(dashboard, turned=False)
    heard = "\n".join(one.text for one in walk(browser, dashboard, review)).lower()
    heard += unquote(heard)
    assert "that is what stands there" in heard  # it did hear the pages
    assert "choice=left" in heard
    secrets = [ALPHA, OMEGA, "alpha-7b", "omega-9b", "row-of", review.job_id, str(review.seed)]
    for secret in [*secrets, "left_is_first", "is_first", "job_id", "row_id"]:
        assert secret.lower() not in heard, secret


def test_a_reviewer_hears_the_same_whoever_stands_where(browser: Browser, dashboard: Dashboard):
    """With the models' sides turned over in the database, every request and answer is the same to
    the letter, but for dates and the tokens that protect forms: so nothing in them can tell."""
    heard = []
    for turned in (False, True):
        for table in (reviews.judgements, reviews.pairs, reviews.reviews):
            with dashboard.store.write() as connection:
                connection.execute(delete(table))
        review = a_blind_review(dashboard, turned=turned)
        asked = walk(browser, dashboard, review)
        pages = [one for one in asked if one.path.startswith("/review")]
        heard.append([_without_chance(one.text) for one in pages])
    assert len(heard[0]) > 20
    for one, other in zip(*heard, strict=True):
        assert one == other


def _without_chance(text: str) -> str:
    """Without what differs between any two visits: dates, form tokens, hashes of these, ports."""
    text = re.sub(r'name="_xsrf" value="[^"]*"', "", text)
    text = re.sub(r"_xsrf=[^&;\s]*", "", text)
    text = re.sub(r"(?im)^(date|etag|if-none-match|expires|set-cookie: maes[^;]*):.*$", "", text)
    text = re.sub(r"(?i)expires=[^;\n]*", "", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "", text)
    return re.sub(r"<time[^>]*>[^<]*</time>", "", text)


def test_the_end_says_thanks_and_nothing_of_the_result(browser: Browser, dashboard: Dashboard):
    """Neither figures nor a link to them."""
    review = a_review(dashboard.store, 1)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        press(page, "1")
        main = page.locator("main")
        assert "result" not in main.inner_text().lower()
        assert main.locator("a[href*=result]").count() == 0


# -- the result ------------------------------------------------------------------------------------


def test_the_result_is_shown_to_who_asks_for_it(browser: Browser, dashboard: Dashboard):
    """Not before somebody judged; then behind a word of warning: names, figures, comments."""
    review = a_review(dashboard.store, 8)
    with signed_in(browser, dashboard, f"/review/{review.id}/result?show=1") as page:
        assert page.url.endswith(f"/review/{review.id}")
        assert page.locator("#reveal").count() == 0
        for no in range(1, 9):  # the first model stands left in odd pairs
            judged(
                dashboard.store,
                review,
                Said(no, "Ada", "left" if no % 2 else "right", HOSTILE if no == 3 else ""),
                Said(no, "Ben", "tie" if no > 6 else "left" if no % 2 else "right"),
            )
        page.reload()
        page.get_by_text("Show the result …").click()
        assert "not blind any more" in page.locator("#reveal").inner_text()
        page.get_by_role("link", name="Show the result").click()
        page.wait_for_url("**/result?show=1")  # the libraries behind it take seconds to import
        told = " ".join(page.locator("main").inner_text().split())
        assert f"{ALPHA} against {OMEGA}" in told
        assert f"6 won, 2 tied, 0 lost: {ALPHA} is preferred (p = 0.031, sign test)." in told
        assert "75.0% [40.9, 92.9] n=8" in told
        assert "Cohen's kappa" in told
        assert SHOWN in told
        assert page.locator("main script").count() == 0
        shoot(page, "review-result-desk")
        page.set_viewport_size(PHONE)
        assert overflow(page) == 0
        shoot(page, "review-result-phone")


# -- who may, and what does not fit ----------------------------------------------------------------


def test_without_a_password_nobody_judges(browser: Browser, tmp_path: Path):
    """The page says how to start it with one, and how to judge in a sheet."""
    with a_dashboard(tmp_path) as open_to_all:
        review = a_review(open_to_all.store, 2)
        with looking_at(browser, open_to_all.url(f"/review/{review.id}")) as page:
            text = page.locator("main").inner_text()
            assert "FLOWER_BASIC_AUTH" in text
            assert f"maestrale review export {review.id}" in text
            page.goto(open_to_all.url(f"/review/{review.id}/pair"))
            assert page.url.endswith(f"/review/{review.id}")


@pytest.mark.parametrize("path", ["", "/pair", "/result?show=1", "/pair?place=99999&after=x"])
def test_an_unknown_review_is_a_page_too(browser: Browser, dashboard: Dashboard, path: str):
    """404 in the same look."""
    with signed_in(browser, dashboard, "/reviews") as page:
        page.context.add_cookies(
            [{"name": "maestrale_reviewer", "value": "Ada", "url": dashboard.url("/")}]
        )
        page.goto(dashboard.url(f"/review/rev_none{path}"))
        page.complaints.clear()  # the browser notes the 404
        assert "no such review" in page.locator("main").inner_text()


def test_places_that_are_none_lead_to_the_next_open_pair(browser: Browser, dashboard: Dashboard):
    """Whatever stands in the address."""
    review = a_review(dashboard.store, 2)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        begin(page, "Ada")
        for query in ("place=0", "place=3", "place=-1", "place=²", "after=2", "place=9999999999"):
            page.goto(dashboard.url(f"/review/{review.id}/pair?{query}"))
            assert place(page).startswith("Pair 1 of 2")


FORGED = """
async ([path, words]) => {
  const token = document.querySelector('input[name=_xsrf]').value;
  const body = new URLSearchParams({_xsrf: token, ...words});
  const answer = await fetch(path, {method: 'POST', body, redirect: 'manual'});
  return answer.status;
}
"""


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"choice": "first"}, 400),
        ({"place": "3"}, 400),
        ({"place": "0"}, 400),
        ({"place": "x"}, 400),
        ({"reviewer": " "}, 400),
        ({"_xsrf": "guessed"}, 403),
    ],
)
def test_what_no_page_of_ours_sends_is_refused(
    browser: Browser, dashboard: Dashboard, changes: dict[str, str], status: int
):
    """In words, and nothing is noted."""
    review = a_review(dashboard.store, 2)
    words = {"choice": "left", "place": "1", "reviewer": "Ada", **changes}
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        path = f"/review/{review.id}/judge"
        assert page.evaluate(FORGED, [path, words]) == status
        page.complaints.clear()  # the browser notes the refusal
    assert said(dashboard, review) == []


def test_a_name_that_is_none_is_told(browser: Browser, dashboard: Dashboard):
    """Back where it is asked for."""
    review = a_review(dashboard.store, 2)
    with signed_in(browser, dashboard, f"/review/{review.id}") as page:
        page.locator("#reviewer").evaluate("e => { e.required = false; e.value = '  '; }")
        page.get_by_role("button", name="Begin").click()
        assert "a reviewer needs a name" in page.locator(".told").inner_text()


def test_the_list_is_of_all_or_of_one_job(browser: Browser, dashboard: Dashboard):
    """And says how to make the first."""
    assert "maestrale review make" in ask(dashboard.flower, "/reviews", OWNER)
    a_review(dashboard.store, 2, name="of one")
    a_review(dashboard.store, 2, id="rev_9", job_id="job_b", name="of another")
    with signed_in(browser, dashboard, "/reviews") as page:
        assert page.locator("tbody tr").count() == 2
        page.goto(dashboard.url("/reviews?job=job_b"))
        assert page.locator("tbody tr").count() == 1
        assert "of another" in page.locator("main").inner_text()


# -- how it looks ----------------------------------------------------------------------------------


def a_real_looking_review(dashboard: Dashboard) -> Review:
    """Long answers, one of them with an endless word."""
    text = "Die Verordnung gilt unmittelbar in jedem Mitgliedstaat. " * 12
    pairs = [
        ReviewPair(
            review_id="",
            no=no,
            row_id=f"r{no}",
            asked="Artikel 5\n\nDie Mitgliedstaaten treffen alle geeigneten Maßnahmen. " * 3,
            left=text + "\n\n" + "x" * 300,
            right="Kurz:\n  - erstens\n  - zweitens",
            left_is_first=no % 2 == 0,
        )
        for no in range(1, 51)
    ]
    return a_review(
        dashboard.store, pairs=pairs, name="eurlex", question="Which translation is better?"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_it_fits_its_window_and_can_be_read(
    browser: Browser, dashboard: Dashboard, viewport: Any, theme: str
):
    """Nothing is wider than the screen; buttons are in sight; words stand out from their ground."""
    review = a_real_looking_review(dashboard)
    name = f"{'phone' if viewport is PHONE else 'desk'}-{theme}"
    for no in range(1, 20):
        judged(dashboard.store, review, Said(no, "Ada", "left"))
    how = {"viewport": viewport, "color_scheme": theme}
    with signed_in(browser, dashboard, f"/review/{review.id}", **how) as page:
        assert overflow(page) == 0
        shoot(page, f"review-begin-{name}")
        begin(page, "Ada")
        assert overflow(page) == 0
        assert page.evaluate(
            "document.querySelector('.choices').getBoundingClientRect().bottom <= innerHeight"
        )
        for words in (".choice", ".answer .text", ".answer h2", ".how-far", ".page-eyebrow a"):
            assert page.evaluate(CONTRAST, words) >= 4.5, words
        if SHOTS:
            page.screenshot(path=str(Path(SHOTS) / f"review-pair-{name}.png"))
        page.goto(dashboard.url("/reviews"))
        assert overflow(page) == 0
        shoot(page, f"reviews-{name}")


CONTRAST = """
of => {
  const numbers = colour => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
  };
  const light = colour => {
    const [r, g, b] = numbers(colour).map(one => one / 255).map(
      one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.querySelector(of);
  let ground = element;
  while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') {
    ground = ground.parentElement;
  }
  const one = light(getComputedStyle(element).color);
  const other = light(getComputedStyle(ground || document.body).backgroundColor);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
"""
"""The contrast of a text with its ground, as WCAG 2 defines it."""
