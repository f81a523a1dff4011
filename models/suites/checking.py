"""What a suite's types cannot say: its kind has its section, templates parse, labels are labels.

Each check yields `(key, complaint)` pairs; `loading` puts the file before the first and raises.
"""

from collections.abc import Iterator, Mapping

from jinja2 import TemplateSyntaxError

from models.recipes.checking import shape_complaints, template_complaints
from models.recipes.fields import names_read
from models.recipes.schema import Asking
from models.suites.schema import Suite, SuiteKind

Complaints = Iterator[tuple[str, str]]
SECTIONS: Mapping[SuiteKind, str] = {
    SuiteKind.CLASSIFICATION: "classification",
    SuiteKind.CHOICE: "choice",
    SuiteKind.PAIRWISE: "judge",
    SuiteKind.JUDGES: "judge",
    SuiteKind.GROUNDED: "grounding",
}
"""The section that a kind cannot do without."""
BEFORE_A_JUDGE = frozenset({"first", "second"})
"""What a judge's prompt has to show."""
MADE = {SuiteKind.JUDGES, SuiteKind.PERPLEXITY}
"""Kinds whose rows hold what is judged: no model is asked to answer."""


def complaints(suite: Suite) -> Complaints:
    """Everything wrong with a suite, as key and sentence."""
    yield from _sections(suite)
    yield from _prompts(suite)
    yield from _labels(suite)
    yield from _judging(suite)
    yield from _templates(suite)
    yield from _lookups(suite)


def _sections(suite: Suite) -> Complaints:
    needed = SECTIONS.get(suite.kind)
    if needed and getattr(suite, needed) is None:
        yield needed, f"it is missing; a suite of kind {suite.kind} needs a section [{needed}]"
    own = {needed, suite.kind}  # `[perplexity]` may be left out
    for name in ("classification", "choice", "judge", "grounding", "perplexity"):
        if getattr(suite, name) is not None and name not in own:
            yield name, f"a suite of kind {suite.kind} has no use for it; take it out"
    if not suite.prompts and suite.kind not in MADE:
        yield "prompts", "there is none; add [prompts.default] with prompt or prompt_file"


def _prompts(suite: Suite) -> Complaints:
    known = {"row", "vars", "range"} | names_given(suite)
    for name, asking in suite.prompts.items():
        yield from _asking(suite, f"prompts.{name}", asking, known)
    if suite.judge is not None:
        known |= {"first", "second", "criteria"}
        ask = suite.judge.ask
        if ask.answer_definition:
            yield "judge.ask", "the verdict's form follows from the criteria; take the schema out"
        yield from _asking(suite, "judge.ask", ask, known)


def _asking(suite: Suite, where: str, asking: Asking, known: set[str]) -> Complaints:
    for key, complaint in shape_complaints(asking):
        yield f"{where}.{key}", complaint
    for key, _, source in asking.templates():
        yield from template_complaints(f"{where}.{key}", source, known, suite.variables)


def names_given(suite: Suite) -> set[str]:
    """What the prompts may read besides the row."""
    names = {"options"} if suite.choice else set()
    return names | ({"context"} if suite.retrieval else set())


def _labels(suite: Suite) -> Complaints:
    told = suite.classification
    if told is None:
        return
    if len(set(map(str.casefold, told.labels))) < len(told.labels):
        yield "classification.labels", "two of them are the same; each needs its own"
    if told.positive is not None and told.positive not in told.labels:
        yield "classification.positive", f"{told.positive!r} is none of the labels"
    for label in told.words.keys() - set(told.labels):
        yield "classification.words", f"{label!r} is none of the labels"


def _lookups(suite: Suite) -> Complaints:
    tool = suite.retrieval.tool if suite.retrieval else None
    if tool is None:
        return
    for name in set(tool.prompts) - suite.prompts.keys():
        yield "retrieval.tool.prompts", f"there is no prompt {name!r}"
    for name, asking in suite.prompts.items():
        if tool.prompts and name not in tool.prompts:
            continue
        if asking.answer_schema:  # the API takes functions or a JSON form, not both
            yield f"prompts.{name}.schema", "a prompt with [retrieval.tool] answers by a function"
        if asking.function and asking.function.name == tool.name:
            yield "retrieval.tool.name", f"the function of [prompts.{name}] has that name already"


def _judging(suite: Suite) -> Complaints:
    """What judges could not do without."""
    judge, told = suite.judge, suite.grounding
    if judge is not None:
        names = [criterion.name for criterion in judge.criteria]
        if len(set(names)) < len(names):
            yield "judge.criteria", "two of them have the same name; each needs its own"
        for name in BEFORE_A_JUDGE - _read_by(judge.ask):
            yield "judge.ask", f"its prompts do not show {{{{ {name} }}}}: show both answers"
    if told is not None and told.context is None and suite.retrieval is None:
        yield "grounding.context", "it is missing, and without [retrieval] nothing else is found"


def _read_by(asking: Asking) -> set[str]:
    try:
        return set[str]().union(*(names_read(source) for _, _, source in asking.templates()))
    except TemplateSyntaxError:  # complained of already
        return set(BEFORE_A_JUDGE)


def _templates(suite: Suite) -> Complaints:
    row, doc = {"row", "vars", "range"}, {"doc", "vars", "range"}
    told = [
        ("classification.user_text", suite.classification and suite.classification.user_text, row),
        ("retrieval.query", suite.retrieval and suite.retrieval.query, row),
        ("retrieval.document", suite.retrieval and suite.retrieval.document, doc),
        ("grounding.question", suite.grounding and suite.grounding.question, row),
        ("grounding.context", suite.grounding and suite.grounding.context, row),
    ]
    for key, source, known in told:
        if source:
            yield from template_complaints(key, source, known, suite.variables)
