"""Pipelines: TOML that says which stages a recipe has, and what each needs of the others.

Pure but for `load_pipeline`, which reads the pipeline's own files.
"""

from models.pipelines.loading import load_pipeline, shipped_pipelines
from models.pipelines.named import OUTPUTS
from models.pipelines.schema import Pipeline, Prepared, StageKind

__all__ = [
    "OUTPUTS",
    "Pipeline",
    "Prepared",
    "StageKind",
    "load_pipeline",
    "shipped_pipelines",
]
