"""A checked file, what it will take, and by which way its calls will go."""

from dataclasses import dataclass
from typing import Self

from models.embedding import Embedding
from models.payloads import Estimate, JobSpec, Options
from models.recipes import Recipe
from models.states import JobKind
from models.suites import Evaluation, SuiteKind
from producers.estimate import Ways
from producers.readers import OnDuplicate, ReadResult
from producers.routing import Route, Via


@dataclass(frozen=True)
class Told:
    """What a job is told, and what it is known by."""

    kind: JobKind
    name: str
    """The recipe's, suite's or store's, for people."""
    spec: JobSpec
    content_hash: str
    """Of what is asked."""


@dataclass(frozen=True)
class Checked:
    """What was read and decided. Leaving its context forgets the staged rows."""

    found: ReadResult
    ways: Ways
    on_duplicate: OnDuplicate
    route: Route

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.found.close()

    @property
    def estimate(self) -> Estimate:
        """What it will take by the way that was chosen."""
        return self.estimate_by(self.route.via)

    def estimate_by(self, via: Via) -> Estimate:
        """What it takes by that way; why it was chosen stays with the job as a note."""
        guess = self.ways.batch if via == "batch" else self.ways.realtime
        if not self.route.why or via != self.route.via:
            return guess
        way = "by batch" if via == "batch" else "in real time"
        return guess.model_copy(update={"notes": [*guess.notes, f"{way}: {self.route.why}"]})

    @property
    def hours(self) -> int:
        """How long each of its batches may take."""
        return self.route.applied(Options()).batch_hours

    @property
    def models(self) -> list[str]:
        """Every model that will be asked, each once."""
        raise NotImplementedError

    @property
    def embedding_models(self) -> list[str]:
        """Those of them that are asked for vectors."""
        return []

    @property
    def reads_here(self) -> bool:
        """Whether its rows are read to models by a trainer of ours, and nobody is called."""
        return False

    def told(self, options: Options) -> Told:
        """What its job is told, its calls made in that way."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plan(Checked):
    """A file and the recipe that it will go through."""

    recipe: Recipe

    @property
    def models(self) -> list[str]:
        """Every model that will be asked, each once."""
        return list(dict.fromkeys(step.model for step in self.recipe.steps))

    def told(self, options: Options) -> Told:
        """The recipe as it stands."""
        spec = JobSpec(recipe=self.recipe.model_dump(mode="json"), options=options)
        return Told(JobKind.GENERATE, self.recipe.name, spec, self.recipe.hash)


@dataclass(frozen=True)
class EvaluationPlan(Checked):
    """Rows and the suite that models are put to with them."""

    evaluation: Evaluation

    @property
    def models(self) -> list[str]:
        """Every model that will be asked, each once."""
        return self.evaluation.models

    @property
    def embedding_models(self) -> list[str]:
        """Those of the store and of the likeness of questions."""
        told = self.evaluation.suite.grounding
        return [self.evaluation.store_model, *([told.embed_model] if told else [])]

    @property
    def reads_here(self) -> bool:
        """Whether its rows are read to models by a trainer of ours, and nobody is called."""
        return self.evaluation.suite.kind == SuiteKind.PERPLEXITY

    def told(self, options: Options) -> Told:
        """The suite as it stands, and its models."""
        asked = self.evaluation
        spec = JobSpec(evaluation=asked.model_dump(mode="json"), options=options)
        return Told(JobKind.EVALUATE, asked.suite.name, spec, asked.hash)


@dataclass(frozen=True)
class EmbeddingPlan(Checked):
    """Rows and what is embedded of them."""

    embedding: Embedding

    @property
    def models(self) -> list[str]:
        """The one that embeds."""
        return [self.embedding.model]

    @property
    def embedding_models(self) -> list[str]:
        """The same."""
        return self.models

    def told(self, options: Options) -> Told:
        """The text and its model; the store is its name."""
        asked = self.embedding
        spec = JobSpec(embedding=asked, options=options)
        return Told(JobKind.EMBED, asked.store, spec, asked.hash)
