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
        ("{% if row.a == 'x' %}!{% endif %}{{ row.a }}", {"a"}),
        ("{% for x in row.a %}{{ x }}{{ row.b }}{% endfor %}", set()),
        ("{{ row.a | default('-') }}{{ row.b if row.b is defined }}", set()),
        ("{% with x = 1 %}{{ row.a }}{% endwith %}", {"a"}),
        ("{{ row.a.strip().upper() }}{{ (row.b | trim).upper() }}", {"a", "b"}),
        ("{{ row.a.split()[0] }}{{ row.b[0] }}", {"a", "b"}),
        ("{{ 'Q: ' + row.a + row.b }}", {"a", "b"}),
        ("{{ [row.a, row.b] | join('; ') | trim }}", {"a", "b"}),
        ("{{ row.a.get('x', '-') }}{{ row.get('b', '-') }}", {"a"}),
    ],
)
def test_what_is_printed_is_seen_in_the_template(template: str, printed: set[str]) -> None:
    """As it is, or through filters, methods, operators and slices; not what a test decides."""
    assert fields_printed(template, "row") == printed


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{% set q = row.a %}Q: {{ q }}", {"a"}),
        ("{% set q = row.a %}{% set q = q ~ row.b %}{{ q | trim }}", {"a", "b"}),
        ("{% set q = row.a %}{% set q = 1 %}{{ q }}", set()),
        ("{% set x, y = row.a.split(':') %}{{ y }}", {"a"}),
        ("{% set q = row.a %}{% if q %}Q: {% endif %}{{ q }}", set()),
        ("{% set q = row.a or '-' %}{{ q }}", set()),
        ("{% set q = row.a %}", set()),
        ("{% with q = row.a %}{{ q }}{% endwith %}", {"a"}),
        ("{% set q = row.a %}{% with q = row.b, r = q %}{{ r }}{% endwith %}", {"a"}),
        ("{% set q = row.a %}{% with q = row.b %}{% endwith %}{{ q }}", {"a"}),
        (
            "{% if vars.x %}{% set q = row.a %}{% else %}{% set q = row.a %}{% endif %}{{ q }}",
            {"a"},
        ),
        ("{% set q = row.a %}{% if vars.x %}{% set q = '-' %}{% endif %}{{ q }}", set()),
    ],
)
def test_what_is_printed_is_seen_through_names(template: str, printed: set[str]) -> None:
    """Those that the template sets, with the value they have where they are printed."""
    assert fields_printed(template, "row") == printed


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{% if vars.x %}{{ row.a }}{% else %}Q {{ row.a }}{{ row.b }}{% endif %}", {"a"}),
        ("{% if vars.x %}{{ row.a }}{% elif vars.y %}-{% else %}{{ row.a }}{% endif %}", set()),
        ("{% if vars.x %}{{ row.a }}{% endif %}", set()),
        ("{% if row.a | length > 2000 %}long {% endif %}{{ row.a }}", {"a"}),
        ("{{ row.a[:4000] if row.a | length > 4000 else row.a }}", {"a"}),
        ("{% if row.a.startswith('x') and vars.x %}!{% endif %}{{ row.a }}", {"a"}),
        ("{% if vars.x or row.a %}!{% endif %}{{ row.a }}", set()),
        ("{% if not row.a.strip() %}!{% endif %}{{ row.a }}", set()),
        ("{% if row.a | trim == '' %}!{% endif %}{{ row.a }}", set()),
        ("{% if row.a | length > 0 %}!{% endif %}{{ row.a }}", set()),
        ("{{ '!' if row.a is not none }}{{ row.a }}", set()),
        ("{{ row.a }} {{ row.a or '-' }} {{ vars.x or row.b }}{{ row.b }}", {"b"}),
        ("{{ [row.a, row.b] | select | join('; ') }}", set()),
        ("{{ row.a | trim | default('-', true) }}", set()),
    ],
)
def test_only_who_asks_if_it_is_empty_lets_it_be(template: str, printed: set[str]) -> None:
    """What all ways print is printed, and a test of anything else excuses nothing."""
    assert fields_printed(template, "row") == printed


MESSAGES = """
[output.record]
doi = "{{ row.doi }}"
messages = [
    { role = "user", content = "{{ row.text }}" },
    { role = "assistant", content = "{{ row.source }}" },
]
"""


def test_what_a_message_of_a_record_prints_is_needed(run: Run) -> None:
    """An empty one could not be exported as a conversation, after all is paid; what else is
    carried may be empty."""
    steps, _, _ = RECIPE.partition("[output.record]")
    Path("r.toml").write_text(steps + MESSAGES)
    rows = "".join(f"r{n},text {n},happy,,s,\n" for n in range(30))
    Path("rows.csv").write_text(HEADER + rows + "r99,text,happy,,,\n")
    told = run(*COMMANDS["generate"])
    assert told.facts["input"]["rejected_by_code"] == {"missing_field": 1}, told.err


def test_a_message_that_calls_needs_no_text(run: Run) -> None:
    """Of its calls, the export says that they are enough."""
    steps, _, _ = RECIPE.partition("[output.record]")
    calls = """tool_calls = [{ id = "a" }]"""
    Path("r.toml").write_text(steps + MESSAGES.replace('source }}"', f'source }}}}", {calls}'))
    Path("rows.csv").write_text(HEADER + "r1,text,happy,,,\n")
    assert run(*COMMANDS["generate"]).facts["input"]["accepted"] == 1
