"""A suite as data: what its TOML may say.

A `Suite` is a snapshot with its files inlined; an `Evaluation` is a suite with the models it is
put to, which is all that a worker needs to know of a job of kind `evaluate`.
"""

import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from models.bounds import MOST_SEQ_LEN
from models.recipes.schema import Asking, Input, Name, Part, Text
from models.recipes.variables import Variable

SuiteName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
MOST_ATTEMPTS = 100


class SuiteKind(StrEnum):
    """What a suite finds out, and so which section it needs."""

    CLASSIFICATION = "classification"
    """One label per row, against the row's own: accuracy, precision, recall, F1."""
    CHOICE = "choice"
    """One letter per row, options shuffled: accuracy per attempt, latency."""
    SAMPLES = "samples"
    """Answers side by side; people judge them (`maestrale review`)."""
    PAIRWISE = "pairwise"
    """Answers in pairs before a judge, in both orders: points, won, tied, lost."""
    JUDGES = "judges"
    """Judges against a file of expert preferences: which one to trust."""
    GROUNDED = "grounded"
    """Faithfulness to a context, and relevancy to the question, as RAGAS defines them."""
    PERPLEXITY = "perplexity"
    """Loss and perplexity of local models on held-out conversations."""


class Classification(Part):
    """One label per row, against the row's own."""

    gold: Text = "label"
    """The row's field that holds the right label."""
    labels: list[Text] = Field(min_length=2)
    """All of them, different in more than case."""
    positive: Text | None = None
    """The label that precision, recall and F1 are about. Without it: of two labels the first, of
    more the mean F1 over all."""
    words: dict[Text, list[Text]] = Field(default_factory=dict)
    """Table of lists: what else an answer (or a row) may say for a label; case and punctuation
    never count."""
    user_text: Text | None = None
    """A template over `row`: the text that any model has to read; tokens are told with and without
    it."""


class Choice(Part):
    """One letter per row. Prompts read `options`, a list of `letter` and `text` in the order of
    the attempt."""

    options: Text = "options"
    """The row's field: a list of 2 to 26 texts, or texts by letter."""
    gold: Text = "answer"
    """The row's field: the right option's letter, or its text."""
    shuffle: bool = True
    """Whether options stand in another order at each attempt, the same for all models."""


class Lookup(Part):
    """The model itself may look documents up, by a function call; its prompt then has no `schema`.
    At most four look-ups are carried out of one answer, a query has at most 2,000 characters, and
    all documents of one answer share `context_tokens`."""

    name: Text = "look_up"
    """Of the function."""
    description: Text = "Finds documents about an entity or a topic."
    """What the model is told of it."""
    max_turns: int = Field(4, ge=1, le=20)
    """Answers that may look something up; the one after them has to do without."""
    prompts: list[Name] = Field(default_factory=list)
    """Names of prompts whose models are offered it; none: all."""


class Retrieval(Part):
    """Documents of a store that `maestrale embed` made; prompts read `context`, a list of them.
    Documents are shown whole or not at all."""

    store: Text | None = None
    """The store's name or file; `--store` overrides it."""
    model: Text | None = None
    """Who has to have embedded it; without it, whoever did."""
    query: Text
    """A template over `row`: what is searched for."""
    document: Text
    """A template over `doc`: what is shown of a document."""
    entity: Literal["microrna"] | None = None
    """How names in the query are recognised: documents that name the same molecule come first,
    whatever its spelling."""
    entities: Text = "molecules"
    """The document's field that lists its names; its texts are read for names as well."""
    top_k: int = Field(12, ge=1, le=100)
    """Documents at most."""
    context_tokens: int = Field(16_000, ge=100)
    """What the documents may take together (counted cautiously); the rest is left out, and said in
    the answer's record."""
    tool: Lookup | None = None
    """Lets the model itself look documents up."""


class Criterion(Part):
    """What gives points."""

    name: Name
    """An identifier, in the verdict and in the report."""
    description: Text
    """What the judge is told gives the points."""
    points: int = Field(1, ge=1, le=100)
    """At most; at least always 0."""


class Judge(Part):
    """Who compares two answers. Its prompts read `row`, `vars`, `first`, `second` and `criteria`;
    the verdict is JSON, whose form follows from the criteria."""

    model: Text | None = None
    """Who judges unless `--judge` says otherwise."""
    ask: Asking
    """`[judge.ask]`: how the judge is asked, without a `function` or `schema`. It has to show
    `{{ first }}` and `{{ second }}`."""
    criteria: list[Criterion] = Field(min_length=1)
    """What gives points."""
    first: Text = "first"
    """Kind `judges`: the row's field with one answer."""
    second: Text = "second"
    """Kind `judges`: the row's field with the other."""
    preference: Text = "preference"
    """Kind `judges`: the row's field with the expert's word: `first`, `second` or `tie`, or a
    number above 0 for the first and below for the second."""


class Grounding(Part):
    """Faithfulness to a context and relevancy to a question, as RAGAS defines them."""

    model: Text | None = None
    """Who extracts claims and checks them unless `--judge` says otherwise."""
    embed_model: Text = "mistral-embed"
    """Who embeds questions."""
    question: Text
    """A template over `row`: what was asked."""
    context: Text | None = None
    """A template over `row`: what the answer has to be faithful to. Without it: the documents that
    the answer was given, so `[retrieval]` is needed."""
    questions: int = Field(3, ge=1, le=10)
    """Questions generated back from an answer."""


class Perplexity(Part):
    """How rows are read to local models; the section may be left out."""

    seq_len: int = Field(1024, ge=16, le=MOST_SEQ_LEN)
    """Tokens of a row that count, as in training; longer rows are cut."""


class Suite(Part):
    """What is asked, in which words, and how it is judged. A section that the suite's kind does not
    use is refused."""

    name: SuiteName
    """Small letters, digits, `-`, `_`; at most 64."""
    kind: Annotated[SuiteKind, Field(strict=False)]
    """What it finds out."""
    description: str = ""
    """One line."""
    input: Input = Input()
    """What a row must have, besides what the suite reads."""
    data: Text | None = None
    """Rows to run on unless `--data` names others: a file beside the suite's."""
    attempts: int = Field(1, ge=1, le=MOST_ATTEMPTS)
    """How often each model is asked each row; `--attempts` overrides it."""
    seed: int = Field(0, ge=0)
    """Of everything that is shuffled or drawn, the draws of the intervals as well."""
    variables: dict[Name, Variable] = Field(default_factory=dict)
    """Texts, numbers, true or false that templates read as `vars.x`."""
    prompts: dict[Name, Asking] = Field(default_factory=dict)
    """How models are asked: the first, unless `MODEL@NAME` asks for another. Every kind needs one
    but `judges` and `perplexity`."""
    classification: Classification | None = None
    """For the kind of that name."""
    choice: Choice | None = None
    """For the kind of that name."""
    retrieval: Retrieval | None = None
    """Documents that prompts show."""
    judge: Judge | None = None
    """For the kinds `pairwise` and `judges`."""
    grounding: Grounding | None = None
    """For the kind `grounded`."""
    perplexity: Perplexity | None = None
    """For the kind of that name, which does without it as well."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the suite's canonical JSON and the order of its prompts, in hex."""
        data = self.model_dump(mode="json", exclude={"data", "description"})
        told = [data, list(self.prompts)]  # the first is the default
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def default_prompt(self) -> str:
        """The prompt of contestants that name none; empty where nothing is asked of them."""
        return next(iter(self.prompts), "")


class Contestant(Part):
    """A model under test, and in which words it is asked."""

    model: Text
    prompt: str = ""

    @property
    def label(self) -> str:
        """What reports call it: `model@prompt`, or the model where it has the default prompt."""
        return f"{self.model}@{self.prompt}" if self.prompt else self.model


class Evaluation(Part):
    """What a job of kind `evaluate` does with each of its rows."""

    suite: Suite
    contestants: list[Contestant] = Field(default_factory=list)
    """Up to four are all compared with each other (three before a judge), of more the first with
    each; none for the kind `judges` alone."""
    attempts: int = Field(1, ge=1, le=MOST_ATTEMPTS)
    judges: list[Text] = Field(default_factory=list)
    """Who judges or grounds; several for the kind `judges`."""
    store: Text | None = None
    """The file of the embedded store that `[retrieval]` searches."""
    store_hash: str = ""
    """SHA-256 of the store's content: another content is never searched."""
    store_model: str = ""
    """Who embedded it, and so embeds what is searched for."""
    asked_as: dict[str, str] = Field(default_factory=dict)
    """Suite, data, store and limit in the user's own words: for the command that repeats it; and
    the server of the API, if it is on the user's machine (`server`)."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what is asked of whom, in hex: the suite's hash and all else."""
        told = self.model_dump(mode="json", exclude={"suite", "store", "asked_as"})
        canonical = json.dumps([self.suite.hash, told], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @model_validator(mode="after")
    def _has_somebody(self) -> Self:
        if bool(self.contestants) == (self.suite.kind == SuiteKind.JUDGES):
            raise ValueError("contestants answer in every kind but `judges`, which has judges only")
        return self

    @property
    def models(self) -> list[str]:
        """Every model that is asked through calls, each once."""
        named = [contestant.model for contestant in self.contestants]
        if self.suite.kind == SuiteKind.PERPLEXITY:  # a child reads rows to them
            named = []
        if self.suite.grounding:
            named = [*named, self.suite.grounding.embed_model]
        if self.store_model:
            named = [*named, self.store_model]
        return list(dict.fromkeys([*named, *self.judges]))
