"""The recipe language: TOML that says what to ask a model about each row, and what to write out.

Pure: apart from `load_recipe`, which reads the recipe's own files, nothing here does I/O. The
way of a row: `requests` -> (the gateway asks) -> `read` -> `repair` once if need be -> `records`.
"""

from models.recipes.answers import Choice, Read, ToolCall
from models.recipes.compiled import Compiled, StepPreview
from models.recipes.estimates import CallPlan, StepPlan, typical_calls
from models.recipes.loading import load_recipe, parse_recipe, shipped_recipes
from models.recipes.loops import Scope
from models.recipes.problems import Problem, RowProblem
from models.recipes.schema import Recipe, Step

__all__ = [
    "CallPlan",
    "Choice",
    "Compiled",
    "Problem",
    "Read",
    "Recipe",
    "RowProblem",
    "Scope",
    "Step",
    "StepPlan",
    "StepPreview",
    "ToolCall",
    "load_recipe",
    "parse_recipe",
    "shipped_recipes",
    "typical_calls",
]
