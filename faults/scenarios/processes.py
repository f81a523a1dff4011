"""Processes that die: workers, pool children, producers."""

from faults.scenarios.registry import Begin, scenario

LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6", "--limit", "*=6000")


@scenario(1, in_slice=True)
def killed_workers(begin: Begin) -> None:
    """kill -9 of a whole worker, again and again, 2 to 3 s apart; each is started again."""
    with begin(*LATENCY, workers=2) as world:
        world.subscribe()
        rows = world.rows(800)
        job = world.submit(rows)
        for _ in range(4):
            done = world.on.client.get(job.id).rows_done
            world.until(
                lambda d=done: world.on.client.get(job.id).rows_done > d, "work goes on", 30
            )
            world.kill(world.random.choice(["worker1", "worker2"]))
            world.on.restart_workers()
        job = world.settled(job.id)
        world.again(job, rows)
        world.told()
