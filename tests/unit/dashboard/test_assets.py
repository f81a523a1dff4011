"""Templates of ours and Flower's, and what happens when Flower's change."""

import logging
import re
import tomllib
from pathlib import Path

import pytest

from dashboard import assets
from dashboard.assets import STATIC, TEMPLATES, Templates

NOT_ESCAPED = {"chart.svg", "xsrf_form_html()", 'Template("navbar.html", active_tab=active_tab)'}
ROOT = Path(__file__).parents[3]


def flowers(folder: Path, navigation: str) -> str:
    """A Flower's templates, as far as they matter here."""
    (folder / assets.NAVIGATION).write_text(navigation)
    (folder / "base.html").write_text("theirs {% block page %}{% end %}")
    return str(folder)


def test_ours_are_found_by_their_prefix_and_theirs_as_ever(tmp_path: Path):
    """Whatever Flower adds later cannot be covered by a file of ours, nor the other way round."""
    found = Templates(flowers(tmp_path, assets.PLACE))
    assert found.load("base.html").generate() == b"theirs "
    locked = found.load("maestrale/locked.html").generate(doing="replay")
    assert locked.startswith(b'<p class="locked">To replay')
    with pytest.raises(FileNotFoundError):
        found.load("locked.html")


def test_this_flower_has_a_place_for_our_tabs():
    """The installed one; a new release may move it, and this says so."""
    from flower.urls import settings  # noqa: PLC0415 # seconds

    assert Templates(settings["template_path"]).has_place


def test_a_flower_without_the_place_is_told_of_and_left_as_it_is(tmp_path: Path, caplog):
    """Our pages then show the tabs themselves."""
    with caplog.at_level(logging.WARNING):
        found = Templates(flowers(tmp_path, "<nav>changed</nav>"))
    assert not found.has_place
    assert "/jobs" in caplog.text
    assert found.load(assets.NAVIGATION).generate() == b"<nav>changed</nav>"


def test_no_template_lets_data_through_unescaped_or_breaks_the_policy():
    """Inline scripts, styles and handlers: none, in any template; `raw`: our own drawings only."""
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text("utf-8")
        for forbidden in ("autoescape", " style=", "<style", " onclick=", "javascript:"):
            assert forbidden not in text, path.name
        assert set(re.findall(r"{% (?:raw|module) (.*?) %}", text)) <= NOT_ESCAPED, path.name
        assert text.count("<script") == text.count("<script src="), path.name


def test_templates_and_static_files_travel_in_the_wheel():
    """They lie inside a package, of which the wheel takes every file."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert "dashboard" in wheel["targets"]["wheel"]["packages"]
    assert {folder.parent.name for folder in (STATIC, TEMPLATES)} == {"dashboard"}
    assert (STATIC / "live.js").exists()
