"""A checked file, what it will take, and by which way its calls will go."""

from dataclasses import dataclass

from models.payloads import Estimate, Options
from models.recipes import Recipe
from producers.estimate import Ways
from producers.readers import OnDuplicate, ReadResult
from producers.routing import REALTIME, Route, Via


@dataclass(frozen=True)
class Plan:
    """What was read and decided. Leaving its context forgets the staged rows."""

    recipe: Recipe
    found: ReadResult
    ways: Ways
    on_duplicate: OnDuplicate = "stop"
    route: Route = REALTIME

    def __enter__(self) -> "Plan":
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
