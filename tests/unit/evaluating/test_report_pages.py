"""The report's page: it stands alone, says every figure with its interval, and runs nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from report_builders import BASE, LARGE, TUNED, a_report, a_share, charts, summary

from producers.evaluating.rendering import charts as drawing
from producers.evaluating.rendering import notes
from producers.evaluating.rendering.charts import draw, draw_all
from producers.evaluating.rendering.markdown import markdown
from producers.evaluating.rendering.page import html
from producers.evaluating.report import Chart, Example, Report, Section, Series, Table

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e{{7*7}}"
SEEN = r"<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202e{{7*7}}"


class Page(HTMLParser):
    """A page as a browser takes it: its elements, its attributes, its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._hidden += tag == "style"
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that is read, in one line."""
        return " ".join(" ".join(self.words).split())


def page_of(report: Report) -> Page:
    """The page with its charts."""
    return Page(html(report, draw_all(report), "2026-11-23 05:40"))


def a_hostile_report() -> Report:
    """Foreign text in every place that can hold some."""
    table = Table(
        HOSTILE,
        [HOSTILE, HOSTILE],
        [[HOSTILE, a_share(0.5, 0.4, 0.6)], [HOSTILE, HOSTILE]],
        HOSTILE,
    )
    chart = Chart(HOSTILE, "bars", [HOSTILE], [Series(HOSTILE, [1.0]), Series("_b", [2.0])])
    comparison = replace(a_report().comparisons[0], metric=HOSTILE, verdict=HOSTILE, test=HOSTILE)
    return a_report(
        title=HOSTILE,
        job_id=HOSTILE,
        summary=table,
        comparisons=[comparison],
        sections=[Section(HOSTILE, HOSTILE, [table], [chart])],
        examples=[Example(HOSTILE, HOSTILE, HOSTILE, [(HOSTILE, HOSTILE * 60, True)], HOSTILE)],
        warnings=[HOSTILE],
        facts=[(HOSTILE, HOSTILE)],
        repeat=HOSTILE,
    )


def test_every_figure_has_its_interval():
    """All tables, in the order in which they were found: value, interval, n."""
    report = a_report()
    source = html(report, draw_all(report))
    text = Page(re.sub("<sup>.</sup>", "", source)).text
    for table in notes.tables_of(report):
        for figure in notes.figures_of(table):
            assert str(notes.told(figure)) in text
    assert "87.0% [81.6, 91.0] n=200" in text
    assert "12.4 s [11.0, 14.2] n=200" in text


def test_what_is_missing_says_why():
    """A letter at the figure, the reason below the table, once."""
    text = page_of(a_report()).text
    assert text.count("no interval: all rows are alike") == 1
    assert "71.0% a n=200" in text
    assert "– b n=0" in text


def test_methods_are_said_once():
    """Each with what was measured by it."""
    told = dict(notes.methods(a_report()))
    assert told["Wilson"] == "Accuracy, Recall, Invalid, Precision"
    assert told["bootstrap over rows (BCa)"].endswith("difference in accuracy")


def test_what_is_told_from_chance_comes_first():
    """Verdicts in words, then the difference with its test, and how p was corrected."""
    text = page_of(a_report()).text
    assert text.index("is right more often") < text.index("cannot be told apart")
    assert "+9.0 pp [+4.5, +14.0] on 200 rows; McNemar's exact test, p=0.00042 (Holm" in text


def test_examples_say_what_is_right():
    """In words and not by colours alone; a long answer unfolds."""
    page = page_of(a_report())
    assert page.text.count("✓ right") == 2
    assert page.text.count("✗ wrong") == 1
    assert "all of it" in page.text
    assert "Oui : tout à fait" in page.text


def test_it_stands_alone():
    """No address to anywhere, no script, no style but its own sheet."""
    source = html(a_report(), draw_all(a_report()))
    page = Page(source)
    assert not re.search(r"(?:https?:)?//[a-z]", source)
    assert not {"script", "iframe", "object", "embed", "form", "base", "img"} & set(page.tags)
    names = {name for _tag, name, _value in page.attributes}
    assert not {name for name in names if name.startswith("on")} | ({"style", "src"} & names)
    links = {value for _tag, name, value in page.attributes if name.endswith("href")}
    assert all(link.startswith("#") or link == "data:," for link in links)
    ids = [value for _tag, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert all(link[1:] in ids for link in links if link.startswith("#"))


def test_its_policy_names_its_style_sheet():
    """By hash: another style sheet is refused as well as any script."""
    page = page_of(a_report())
    (policy,) = [v for tag, name, v in page.attributes if tag == "meta" and "default-src" in v]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_foreign_text_is_text():
    """Rows, answers, names of models, titles, facts: no markup, nothing unseen."""
    report = a_hostile_report()
    page = page_of(report)
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(SEEN) >= 15
    assert not {"\x1b", "\u202e"} & set("".join(page.words))
    assert "49" not in page.text.replace("{{7*7}}", "")


def test_markdown_says_the_same():
    """Tables with intervals, charts as files beside it, examples in blocks."""
    told = markdown(a_report(), draw_all(a_report()), "2026-11-23 05:40")
    assert f"| {TUNED} | 96.0% [92.3, 98.0] n=200 | 78.0% [69.0, 86.1] n=200 |" in told
    assert f"| {LARGE} | 94.5% [90.4, 96.9] n=200 | 71.0% n=200 (a) | – n=0 (b) |" in told
    assert "![Shares by model](charts/01-shares-by-model.png)" in told
    assert "> **Warning:** 3 of 203 rows failed" in told
    assert f"**{BASE}** (wrong)\n\n```text\nnot_news_related\n```" in told


def test_markdown_cannot_be_broken_out_of():
    """No cell ends a table, no answer ends its block, no markup is markup."""
    evil = "a|b\n```\n# title <b> [x](http://evil) `c`"
    report = a_report(
        summary=replace(summary(), rows=[[evil, a_share(0.5, 0.4, 0.6)]]),
        examples=[Example("r1", evil, "", [("m", evil, None)])],
    )
    told = markdown(report, draw_all(report))
    (line,) = [line for line in told.splitlines() if line.startswith("| a")]
    assert line.startswith(
        r"| a\|b\\n\`\`\`\\n# title &lt;b\> \[x\](http://evil) \`c\` | 50.0% [40.0"
    )
    assert told.count("````text\na|b\n```\n# title") == 2


def test_every_form_is_drawn():
    """As SVG whose colours are the page's, and as a picture file."""
    for number, chart in enumerate(charts(), 1):
        drawn = draw(chart, number)
        assert drawn.picture().startswith(b"\x89PNG")
        assert drawn.svg.startswith('<svg class="chart" viewBox="0 0 ')
        assert "style" not in drawn.svg
        assert f'id="c{number}-' in drawn.svg
        assert {"f-mute", "k-rule"} & set(re.findall(r"[fk]-\w+", drawn.svg))


@pytest.mark.parametrize("form", ["bars", "matrix", "lines", "histogram"])
def test_charts_bear_what_is_odd(form: Any):
    """Values that are not there, one alone, names that are formulas, other scripts."""
    values = [None, float("nan"), -2.0, 1e12]
    series = [Series("_$x^2$ 模型", values, [None, 1.0], [None]), Series("", [])]
    assert draw(Chart("$\\frac{", form, ["a", "b" * 300], series, "usd"), 1).picture()
    assert draw(Chart("one", form, ["a"], [Series("one", [3.0])]), 2).picture()


def test_a_chart_of_nothing_is_left_out():
    """An empty frame says nothing."""
    empty = Chart("nothing", "bars", ["a"], [Series("m", [None])])
    assert draw_all(a_report(sections=[Section("s", charts=[empty])])) == [[]]


def test_no_matplotlib_no_charts(monkeypatch: pytest.MonkeyPatch):
    """All else is there."""
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    page = page_of(a_report())
    assert "svg" not in page.tags
    assert "87.0% [81.6, 91.0] n=200" in page.text


def test_the_same_report_is_the_same_page():
    """To the last byte: nothing in it is by chance or by the clock."""
    pages = {html(a_report(), draw_all(a_report())) for _ in range(2)}
    assert len(pages) == 1
