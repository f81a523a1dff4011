"""How Flower words our tasks: what a person wants to read, not Python's spelling of it."""

from typing import Any

from models.doorbell import RUN_SHARD, TICK


def readable(task: Any) -> Any:
    """Flower's `format_task`: handed a copy of Celery's task state, answers what is shown.

    A shard's label fills two columns, so that Flower cuts neither: `generate` and
    `job_x shard 12/308 rows 352-383`.
    """
    if task.name == RUN_SHARD and task.args:
        task.name, _, task.args = task.args.partition(" ")
    elif task.name == TICK:
        task.name, task.args = "clock", "ticks"
    task.kwargs = ""  # messages carry ids only, and the label tells them
    if task.result:
        task.result = task.result.strip("'\"")
    return task
