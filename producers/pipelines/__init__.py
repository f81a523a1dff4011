"""Pipelines run: their stages claimed, done or submitted as jobs, settled."""

from models.store.stages_seen import StageSeen
from producers.pipelines.conductor import Conductor
from producers.pipelines.runs import Runs

__all__ = ["Conductor", "Runs", "StageSeen"]
