"""What a run will do, before it is begun: what is taken over, what each stage will take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.budgets import parse_budget
from models.errors import MaestraleError
from models.pipelines.schema import Prepared, RunSpec, StageKind
from models.pipelines.schema import Stage as Asked
from models.prices import load_prices
from models.states import JobKind, StageState
from models.tables import Job, Stage
from producers.client import Maestrale
from producers.pipelines import beforehand, serving
from producers.pipelines.ahead import NO_DIGEST, Ahead
from producers.pipelines.doing import taken_over
from producers.pipelines.evaluating import names_of
from producers.pipelines.given import asked_of, digest_of, outputs_of
from producers.pipelines.hand import Hand
from producers.pipelines.kinds import doing
from producers.pipelines.outcomes import Expected


@dataclass(frozen=True, slots=True)
class StagePlanned:
    """A stage and what is known of it before."""

    prepared: Prepared
    reused: Stage | None = None
    """Of the run whose outputs will be taken over."""
    expected: Expected | None = None
    depends: Sequence[str] = ()
    """Stages whose outputs it reads and that have not run: what is expected of it is rough."""
    why: str = ""
    """Why nothing can be expected of it yet."""


def plan(maestrale: Maestrale, told: RunSpec, *, budget: str | None = None) -> list[StagePlanned]:
    """The stages in an order in which they may run. Pays and begins nothing.

    Raises `BadInputError` for what cannot be used, as far as that is known; with a budget also for
    models without a price.
    """
    prices = None if budget is None else load_prices(maestrale.settings.prices_file)
    if budget is not None and prices is not None:
        parse_budget(budget, prices)
    beforehand.check(told, prices)
    staging = maestrale.settings.home / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=staging) as folder:
        planning = _Planning(maestrale, told, Ahead(maestrale, Path(folder)))
        return [planning.planned(one) for one in in_order(told.pipeline.stages)]


def in_order(stages: Sequence[Prepared]) -> Iterator[Prepared]:
    """Each after those it needs, else in the order of the file."""
    told: set[str] = set()
    left = list(stages)
    while left:
        free = next(stage for stage in left if told.issuperset(stage.needs))
        yield free
        told.add(free.name)
        left.remove(free)


class _Planning:
    """Stages planned one after the other, each with what those before it made or may make."""

    def __init__(self, maestrale: Maestrale, told: RunSpec, ahead: Ahead) -> None:
        self._maestrale, self._told, self._ahead = maestrale, told, ahead
        self._run = Job(id="", kind=JobKind.PIPELINE, spec="{}", fingerprint="", created_at=0.0)
        self._made: dict[str, dict[str, Any]] = {}
        self._likely: dict[str, Mapping[str, Any]] = {}

    def planned(self, prepared: Prepared) -> StagePlanned:
        """One of them; whatever is wrong with a rough one is its reason."""
        depends = [name for name in prepared.reads if name not in self._made]
        if not depends:
            return self._known(prepared)
        if unknown := [name for name in depends if name not in self._likely]:
            why = f"what {unknown[0]} makes cannot be told before it has run"
            return StagePlanned(prepared, depends=depends, why=why)
        try:
            asked = asked_of(self._told, prepared.name, {**self._likely, **self._made})
            expected = self._expected(prepared, asked, NO_DIGEST)
        except MaestraleError as error:
            why = f"it cannot be told yet, for it depends on {', '.join(depends)}: {error}"
            return StagePlanned(prepared, depends=depends, why=why)
        return StagePlanned(prepared, expected=replace(expected, is_rough=True), depends=depends)

    def _known(self, prepared: Prepared) -> StagePlanned:
        """A stage all of whose inputs are there."""
        asked = asked_of(self._told, prepared.name, self._made)
        digest = digest_of(self._maestrale, self._told, prepared.name, asked, self._made)
        again = self._told.again
        known = None if again else taken_over(self._maestrale, self._run.id, prepared.kind, digest)
        if known is None:
            return StagePlanned(prepared, expected=self._expected(prepared, asked, digest))
        made = self._made[prepared.name] = outputs_of([known])[known.name]
        if prepared.kind == StageKind.TRAIN and getattr(asked, "trainer", "") == "local":
            self._ahead.serve(made["model"], made["base"])
        return StagePlanned(prepared, reused=known)

    def _expected(self, prepared: Prepared, asked: Asked, digest: str) -> Expected:
        stage = Stage(
            run_id=self._run.id,
            name=prepared.name,
            place=0,
            kind=prepared.kind,
            state=StageState.WAITING,
        )
        own = serving.ours(self._maestrale, _models_in(prepared, asked))
        self._ahead.serve(*(model.name for model in own))
        hand = Hand(self._ahead.client, self._run, self._told, stage, asked, digest)
        expected = doing(prepared.kind).expect(hand, self._ahead)
        if expected.output is not None:
            self._likely[prepared.name] = expected.output
        return expected


def _models_in(prepared: Prepared, asked: Asked) -> list[str]:
    """Whom the stage asks, as far as its own keys and its recipe say."""
    steps = [step.get("model") for step in prepared.recipe.get("steps", ())]
    told = [*names_of(getattr(asked, "models", None) or ()), getattr(asked, "model", None), *steps]
    return [name for name in told if name]
