"""Whatever a template says, it is refused in words or makes a value within its bounds."""

import json
import re

import pytest
from confined import Limits, confined, out_of_memory
from drawn import some
from hostile_templates import BIG, DEEP, HALF, MEMORY, WALKS
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError

from models.recipes import RowProblem
from models.recipes.filters import MAX_TEXT, PUBLIC
from models.recipes.templates import compile_text, compile_tree

MARK = "{{ 7 * 191 }}{% set x = 1 %}{# no comment #}"
ROW = {"a": "text " * 40, "n": 5, "list": [3, 1, 2], "o": {"k": MARK}, "none": None, "mark": MARK}
KNOWN = {"row": ROW, "vars": {"v": MARK}}

NUMBERS = st.sampled_from(["0", "1", "-1", "2.5", "10 ** 9", "9999", "1e308", "true", "none"])
TEXTS = st.sampled_from(["''", "'a'", "' '", "'{:>999999999}'", "'%s'", "'__class__'", "'\\ud800'"])
NAMES = st.sampled_from(
    ["row", "row.a", "row.n", "row.list", "row.o", "row.mark", "vars.v", "x", "b"]
)
METHODS = st.sampled_from(["upper()", "split()", "count('a')", "items()", "get('k')", "format(1)"])
WORDS = st.sampled_from([*sorted(PUBLIC), "attr", "format", "center", "_shown", "xmlattr"])
ATTRIBUTES = st.sampled_from(["a", "k", "__class__", "__init__", "keys", "index", "previtem"])
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "**", "~", "and", "or", "in", "==", "<"]
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions of expressions."""
    pairs = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        st.tuples(inner, WORDS).map(lambda p: f"({p[0]} | {p[1]})"),
        st.tuples(inner, WORDS, inner).map(lambda p: f"({p[0]} | {p[1]}({p[2]}))"),
        st.tuples(inner, WORDS).map(lambda p: f"({p[0]} | map('{p[1]}') | list)"),
        st.tuples(inner, ATTRIBUTES).map(lambda p: f"{p[0]}.{p[1]}"),
        st.tuples(inner, METHODS).map(lambda p: f"{p[0]}.{p[1]}"),
        pairs.map(lambda p: f"{p[0]}[{p[1]}]"),
        pairs.map(lambda p: f"{p[0]}[{p[1]}:]"),
        pairs.map(lambda p: f"[{p[0]}, {p[1]}]"),
        pairs.map(lambda p: f"{{'k': {p[0]}, 'a': {p[1]}}}"),
        inner.map(lambda p: f"range({p})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
    )


EXPRESSIONS = st.recursive(NUMBERS | TEXTS | NAMES, _grown, max_leaves=8)
PIECES = st.one_of(
    EXPRESSIONS.map(lambda e: f"{{{{ {e} }}}}"),
    EXPRESSIONS.map(lambda e: f"{{% set x = {e} %}}"),
    EXPRESSIONS.map(lambda e: f"{{% for x in {e} %}}{{{{ x }}}}{{% endfor %}}"),
    EXPRESSIONS.map(lambda e: f"{{% if {e} %}}yes{{% endif %}}"),
    st.sampled_from([BIG, "{% endif %}", "{% else %}", "{% raw %}", "{#", "}}", "{%", "text\n"]),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
TEMPLATES = st.lists(PIECES, min_size=1, max_size=4).map("".join)


def outcome(source: str) -> str:
    """What a template comes to; an `AssertionError` if that is more than may be."""
    for compiled in (compile_text, compile_tree):
        try:
            value = compiled(source, "prompt")(KNOWN)
        except (TemplateSyntaxError, RowProblem) as error:
            assert not out_of_memory(error), f"the memory was full: {error}"
            assert "object at 0x" not in str(error)
            said = type(error).__name__
            continue
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        assert len(text.encode()) < 10 * MAX_TEXT
        assert not re.search(r"<(class|built-in|bound|function|generator)\b", text), text[:200]
        said = "value"
    return said


def test_no_template_falls_over_or_grows() -> None:
    """Within half a gigabyte and five seconds each, by the kernel's word."""

    def work(limits: Limits) -> int:
        counts = {"value": 0}

        @some(700)
        @given(TEMPLATES)
        def each(source: str) -> None:
            limits.begin(source)
            said = outcome(source)
            counts[said] = counts.get(said, 0) + 1

        each()
        return counts["value"]

    assert confined(work, memory_mb=512) > 50, "few templates meant anything"  # type: ignore[operator]


@pytest.mark.parametrize("source", [*MEMORY, *DEEP, *WALKS, *HALF], ids=lambda source: source[-40:])
def test_known_attacks_fail_in_words(source: str) -> None:
    """What was found by thinking or by drawing: refused when compiled, or when rendered."""

    def work(limits: Limits) -> str:
        limits.begin(source)
        return outcome(source)

    assert confined(work, memory_mb=512) != "value"


@some(200)
@given(
    st.text(st.characters(codec="utf-8"), max_size=40), st.sampled_from(["{{", "{%", "{#", "}}"])
)
@example("{{ row.secret }}", "{{")
@example("{% for a in range(10 ** 9) %}", "{%")
def test_data_is_never_a_template(text: str, sign: str) -> None:
    """Braces in rows, answers and variables come out as they went in, however often rendered."""
    data = f"{sign}{text}{sign}"
    known = {"row": {"text": data}, "vars": {"v": data}, "answer": [data]}
    source = "{{ row.text }}|{{ vars.v }}|{{ answer | join }}|{{ row.text | string }}"
    assert compile_text(source, "prompt")(known) == "|".join([data] * 4)
    tree = {"whole": "{{ row.text }}", "list": "{{ answer }}", "part": "<{{ vars.v }}>"}
    made = {"whole": data, "list": [data], "part": f"<{data}>"}
    assert compile_tree(tree, "record")(known) == made
