"""A checked file, what it will take, and by which way its calls will go."""

from dataclasses import dataclass
from typing import Self

from models.embedding import Embedding
from models.payloads import Estimate, Options
from models.recipes import Recipe
from models.suites import Evaluation, SuiteKind
from producers.estimate import Ways
from producers.readers import OnDuplicate, ReadResult
from producers.routing import Route, Via


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


@dataclass(frozen=True)
class Plan(Checked):
    """A file and the recipe that it will go through."""

    recipe: Recipe

    @property
    def models(self) -> list[str]:
        """Every model that will be asked, each once."""
        return list(dict.fromkeys(step.model for step in self.recipe.steps))


@dataclass(frozen=True)
class EvaluationPlan(Checked):
    """Rows and the suite that models are put to with them."""

    evaluation: Evaluation

    @property
    def models(self) -> list[str]:
        """Every model that will be asked, each once."""
        return self.evaluation.models

    @property
    def reads_here(self) -> bool:
        """Whether its rows are read to models by a trainer of ours, and nobody is called."""
        return self.evaluation.suite.kind == SuiteKind.PERPLEXITY


@dataclass(frozen=True)
class EmbeddingPlan(Checked):
    """Rows and what is embedded of them."""

    embedding: Embedding

    @property
    def models(self) -> list[str]:
        """The one that embeds."""
        return [self.embedding.model]
