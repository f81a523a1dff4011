"""TOML files of ours as their authors write them: found, read, inlined; complaints in words."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.errors import RecipeError
from models.recipes.strict_json import Json, parse_json

MAX_FILE = 1_000_000
"""Bytes of such a file, or of a file it names."""
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(
    rf"(?:^|[\[{{,])[ \t]*+(?:{_PART}[ \t]*+\.[ \t]*+){{100}}", re.ASCII | re.MULTILINE
)
"""Time to read a key grows with the square of its parts: half a megabyte of them takes minutes. It
begins a line, or stands behind what keys stand behind: looked for there, it is found in no time."""
MOST_TOLD = 5
"""Complaints told at once; of more the number."""
MISSPELT = "extra_forbidden"
"""What pydantic calls a key that there is not."""
Found = TypeVar("Found", bound=BaseModel)


@dataclass(frozen=True)
class Shape:
    """What a document's TOML looks like: its model, and which texts may stand in files beside it.

    `in_files`: keys by part, of which `<key>_file` may name a file below the document's folder.
    `more`: keys that the document may have besides its model's.
    """

    root: type[BaseModel]
    in_files: Mapping[type[BaseModel], tuple[str, ...]] = field(default_factory=dict)
    more: tuple[str, ...] = ()

    def files_of(self, part: type[BaseModel]) -> tuple[str, ...]:
        """Keys of the part that may stand in files."""
        return next((keys for kind, keys in self.in_files.items() if issubclass(part, kind)), ())


def find(name_or_path: str, file_name: str, what: str) -> Path:
    """A shipped one by name, or the one in a folder or TOML file; `RecipeError` if there is none.

    `what`: what it is called, with its article: `a recipe`.
    """
    known = shipped(file_name)
    if name_or_path in known:
        return _shipped_root() / name_or_path / file_name
    path = Path(name_or_path)
    try:
        found = path / file_name if path.is_dir() else path
        if name_or_path and found.exists():
            return found
    except OSError:  # a name too long, a folder we may not enter
        pass
    names = ", ".join(known)
    kind = what.removeprefix("a ")
    raise RecipeError(
        f"there is no {kind} {name_or_path[:200]!r}: give a shipped one ({names}), a folder with a "
        f"{file_name}, or a .toml file"
    )


def shipped(file_name: str) -> dict[str, str]:
    """Description by name of the folders that come with Maestrale and hold such a file."""
    found = sorted(_shipped_root().glob(f"*/{file_name}"))
    told = {path.parent.name: tomllib.loads(path.read_text("utf-8")) for path in found}
    return {name: str(data.get("description", "")) for name, data in told.items()}


def _shipped_root() -> Path:
    return Path(str(files("recipes")))


def read_document(path: Path) -> dict[str, Json]:
    """A TOML file's content; `RecipeError` names the file."""
    text = read_text(path, str(path))
    if _LONG_KEY.search(text):
        raise RecipeError(f"{path}: a key has more than 100 parts with dots between them")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}. Mend that line") from None
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of 5,000 digits
        raise RecipeError(f"{path}: it cannot be read ({error}). Make it simpler") from None


def read_text(path: Path, label: str) -> str:
    """A file's text; `RecipeError`, beginning with `label`, for what is no such file."""
    try:
        if not path.is_file():  # a FIFO or device would never end
            raise RecipeError(
                f"{label}: {path} is no regular file; name one below the recipe's folder"
            )
        if path.stat().st_size > MAX_FILE:
            raise RecipeError(f"{label}: {path} is larger than {MAX_FILE} bytes; make it smaller")
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise RecipeError(f"{label}: cannot read {path!s:.200}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{label}: {path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None


def inlined(data: dict[str, Json], shape: Shape, path: Path) -> dict[str, Json]:
    """The document with `prompt_file` and its like replaced by `prompt` with the file's text."""
    for table, part, where in list(_tables(data, shape.root, "")):
        for key in shape.files_of(part):
            if f"{key}_file" not in table:
                continue
            label = f"{path}: {where}{key}_file"
            if key in table:
                raise RecipeError(f"{label}: {key} is there as well; keep one of them")
            table[key] = _content(table.pop(f"{key}_file"), path.parent, label)
    return data


def validated(model: type[Found], data: Mapping[str, Json], shape: Shape, source: str) -> Found:
    """The document as its model; `RecipeError` with the first complaints if it does not fit."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{source}: {in_words(error, shape)}") from None


def refuse(complaints: Iterable[tuple[str, str]], source: str) -> None:
    """Raises `RecipeError` with the first complaints (a key and its words), if there is one."""
    if found := [f"{key}: {complaint}" for key, complaint in complaints]:
        raise RecipeError(f"{source}: {some(found)}")


def in_words(error: ValidationError, shape: Shape) -> str:
    """The first complaints of pydantic's, for people: a key misspelt before the one that is
    missing for it."""
    found = sorted(error.errors(), key=lambda one: one["type"] != MISSPELT)
    return some([_in_words(one, shape) for one in found])


def _in_words(one: ErrorDetails, shape: Shape) -> str:
    key = _key(one["loc"])
    match one["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such key; {_known_keys(one['loc'], shape)}"
        case "missing":
            return f"{key}: it is missing; add it"
        case _:
            given = "" if isinstance(one["input"], (dict, list)) else f", not {one['input']!r:.200}"
            return f"{key}: {one['msg']}{given}"


def some(complaints: Sequence[str]) -> str:
    """The first few complaints in a line, and how many more there are."""
    told, more = "; ".join(complaints[:MOST_TOLD]), len(complaints) - MOST_TOLD
    return f"{told} (and {more} more)" if more > 0 else told


def _tables(
    value: object, part: type[BaseModel] | None, where: str
) -> Iterator[tuple[dict[str, Json], type[BaseModel], str]]:
    """Every table that is a part of the document, with its part and the words for where it is."""
    if part is None or not isinstance(value, dict):
        return
    yield value, part, where
    for key, below in list(value.items()):
        kind, holds = _below(part, key)
        named = below.items() if holds is dict and isinstance(below, dict) else ()
        numbered = enumerate(below) if holds is list and isinstance(below, list) else ()
        for name, one in named:
            yield from _tables(one, kind, f"{where}{key}.{name}.")
        for at, one in numbered:
            yield from _tables(one, kind, f"{where}{key}[{at}].")
        if holds is None:
            yield from _tables(below, kind, f"{where}{key}.")


def _below(part: type[BaseModel], key: str) -> tuple[type[BaseModel] | None, type | None]:
    """The part that a key of a part holds, and whether in a list or by name in a dict."""
    for name, told in part.model_fields.items():
        if key in (name, told.alias):
            return _part_in(told.annotation)
    return None, None


def _part_in(annotation: Any) -> tuple[type[BaseModel] | None, type | None]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, None
    holds = get_origin(annotation)
    for inner in get_args(annotation):
        part, within = _part_in(inner)
        if part is not None:
            return part, holds if holds in (list, dict) else within
    return None, None


def _content(name: object, folder: Path, label: str) -> Json:
    if not isinstance(name, str) or not name or "\0" in name:
        raise RecipeError(f"{label}: it must be the name of a file below the recipe's folder")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RecipeError(f"{label}: {name} is outside the recipe's folder; move it there")
    text = read_text(path, label)
    if path.suffix != ".json":
        return text
    try:
        return parse_json(text)
    except ValueError as error:
        raise RecipeError(f"{label}: {name}: {error}") from None


def _key(loc: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part:.100}" for part in loc)
    return "".join(parts).lstrip(".")


def _known_keys(loc: tuple[int | str, ...], shape: Shape) -> str:
    part = _part_at(shape.root, loc[:-1])
    known = [told.alias or name for name, told in part.model_fields.items()]
    known += [f"{key}_file" for key in shape.files_of(part)]
    known += shape.more if part is shape.root else ()
    close = get_close_matches(str(loc[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"


def _part_at(part: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    is_name = False
    for key in loc:
        if is_name or isinstance(key, int):  # which one of a dict or list
            is_name = False
            continue
        below, holds = _below(part, key)
        part = below or part
        is_name = holds is dict
    return part
