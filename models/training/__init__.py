"""Training: what a run is asked to do, and how much of it there is (pure)."""

from models.training.spec import DatasetRef, TrainingSpec

__all__ = ["DatasetRef", "TrainingSpec"]
