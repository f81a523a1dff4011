"""Whether a run would wait for a trainer: what is trained here, and no earlier run did."""

from collections.abc import Sequence, Set

from models.errors import MaestraleError
from models.pipelines.schema import RunSpec
from models.states import STAGE_GOOD, JobKind, JobState
from models.store.stages_seen import StageSeen
from models.tables import Stage
from producers.client import Maestrale
from producers.pipelines import beforehand
from producers.pipelines.doing import taken_over
from producers.pipelines.given import Outputs, asked_of, digest_of, outputs_of
from producers.pipelines.planning import in_order


def wants_trainer(maestrale: Maestrale, told: RunSpec, seen: Sequence[StageSeen] = ()) -> bool:
    """Whether a stage that is left trains, or reads rows to a model, on this machine, and nothing
    is taken over for it, as far as that is known before. `seen`: of a run that was begun."""
    past = {one.stage.name for one in seen if _is_past(one)}
    left = set(beforehand.trained_here(told)) - past
    return bool(left) and not left <= _taken_over(maestrale, told, seen)


def _is_past(one: StageSeen) -> bool:
    """Done, or only to be collected; the runs of a sweep that are ranked are trained."""
    stage, job = one.stage, one.job
    if stage.state in STAGE_GOOD or job is None:
        return stage.state in STAGE_GOOD
    is_ranked = stage.kind == JobKind.TRAIN and job.kind == JobKind.EVALUATE
    return is_ranked or job.state == JobState.SUCCEEDED


def _taken_over(maestrale: Maestrale, told: RunSpec, seen: Sequence[StageSeen]) -> Set[str]:
    """The stages for which another run did the very same. What reads a stage that is done anew is
    not among them: its inputs are not known yet."""
    made: dict[str, dict[str, object]] = outputs_of([one.stage for one in seen])
    run_id = seen[0].stage.run_id if seen else ""
    for stage in () if told.again else in_order(told.pipeline.stages):
        if stage.name not in made and made.keys() >= set(stage.reads):
            known = _earlier(maestrale, told, run_id, stage.name, made)
            made |= {stage.name: outputs_of([known])[known.name]} if known else {}
    return made.keys()


def _earlier(
    maestrale: Maestrale, told: RunSpec, run_id: str, name: str, made: Outputs
) -> Stage | None:
    try:
        digest = digest_of(maestrale, told, name, asked_of(told, name, made), made)
    except MaestraleError:  # for the stage itself to say
        return None
    return taken_over(maestrale, run_id, told.pipeline.stage(name).kind, digest)
