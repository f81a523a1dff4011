"""docs/suites.md is true: a suite that loads, every kind, files that are there."""

import csv
import io
import re
from pathlib import Path

from models.suites import SuiteKind, load_suite
from producers.evaluating.evaluating import Wish, evaluation_of
from producers.evaluating.previewing import Previewer

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "suites.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def test_the_guide_names_every_kind() -> None:
    """Both tables of kinds are about all of them."""
    named = re.findall(r"^\| `(\w+)` \|", GUIDE.split("## Kinds", 1)[1], re.MULTILINE)
    assert set(named[: len(SuiteKind)]) == set(named) == set(SuiteKind)


def test_the_guides_suite_loads_and_asks_its_own_rows(tmp_path: Path) -> None:
    """The example is whole: both prompts ask about every row of its CSV."""
    (tmp_path / "suite.toml").write_text(block("toml"), "utf-8")
    (tmp_path / "rows.csv").write_text(block("csv"), "utf-8")
    suite, data = load_suite(str(tmp_path))
    assert data is not None
    models = re.search(r"--models (\S+)", block("sh"))
    assert models
    asking = Previewer(evaluation_of(suite, Wish(suite, tuple(models[1].split(",")))))
    rows = list(csv.DictReader(io.StringIO(data.read_text("utf-8"))))
    assert {row["label"] for row in rows} == set(suite.classification.labels)
    for row in rows:
        plain, forced = asking.requests(row)
        assert "response_format" not in plain.body
        assert forced.body["response_format"]["type"] == "json_schema"


def test_every_file_linked_is_there() -> None:
    """Relative links lead somewhere."""
    for target in re.findall(r"\]\(([^)#:]+)[)#]", GUIDE):
        assert (DOCS / target).exists(), target
