"""What `maestrale run --plan` says of a shipped recipe, and what its run then costs."""

from collections.abc import Callable
from typing import Any

import pytest

from models.nano import NANO
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.states import SETTLED, JobState
from producers.pipelines import Conductor, Runs
from producers.pipelines.planning import plan
from proving.stage import Stage

ROWS = 24
WITHIN = 4.0
"""How many times more or less a stage may cost than its plan says, which counts on no prompt cache
of the provider's: the simulator's makes the teacher's guidelines cheap."""
LEAST = 0.0001
"""USD below which nobody minds."""
pytestmark = pytest.mark.slow


def test_a_run_costs_about_what_its_plan_says(on_stage: Callable[..., Stage]) -> None:
    """Every stage with a price, also those whose inputs other stages made, and how many rows."""
    on = on_stage(workers=1)
    told = RunSpec(pipeline=load_pipeline("cleo"), limit=ROWS)
    planned = {one.prepared.name: one for one in plan(on.client, told)}
    run, _ = Runs(on.client).start(told)
    conductor = Conductor(on.client, only=run.id)
    conductor.run(until=lambda: on.client.get(run.id).state in SETTLED)
    conductor.close()
    assert on.client.get(run.id).state == JobState.SUCCEEDED
    took: dict[str, Any] = {one.stage.name: one for one in Runs(on.client).stages(run.id)}
    costs = {
        name: (one.expected.cost_usd, took[name].cost_nano / NANO)
        for name, one in planned.items()
        if one.expected and one.expected.cost_usd is not None
    }
    assert set(costs) == {"pairs", "data", "samples", "review"}, "no price is known of training"
    for name, (guess, real) in costs.items():
        assert guess <= WITHIN * real + LEAST, (name, guess, real)
        assert real <= WITHIN * guess + LEAST, (name, guess, real)
    assert costs["samples"][1] > LEAST, "it tells something"
    expected = planned["data"].expected
    assert expected is not None
    assert expected.output is not None
    counts = took["data"].output["counts"]
    assert sum(counts.values()) <= sum(expected.output["counts"].values()) == ROWS
