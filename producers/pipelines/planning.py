"""What a run will do, before it is begun: what is taken over, what each stage will take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from models.pipelines.schema import Prepared, RunSpec
from models.states import JobKind, StageState
from models.tables import Job, Stage
from producers.client import Maestrale
from producers.pipelines import beforehand
from producers.pipelines.doing import taken_over
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
    """Stages whose outputs it reads and that have not run: nothing is known before."""


def plan(maestrale: Maestrale, told: RunSpec) -> list[StagePlanned]:
    """The stages in an order in which they may run. Pays and begins nothing.

    Raises `BadInputError` for what cannot be used, as far as that is known.
    """
    beforehand.check(told)
    run = Job(id="", kind=JobKind.PIPELINE, spec="{}", fingerprint="", created_at=0.0)
    outputs: dict[str, dict[str, Any]] = {}
    found: list[StagePlanned] = []
    for prepared in in_order(told.pipeline.stages):
        one = _planned(maestrale, run, told, prepared, outputs)
        found.append(one)
        if one.reused is not None:
            outputs[prepared.name] = outputs_of([one.reused])[one.reused.name]
    return found


def in_order(stages: Sequence[Prepared]) -> Iterator[Prepared]:
    """Each after those it needs, else in the order of the file."""
    told: set[str] = set()
    left = list(stages)
    while left:
        free = next(stage for stage in left if told.issuperset(stage.needs))
        yield free
        told.add(free.name)
        left.remove(free)


def _planned(
    maestrale: Maestrale,
    run: Job,
    told: RunSpec,
    prepared: Prepared,
    outputs: dict[str, dict[str, Any]],
) -> StagePlanned:
    depends = [name for name in prepared.reads if name not in outputs]
    if depends:
        return StagePlanned(prepared, depends=depends)
    asked = asked_of(told, prepared.name, outputs)
    digest = digest_of(maestrale, told, prepared.name, asked, outputs)
    known = None if told.again else taken_over(maestrale, run.id, prepared.kind, digest)
    if known is not None:
        return StagePlanned(prepared, reused=known)
    stage = Stage(
        run_id=run.id, name=prepared.name, place=0, kind=prepared.kind, state=StageState.WAITING
    )
    hand = Hand(maestrale, run, told, stage, asked, digest)
    return StagePlanned(prepared, expected=doing(prepared.kind).expect(hand))
