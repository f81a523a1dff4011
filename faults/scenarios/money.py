"""A budget, and processes that die with money in hand."""

from pathlib import Path

from faults.findings import of
from faults.history import read
from faults.scenarios.registry import Begin, scenario
from faults.world import World
from models.nano import NANO
from models.states import SETTLED, JobState
from models.tables import Job

OPTIONS = ("--latency-median", "0.2", "--limit", "*=6000")
ROWS = 500
SHARE = 0.1
"""Of the cautious estimate: about a third of the rows."""
USED = 0.9
"""Of the budget, or it would be kept by spending nothing."""


@scenario(23)
def budget_under_kills(begin: Begin) -> None:
    """Both workers are killed with parts of a budget in hand; it is used up, and kept."""
    with begin(*OPTIONS, workers=2) as world:
        job = submitted_with_budget(world, world.rows(ROWS))
        client = world.on.client
        for name in ("worker1", "worker2"):
            done = client.get(job.id).rows_done + 25
            world.until(lambda d=done: client.get(job.id).rows_done >= d, "work goes on")  # type: ignore[misc] # bound now
            world.kill(name)
            world.on.restart_workers()
        world.until(lambda: client.get(job.id).state == JobState.PAUSED, "the budget is reached")
        expect_used(world, job.id)
        world.log.write("budget", nano=NANO)
        client.resume(job.id, budget="1USD")
        world.settled(job.id)


def submitted_with_budget(world: World, rows: Path, **alone: float) -> Job:
    """A job whose budget ends before its rows. `since`: from when on nothing else is asked."""
    client = world.on.client
    with client.plan(rows, "translate") as plan:
        assert plan.estimate.cost_usd is not None, "the model has a price"
        budget = f"{plan.estimate.cost_usd * SHARE:.9f}"
        world.log.write("budget", nano=round(float(budget) * NANO), **alone)
        job = client.submit(plan, budget=f"{budget}USD", partial=True)
    world.accepted(job, rows)
    return job


def expect_used(world: World, job_id: str, *, least: float = USED) -> None:
    """It is paused for its budget, nothing is asked any more, and the money was not kept back."""
    job = world.on.client.get(job_id)
    (cost,) = world.on.client.costs(job_id)
    used = (cost.cost_nano + cost.doubts_nano) / (job.budget_nano or NANO)
    kills = len(of(read(world.log.path.parent), "campaign", "killed"))
    world.expect(
        job.state_reason.startswith("budget: ") and job.state not in SETTLED and used > least,
        f"after {kills} kills it pauses: {job.state_reason.split(';')[0]}; {used:.0%} used, "
        f"{cost.doubts} calls in doubt",
    )
    world.expect(used <= 1, f"with what is in doubt {used:.1%} of it is gone")
    world.until(lambda: not world.on.stats()["in_flight"], "nothing is in flight")
