"""From a name, folder or file to a checked `Recipe`; every complaint names the file and the key."""

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ValidationError

from models.errors import RecipeError
from models.recipes.checking import complaints
from models.recipes.schema import (
    AnswerSchema,
    Checks,
    Function,
    Input,
    Message,
    Output,
    Parameters,
    Recipe,
    Step,
)
from models.recipes.strict_json import Json, parse_json

RECIPE_FILE = "recipe.toml"
MAX_FILE = 1_000_000
"""Bytes of a recipe's file, or of a file it names."""
_PARTS: Mapping[str, type[BaseModel]] = {
    "steps": Step,
    "messages": Message,
    "function": Function,
    "schema": AnswerSchema,
    "parameters": Parameters,
    "checks": Checks,
    "input": Input,
    "output": Output,
}
_IN_FILES: Mapping[type[BaseModel], tuple[str, ...]] = {
    Step: ("system", "prompt"),
    Message: ("content",),
    Function: ("parameters",),
    AnswerSchema: ("schema",),
}
"""Keys that may stand in a file of their own, named by `<key>_file`."""


def load_recipe(name_or_path: str) -> Recipe:
    """A shipped recipe by name, or the one in a folder or TOML file (write `./amira` for a folder).

    Raises `RecipeError` naming the file, the key and what to do.
    """
    path = _find(name_or_path)
    try:
        data = tomllib.loads(_read_text(path, str(path)))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}. Mend that line") from None
    return parse_recipe(_inlined(data, path), str(path))


def shipped_recipes() -> dict[str, str]:
    """Description by name of the recipes that come with Maestrale."""
    found = sorted(_shipped_root().glob(f"*/{RECIPE_FILE}"))
    return {path.parent.name: _description(path) for path in found}


def parse_recipe(data: Mapping[str, Json], source: str) -> Recipe:
    """Check a recipe whose files are inlined; `source` is what complaints name as the file."""
    try:
        recipe = Recipe.model_validate(_with_default_model(data))
        json.dumps(recipe.model_dump(mode="json"), allow_nan=False).encode()
    except ValidationError as error:
        raise RecipeError(f"{source}: {_in_words(error)}") from None
    except ValueError as error:
        raise RecipeError(f"{source}: {error}: use finite numbers and whole characters") from None
    found = list(complaints(recipe))
    if found:
        key, complaint = found[0]
        raise RecipeError(f"{source}: {key}: {complaint}{_and_more(len(found))}")
    return recipe


def _find(name_or_path: str) -> Path:
    if name_or_path in shipped_recipes():
        return _shipped_root() / name_or_path / RECIPE_FILE
    path = Path(name_or_path)
    try:
        found = path / RECIPE_FILE if path.is_dir() else path
        if name_or_path and found.exists():
            return found
    except OSError:  # a name too long, a folder we may not enter
        pass
    names = ", ".join(shipped_recipes())
    raise RecipeError(
        f"there is no recipe {name_or_path[:200]!r}: give a shipped one ({names}), a folder with a "
        f"{RECIPE_FILE}, or a .toml file"
    )


def _shipped_root() -> Path:
    return Path(str(files("recipes")))


def _description(path: Path) -> str:
    return str(tomllib.loads(path.read_text("utf-8")).get("description", ""))


def _read_text(path: Path, label: str) -> str:
    if not path.is_file():  # a FIFO or device would never end
        raise RecipeError(f"{label}: {path} is no regular file; name one below the recipe's folder")
    try:
        if path.stat().st_size > MAX_FILE:
            raise RecipeError(f"{label}: {path} is larger than {MAX_FILE} bytes; make it smaller")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise RecipeError(f"{label}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label}: {path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None


def _inlined(data: dict[str, Json], path: Path) -> dict[str, Json]:
    """The recipe with `prompt_file` and its like replaced by `prompt` with the file's text."""
    for at, step in enumerate(_tables(data.get("steps"))):
        key = f"steps[{at}]"
        _inline(step, Step, path, key)
        for number, message in enumerate(_tables(step.get("messages"))):
            _inline(message, Message, path, f"{key}.messages[{number}]")
        for name in ("function", "schema"):
            for table in _tables([step.get(name)]):
                _inline(table, _PARTS[name], path, f"{key}.{name}")
    return data


def _tables(value: object) -> list[dict[str, Json]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _inline(table: dict[str, Json], part: type[BaseModel], recipe: Path, where: str) -> None:
    for key in _IN_FILES[part]:
        if f"{key}_file" not in table:
            continue
        label = f"{recipe}: {where}.{key}_file"
        if key in table:
            raise RecipeError(f"{label}: {key} is there as well; keep one of them")
        table[key] = _content(table.pop(f"{key}_file"), recipe.parent, label)


def _content(name: object, folder: Path, label: str) -> Json:
    if not isinstance(name, str) or not name or "\0" in name:
        raise RecipeError(f"{label}: it must be the name of a file below the recipe's folder")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RecipeError(f"{label}: {name} is outside the recipe's folder; move it there")
    text = _read_text(path, label)
    if path.suffix != ".json":
        return text
    try:
        return parse_json(text)
    except ValueError as error:
        raise RecipeError(f"{label}: {name}: {error}") from None


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


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    key = _key(first["loc"])
    more = _and_more(error.error_count())
    match first["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such key; {_known_keys(first['loc'])}{more}"
        case "missing":
            return f"{key}: it is missing; add it{more}"
        case _:
            given = "" if isinstance(first["input"], (dict, list)) else f", not {first['input']!r}"
            return f"{key}: {first['msg']}{given}{more}"


def _and_more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


def _key(loc: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).lstrip(".")


def _known_keys(loc: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Recipe
    for part in loc[:-1]:
        if isinstance(part, str):
            model = _PARTS[part]
    known = [field.alias or name for name, field in model.model_fields.items()]
    known += [f"{key}_file" for key in _IN_FILES.get(model, ())]
    known += ["model"] if model is Recipe else []
    close = get_close_matches(str(loc[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
