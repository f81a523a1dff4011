"""Hostile templates and rows: nothing is reached, nothing grows, data stays data."""

import re
import time

import pytest
from jinja2 import TemplateSyntaxError
from recipe_builders import a_scope, a_step, compiled

from models.recipes import RowProblem, Scope
from models.recipes.templates import compile_text, compile_tree
from models.states import FailureCode

ROW = {
    "text": "a" * 1500,
    "number": 5,
    "list": [1, 2, 3],
    "object": {"key": "{{ 7*7 }}"},
    "nothing": None,
    "wide": "{:>1000000000}",
    "old": "%1000000000d",
}
DOUBLED = "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 30


def rendered(source: str) -> str:
    return compile_text(source, "prompt")({"row": ROW})


@pytest.mark.parametrize(
    "source",
    [
        "{{ 9 ** (9 ** 9) }}",
        "{{ range(10 ** 9) | length }}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ row.wide.format(1) }}",
        "{{ row['wide']['format'](1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ row.old % 1 }}",
        "{{ row.text.ljust(10 ** 9) }}",
        "{{ row.text.replace('a', 'b') }}",
        "{{ row.text | replace('a', row.text) | replace('a', row.text) }}",
        "{{ row.text | list | join(row.text * 6) }}",
        DOUBLED + "{{ a }}",
        DOUBLED + "{{ a | tojson }}",
        "{% set a = row.text %}" + "{% set a = a ~ a %}" * 30 + "{{ a | length }}",
        "{% set a = row.text %}" + "{% set a = a + a %}" * 30 + "{{ a | length }}",
        "{% set a = row.list %}" + "{% set a = a + a %}" * 30 + "{{ a | length }}",
        "{% set a = 2 ** 60 %}" + "{% set a = a * a %}" * 30 + "{{ a }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ row.text }}{% endfor %}",
    ],
)
def test_bombs(source: str) -> None:
    """What would fill memory or run for ever fails its row within a second of work."""
    began = time.process_time()
    with pytest.raises(RowProblem) as caught:
        rendered(source)
    assert caught.value.code is FailureCode.BAD_ROW
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "source",
    [
        "{{ row.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ row.text.__init__.__globals__ }}",
        "{{ range.__call__ }}",
        "{{ (row.list | map(attribute='__class__') | first) ~ '' }}",
        "{{ row.object.update({'a': 1}) }}",
        "{{ row.list.append(1) }}",
        "{{ row.object.pop('key') }}",
        "{{ row.text.encode() }}",
        "{{ row.number.bit_length() }}",
        "{{ row.items }}",
    ],
)
def test_escapes(source: str) -> None:
    """No attribute but keys and a few methods is reached, and nothing can be changed."""
    before = repr(ROW)
    with pytest.raises(RowProblem):
        rendered(source)
    assert repr(ROW) == before


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% macro a() %}{{ a() }}{% endmacro %}",
        "{% block a %}{% endblock %}",
        "{% set a %}{{ row.text }}{% endset %}",
        "{% filter upper %}a{% endfilter %}",
        "{% for a in row.list recursive %}{{ loop(row.list) }}{% endfor %}",
        "{{ row | attr('__class__') }}",
        "{{ row.list | batch(10 ** 9, 'x') }}",
        "{{ row.text | center(10 ** 9) }}",
        "{{ row.text | format(1) }}",
        "{{ row.text | _shown('a') }}",
        "{{ row.text | nonsense }}",
        "{% if row.text %}",
        "{{ row.text",
    ],
)
def test_refused_statements(source: str) -> None:
    """Statements and filters outside the small language do not compile."""
    with pytest.raises(TemplateSyntaxError):
        compile_text(source, "prompt")


@pytest.mark.parametrize(
    "data", ["{{ 7*7 }}", "{% for x in y %}", "{# #}", "{{ row.secret }}", "}}"]
)
def test_braces_in_data(data: str) -> None:
    """Braces in rows, answers and variables stay braces, in prompts and in records."""
    made = compiled(
        a_step(prompt="{{ row.text }}|{{ vars.v }}"),
        variables={"v": data},
        output={"record": {"whole": "{{ answer }}", "part": "<{{ answer }}>"}},
    )
    body = made.requests(made.recipe.steps[0], a_scope(data))[0]
    assert body["messages"] == [{"role": "user", "content": f"{data}|{data}"}]
    assert made.records(a_scope(data, answer=data)) == [{"whole": data, "part": f"<{data}>"}]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ row.missing }}", "no 'missing' here; there is: text, number"),
        ("{{ row['missing'] }}", "no 'missing' here"),
        ("{{ row.object.missing.deeper }}", "no 'missing' here; there is: key"),
        ("{{ row.missing | upper }}", "no 'missing' here"),
        ("{{ 'a' ~ row.missing }}", "no 'missing' here"),
        ("{{ row.missing + 1 }}", "no 'missing' here"),
        ("{% if row.missing %}{% endif %}", "no 'missing' here"),
        ("{% for x in row.missing %}{% endfor %}", "no 'missing' here"),
        ("{{ row.nothing }}", "row.nothing is null"),
        ("{{ row.list }}", "row.list is a list"),
        ("{{ row.object }}", "row.object is a dict"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ row.text + 1 }}", "concatenate"),
        ("{{ row.number.text }}", "has no attribute 'text'"),
    ],
)
def test_what_a_row_lacks_is_named(source: str, words: str) -> None:
    """A missing, null or unprintable value fails the row and names itself."""
    with pytest.raises(RowProblem) as caught:
        rendered(source)
    assert caught.value.code is FailureCode.BAD_ROW
    assert words in caught.value.detail
    assert caught.value.detail.startswith("prompt: ")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ row.missing | default('none') }}", "none"),
        ("{{ row.nothing | default('none', true) }}", "none"),
        ("{{ 'yes' if row.missing is defined else 'no' }}", "no"),
        ("{{ 'missing' in row }}", "False"),
        ("{{ row.list | join(', ') }}", "1, 2, 3"),
        ("{{ row.object | tojson }}", '{"key":"{{ 7*7 }}"}'),
        ("{{ ['é', '<'] | tojson }}", '["é","<"]'),
        (
            "{% for x in row.list %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}",
            "11,22,33",
        ),
        ("{% for key, value in row.object.items() %}{{ key }}{% endfor %}", "key"),
        ("{% set n = row.number * 2 %}{{ n ** 2 }}", "100"),
        ("{{ row.text[:3] | upper }}{{ row.text | truncate(4) }}", "AAAaaa…"),
        ("{{ row.list | map('string') | join }}", "123"),
        ("{{ row.list | sum }} {{ 2.345 | round(1) }}", "6 2.3"),
        ("{{ 'a\nb' | indent(2) }}|{{ ' x ' | trim }}|{{ 'a b' | wordcount }}", "a\n  b|x|2"),
        ("{{ row.text.startswith('a') }}{{ 7 % 4 }}{{ 'a' * 3 }}", "True3aaa"),
        ("no variables", "no variables"),
    ],
)
def test_what_templates_can_do(source: str, text: str) -> None:
    """The small language is enough for everyday prompts."""
    assert rendered(source) == text


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ row.list }}", [1, 2, 3]),
        ("{{ row.number }}", 5),
        ("{{ row.nothing }}", None),
        ("{{ row.object }}", {"key": "{{ 7*7 }}"}),
        ("{{ row.list | map('string') }}", ["1", "2", "3"]),
        ("n={{ row.number }}", "n=5"),
        ("plain", "plain"),
        (7, 7),
        ([True, {"a": "{{ row.number }}"}], [True, {"a": 5}]),
    ],
)
def test_records_keep_types(source: object, value: object) -> None:
    """A text that is one expression keeps the expression's type; every other becomes text."""
    assert compile_tree(source, "record")({"row": ROW}) == value


@pytest.mark.parametrize("source", ["{{ row.keys }}", "{{ row.missing }}", DOUBLED + "{{ a }}"])
def test_records_hold_json_only(source: str) -> None:
    """Methods, undefined values and exploding lists do not get into a record."""
    with pytest.raises(RowProblem):
        compile_tree(source, "record")({"row": ROW})


@pytest.mark.parametrize("text", ["", "  \n", "\ud800"])
def test_unusable_prompts(text: str) -> None:
    """An empty prompt, or one UTF-8 cannot hold, fails its row before anything is sent."""
    made = compiled(a_step(prompt="{{ row.text }}"))
    with pytest.raises(RowProblem) as caught:
        made.requests(made.recipe.steps[0], a_scope(text))
    assert "step answer, prompt" in caught.value.detail


def test_a_field_named_like_a_method() -> None:
    """A row's own `items`, `keys` or `values` wins over the method of that name."""
    made = compiled(a_step(prompt="{{ row.items }} {{ row.values | join }}"))
    body = made.requests(made.recipe.steps[0], Scope({"items": "mine", "values": [1]}))[0]
    assert body["messages"][0]["content"] == "mine 1"


LARGE = {
    "row": {"text": "b" * 4_100_000, "numbers": list(range(150_000))},
    "answers": [f"{n:04d}" * 1_200 for n in range(1_000)],
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ row.text }}", LARGE["row"]["text"]),
        ("{{ answers }}", LARGE["answers"]),
        ("{{ row.numbers }}", LARGE["row"]["numbers"]),
        ("Read: {{ row.text }}", f"Read: {LARGE['row']['text']}"),
        ("{% for a in answers %}{{ a }}{% endfor %}", "".join(LARGE["answers"])),
        ("{{ answers | join }}", "".join(LARGE["answers"])),
        ("{{ 'a' ~ row.text }}", f"a{LARGE['row']['text']}"),
        ("{{ [row.text] | tojson }}", f'["{LARGE["row"]["text"]}"]'),
        (
            "{% for n in row.numbers %}{{ 'x' if n % 50_000 == 0 }}{% endfor %}",
            "xxx",
        ),
        (
            "{% for t in range(13) %}{{ answers | map('lower') | join | length }};{% endfor %}",
            "4800000;" * 13,
        ),
        ("{{ row.text | replace('b', 'q') }}", LARGE["row"]["text"].replace("b", "q")),
        ("{{ row.text | indent }}", LARGE["row"]["text"]),
        ("{{ [row.text] | map('replace', 'b', 'q') | join | length }}", 4_100_000),
        ("{{ row.text + '.' }}", f"{LARGE['row']['text']}."),
        ("{{ (row.numbers + [1]) | length }}", 150_001),
        ("{{ answers | sort | join }}", "".join(LARGE["answers"])),
        ("{{ answers | unique | join }}", "".join(LARGE["answers"])),
        ("{{ answers | groupby(0) | length }}", 1),
        ("{{ {'a': row.text} | dictsort | length }}", 1),
    ],
)
def test_a_record_may_hold_what_its_row_and_answers_hold(source: str, value: object) -> None:
    """However much that is: its calls are paid for by then."""
    assert compile_tree(source, "record")(LARGE) == value


@pytest.mark.parametrize(
    "source",
    [
        "{{ [answers] * 3 }}",
        "{{ [row.numbers] * 3 }}",
        "{{ row.text }}{{ row.text }}{{ row.text }}{{ row.text }}",
        "{% for t in range(9999) %}{% for n in row.numbers %}{% endfor %}{% endfor %}",
        DOUBLED + "{{ a }}",
    ],
)
def test_a_record_that_holds_it_many_times_fails_its_row(source: str) -> None:
    """What templates make of it stays within bounds: about as much again."""
    with pytest.raises(RowProblem):
        compile_tree(source, "record")(LARGE)


@pytest.mark.parametrize(
    ("source", "usual", "wide"),
    [
        (
            "{% for t in range(9999) %}{% for n in row.some %}{% endfor %}{% endfor %}",
            "more than 100000 rounds",
            r"more than 251\d\d\d rounds",
        ),
        (
            "{% for t in range(9999) %}{% set x = row.most | upper %}{% endfor %}",
            "more than 100000000 bytes",
            r"more than 128\d{6} bytes",
        ),
        ("{{ row.most + row.most + row.most + row.most }}", "the cap is 4000000", "is 11100000"),
    ],
)
def test_the_cap_that_held_is_named(source: str, usual: str, wide: str) -> None:
    """In prompts, and in records of large rows."""
    few = {"most": "b" * 3_000_000, "some": list(range(1_000))}
    for make, known, said in ((compile_text, {}, usual), (compile_tree, LARGE["row"], wide)):
        with pytest.raises(RowProblem) as caught:
            make(source, "x")({"row": {**few, **known}})
        assert re.search(said, caught.value.detail), caught.value.detail


def test_a_long_chain_is_told_from_what_is_nested() -> None:
    """Operators in a row are nested for the parser alone, and people write them so."""
    with pytest.raises(TemplateSyntaxError, match="chain of more than 100 operators"):
        compile_text("{{ " + " + ".join(["row.number"] * 120) + " }}", "prompt")
