"""From a name, folder or file to a checked `Recipe`; every complaint names the file and the key."""

import json
from collections.abc import Mapping
from typing import Any

from models.errors import RecipeError
from models.recipes import documents
from models.recipes.checking import complaints
from models.recipes.schema import AnswerSchema, Asking, Function, Message, Recipe
from models.recipes.strict_json import Json

RECIPE_FILE = "recipe.toml"
IN_FILES: Mapping[type[Any], tuple[str, ...]] = {
    Asking: ("system", "prompt"),
    Message: ("content",),
    Function: ("parameters",),
    AnswerSchema: ("schema",),
}
"""Keys that may stand in a file of their own, named by `<key>_file`."""
MORE: Mapping[str, str] = {"model": "The model of every step that names none."}
"""Keys of the file that the snapshot has elsewhere, with what they mean."""
SHAPE = documents.Shape(Recipe, IN_FILES, more=tuple(MORE))


def load_recipe(name_or_path: str) -> Recipe:
    """A shipped recipe by name, or the one in a folder or TOML file (write `./amira` for a folder).

    Raises `RecipeError` naming the file, the key and what to do.
    """
    path = documents.find(name_or_path, RECIPE_FILE, "a recipe")
    data = documents.inlined(documents.read_document(path), SHAPE, path)
    return parse_recipe(data, str(path))


def shipped_recipes() -> dict[str, str]:
    """Description by name of the recipes that come with Maestrale."""
    return documents.shipped(RECIPE_FILE)


def parse_recipe(data: Mapping[str, Json], source: str) -> Recipe:
    """Check a recipe whose files are inlined; `source` is what complaints name as the file."""
    recipe = documents.validated(Recipe, _with_default_model(data), SHAPE, source)
    try:
        json.dumps(recipe.model_dump(mode="json"), allow_nan=False).encode()
    except ValueError as error:
        raise RecipeError(f"{source}: {error}: use finite numbers and whole characters") from None
    documents.refuse(complaints(recipe), source)
    return recipe


def _with_default_model(data: Mapping[str, Json]) -> dict[str, Json]:
    """The top-level `model` is a default for the steps; the snapshot has it in each step."""
    data = dict(data)
    if "model" not in data or not isinstance(data.get("steps"), list):
        return data
    model = data.pop("model")
    data["steps"] = [
        {"model": model, **step} if isinstance(step, dict) else step for step in data["steps"]
    ]
    return data
