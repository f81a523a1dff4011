"""`suites.md`: every key of a suite."""

from models.recipes.schema import Asking, Input
from models.suites.checking import SECTIONS as NEEDED_BY
from models.suites.loading import SHAPE
from models.suites.schema import (
    Choice,
    Classification,
    Criterion,
    Grounding,
    Judge,
    Lookup,
    Perplexity,
    Retrieval,
    Suite,
    SuiteKind,
)
from reference.fields import docstrings
from reference.markdown import anchor, code, table
from reference.parts import Section, sections
from reference.recipes import ASKING

_INTRODUCTION = """\
# Keys of a suite

Made from `models/suites` by `make reference`: change it there. The guide, with a whole suite, what
prompts can read and how answers are read: [Suites of evaluations](../suites.md).

A suite is a `suite.toml`, or any `.toml` file. What is **needed** has no default; an empty default
means that there is none. A key that is not here is refused, by name. Where it says so, a key may
stand in a file of its own, below the suite's folder: `prompt_file = "prompt.j2"` in place of
`prompt`; a `.json` file is read as JSON.

"""
SECTIONS = [
    Section("Top level", Suite),
    Section("`[input]`", Input),
    Section("`[prompts.NAME]`", Asking),
    Section("`[classification]`", Classification),
    Section("`[choice]`", Choice),
    Section("`[retrieval]`", Retrieval),
    Section("`[retrieval.tool]`", Lookup),
    Section("`[judge]`", Judge),
    Section("`[[judge.criteria]]`", Criterion),
    Section("`[grounding]`", Grounding),
    Section("`[perplexity]`", Perplexity),
]
_ELSEWHERE = {one.part: f"recipes.md#{anchor(one.title)}" for one in ASKING}


def page() -> str:
    """The whole page."""
    meanings = docstrings(SuiteKind)
    rows = [[code(kind.value), meanings[kind.name], _needed(kind)] for kind in SuiteKind]
    kinds = table(("kind", "what it finds out", "section it needs"), rows)
    return f"{_INTRODUCTION}{sections(SECTIONS, SHAPE, _ELSEWHERE)}\n## Kinds\n\n{kinds}"


def _needed(kind: SuiteKind) -> str:
    return code(f"[{NEEDED_BY[kind]}]") if kind in NEEDED_BY else ""
