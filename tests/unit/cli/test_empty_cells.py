"""Empty cells of CSV: what a prompt prints is needed, what is carried or asked about is not."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cli_builders import Ended

from models.recipes.fields import fields_printed
from models.store.engine import Store

Run = Callable[..., Ended]
RECIPE = """
name = "test"
model = "mistral-small-latest"
[[steps]]
name = "answer"
system = "{% if row.context %}Keep to: {{ row.context }}{% endif %}"
prompt = "Read: {{ row.text }} ({{ row.source or 'unknown' }})"
[output.record]
answer = "{{ answer }}"
doi = "{{ row.doi }}"
"""
SUITE = """
name = "moods"
kind = "classification"
[classification]
labels = ["happy", "sad"]
gold = "label"
[prompts.default]
system = "{% if row.context %}Keep to: {{ row.context }}{% endif %}{{ row.source or '-' }}"
prompt = "{{ row.text }}"
"""
TEXT = "{{ row.text }}{% if row.context %} {{ row.context }}{% endif %}{{ row.source or '' }}"
HOW = ("--dry-run", "--json")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "generate": ("generate", "rows.csv", "-r", "r.toml", *HOW),
    "embed": ("embed", "rows.csv", "--text", TEXT, *HOW),
    "evaluate": ("evaluate", "s.toml", "-m", "m", "--data", "rows.csv", *HOW),
}
HEADER = "id,text,label,context,source,doi\n"


@pytest.fixture(autouse=True)
def files(home: Path, user_store: Store) -> None:
    """A recipe and a suite that read all the fields."""
    Path("r.toml").write_text(RECIPE)
    Path("s.toml").write_text(SUITE)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_may_be_empty_refuses_no_row(run: Run, name: str) -> None:
    """A third of the rows lacks what is copied, tested by `if`, or has a stand-in by `or`."""
    rows = "".join(f"r{n},text {n},happy,{'' if n % 3 else 'c'},,\n" for n in range(30))
    Path("rows.csv").write_text(HEADER + rows)
    told = run(*COMMANDS[name])
    assert told.code == 0, told.err
    assert told.facts["input"]["accepted"] == 30


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("cell", ["", "  "])
def test_what_a_prompt_prints_is_needed(run: Run, name: str, cell: str) -> None:
    """It is said before anything is paid."""
    rows = "".join(f"r{n},text {n},happy,c,s,d\n" for n in range(30))
    Path("rows.csv").write_text(HEADER + rows + f"r99,{cell},happy,c,s,d\n")
    told = run(*COMMANDS[name])
    assert told.facts["input"]["rejected_by_code"] == {"missing_field": 1}, told.err


def test_what_the_recipe_or_the_suite_requires_is_needed(run: Run) -> None:
    """Whatever templates do with it; and a gold label, which is in no prompt."""
    needed = '[input]\nrequired = ["source"]\n'
    Path("r.toml").write_text(RECIPE.replace("[[steps]]", f"{needed}[[steps]]", 1))
    Path("s.toml").write_text(SUITE + needed)
    rows = "".join(f"r{n},text {n},happy,,s,\n" for n in range(30))
    Path("rows.csv").write_text(HEADER + rows + "r99,text,happy,,,\n")
    for name in ("generate", "evaluate"):
        told = run(*COMMANDS[name])
        assert told.facts["input"]["rejected_by_code"] == {"missing_field": 1}, told.err
    Path("rows.csv").write_text(HEADER + rows + "r99,text,,,s,\n")
    told = run(*COMMANDS["evaluate"])
    assert told.facts["input"]["rejected_by_code"] == {"missing_field": 1}, told.err


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{{ row.a }} {{ row['b'].c }}", {"a", "b"}),
        ("{{ row.a | trim }}{{ row.b.strip() }}{{ row.c[:9] }}", {"a", "b", "c"}),
        ("{{ 'A: ' ~ row.a }}{% set x = 1 %}", {"a"}),
        ("{{ row.a or row.b }}{{ row.c if row.d else '' }}{{ vars.e }}", set()),
        ("{% if row.a %}{{ row.a }}{{ row.b }}{% else %}{{ row.c }}{% endif %}", set()),
        ("{% if row.a == 'x' %}!{% endif %}{{ row.a }}", set()),
        ("{% for x in row.a %}{{ x }}{{ row.b }}{% endfor %}", set()),
        ("{{ row.a | default('-') }}{{ row.b if row.b is defined }}", set()),
        ("{% with x = 1 %}{{ row.a }}{% endwith %}", {"a"}),
    ],
)
def test_what_is_printed_is_seen_in_the_template(template: str, printed: set[str]) -> None:
    """As it is, or through filters, methods and slices; not what a test decides about."""
    assert fields_printed(template, "row") == printed
