"""Celery tasks: shells that decode ids, call one function and return."""

from celery import Celery

from models.doorbell import RUN_SHARD, TICK
from worker import process


def register(app: Celery) -> None:
    """Gives the app its tasks."""

    @app.task(name=RUN_SHARD)
    def run_shard(job_id: str, no: int) -> str:
        """Runs one shard; the answer is its counts, for Flower."""
        return process.runtime().run_shard(job_id, no)

    @app.task(name=TICK)
    def tick() -> str:
        """One tick of the clock: sweeps what has no live lease."""
        return process.runtime().tick()
