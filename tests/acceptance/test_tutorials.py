"""The tutorials, done block by block as their readers would: every answer is the page's."""

from pathlib import Path

import pytest
import shells

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(FOLDER.glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_reader_of_the_tutorial_sees_what_it_says(page: Path, tmp_path: Path) -> None:
    """Commands typed in one shell, files saved, lines of Python run; nothing is left running."""
    with shells.a_session(tmp_path) as session:
        for step in shells.steps(page.read_text("utf-8")):
            session.do(step)
    assert not (tmp_path / "tutorial").exists(), "the tutorial clears up after itself"
