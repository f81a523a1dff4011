"""What a suite's types cannot say: its kind has its section, templates parse, labels are labels.

Each check yields `(key, complaint)` pairs; `loading` puts the file before the first and raises.
"""

from collections.abc import Iterator, Mapping

from models.recipes.checking import shape_complaints, template_complaints
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
MADE = {SuiteKind.JUDGES, SuiteKind.PERPLEXITY}
"""Kinds whose rows hold what is judged: no model is asked to answer."""


def complaints(suite: Suite) -> Complaints:
    """Everything wrong with a suite, as key and sentence."""
    yield from _sections(suite)
    yield from _prompts(suite)
    yield from _labels(suite)
    yield from _templates(suite)


def _sections(suite: Suite) -> Complaints:
    needed = SECTIONS.get(suite.kind)
    if needed and getattr(suite, needed) is None:
        yield needed, f"it is missing; a suite of kind {suite.kind} needs a section [{needed}]"
    for name in ("classification", "choice"):
        if getattr(suite, name) is not None and needed != name:
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
