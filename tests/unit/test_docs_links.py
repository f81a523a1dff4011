"""The pages hang together: every link leads somewhere, and what is drawn is the code's."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from models.states import ROW_TRANSITIONS, SHARD_TRANSITIONS, lifecycle_diagram
from producers.cli.rendering.showing import _BEFORE_RESUMING
from worker.retrying import PauseReason
from worker.shards import UNREADABLE

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "recipes").glob("*/README.md"))
HOW_IT_WORKS = (ROOT / "docs/how-it-works.md").read_text("utf-8")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_FOREIGN = re.compile(r"[a-z]+:")
MOST_LINES = 240
"""Of a tutorial, with all its answers."""


def prose(page: Path) -> str:
    """A page without its blocks and its code."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text("utf-8")))


def links(page: Path) -> list[str]:
    """Where a page leads to within this project."""
    return [to for to in _LINK.findall(prose(page)) if not _FOREIGN.match(to)]


def anchors(page: Path) -> set[str]:
    """What can stand behind the `#`, as GitHub makes it of headings."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", _FENCE.sub("", page.read_text("utf-8")), re.M):
        words = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = found.count(anchor)
        found.append(anchor)
        if again:
            found.append(f"{anchor}-{again}")
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    """Relative ones; what lies elsewhere is not asked."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: there is no such file"
        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


def test_every_page_is_found_from_the_index() -> None:
    """Whoever begins at docs/README.md comes to every page below docs."""
    reached, open_ones = set(), [ROOT / "docs/README.md"]
    while open_ones:
        page = open_ones.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
        open_ones += [target for target in targets if target.suffix == ".md"]
        open_ones += [one for target in targets if target.is_dir() for one in target.glob("*.md")]
    assert set((ROOT / "docs").rglob("*.md")) <= reached


@pytest.mark.parametrize(
    "drawn",
    [lifecycle_diagram(ROW_TRANSITIONS), lifecycle_diagram(SHARD_TRANSITIONS)],
    ids=["a row", "a shard"],
)
def test_the_states_drawn_in_how_it_works_are_those_of_the_code(drawn: str) -> None:
    """The Mermaid blocks are what `models.states` draws."""
    assert f"```mermaid\n{drawn}\n```" in HOW_IT_WORKS


def test_every_process_that_up_may_start_is_in_the_table_of_how_it_works() -> None:
    """And those that compose starts to stay."""
    table = HOW_IT_WORKS.split("## The processes", 1)[1].split("\n## ", 1)[0].lower()
    services = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])
    passing = {"migrate", "prometheus", "grafana"}
    for name in services - passing:
        assert name.removesuffix("ql") in table, name


def test_every_reason_of_a_pause_is_in_operations_with_what_to_do() -> None:
    """Those that `maestrale show` knows a remedy for, too."""
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    table = page.split("### A job is paused", 1)[1].split("\n### ", 1)[0]
    reasons = {*get_args(PauseReason), *_BEFORE_RESUMING, UNREADABLE.partition(":")[0]}
    assert {reason for reason in reasons if f"| `{reason}:` |" not in table} == set()


def test_there_is_a_tutorial_for_each_user_and_the_readme_knows_them() -> None:
    """Three, each short enough to be done, each linked from both indices."""
    pages = sorted((ROOT / "docs/tutorials").glob("*.md"))
    assert len(pages) == 3
    for page in pages:
        assert len(page.read_text("utf-8").splitlines()) <= MOST_LINES
        for index in (ROOT / "README.md", ROOT / "docs/README.md"):
            assert page.name in index.read_text("utf-8"), f"{index.name} does not name {page.name}"
