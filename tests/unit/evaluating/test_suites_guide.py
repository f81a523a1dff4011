"""docs/suites.md is true: every key with its default, a suite that loads, files that are there."""

import csv
import io
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from models.recipes.schema import Asking, Input
from models.suites import Suite, SuiteKind, load_suite
from models.suites.schema import (
    Choice,
    Classification,
    Criterion,
    Grounding,
    Judge,
    Lookup,
    Perplexity,
    Retrieval,
)
from producers.evaluating.evaluating import Wish, evaluation_of
from producers.evaluating.previewing import Previewer

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "suites.md").read_text("utf-8")
NEEDED = "**needed**"
PARTS: Mapping[str, type[BaseModel]] = {
    "Top level": Suite,
    "`[input]`": Input,
    "`[prompts.NAME]`": Asking,
    "`[classification]`": Classification,
    "`[choice]`": Choice,
    "`[retrieval]`": Retrieval,
    "`[retrieval.tool]`": Lookup,
    "`[judge]`": Judge,
    "`[[judge.criteria]]`": Criterion,
    "`[grounding]`": Grounding,
    "`[perplexity]`": Perplexity,
}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def told(title: str) -> dict[str, Any]:
    """Key and default of a section's table: `NEEDED`, a TOML value, or None."""
    section = GUIDE.split(f"### {title}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\|", section, re.MULTILINE)
    return {key: read(default.strip()) for key, default in rows}


def read(default: str) -> Any:
    if default in ("", NEEDED):
        return default or None
    return tomllib.loads(f"it = {default.strip('`')}")["it"]


def default_of(part: type[BaseModel], name: str) -> Any:
    field = part.model_fields[name]
    if field.is_required():
        return NEEDED
    default = field.get_default(call_default_factory=True)
    return None if isinstance(default, BaseModel) or default in ("", [], {}) else default


def parts_below(part: type[BaseModel]) -> set[type[BaseModel]]:
    """The parts of a suite; what a prompt is made of is told in docs/recipes.md."""
    found = {part}
    for field in part.model_fields.values() if part is not Asking else ():
        for kind in (field.annotation, *_inner(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= parts_below(kind)
    return found


def _inner(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [*inner, *(below for one in inner for below in _inner(one))]


def test_the_guide_has_a_table_for_every_part() -> None:
    """A section that the schema has, and the guide has not, fails here."""
    assert parts_below(Suite) == set(PARTS.values())


@pytest.mark.parametrize("title", PARTS)
def test_the_guide_names_every_key_with_its_default(title: str) -> None:
    """No key is missing, none is made up, and no default is another."""
    part = PARTS[title]
    keys = {field.alias or name: name for name, field in part.model_fields.items()}
    assert told(title) == {key: default_of(part, name) for key, name in keys.items()}


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
