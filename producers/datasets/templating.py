"""A model folder's chat template as a function, run in jinja's sandbox as transformers runs it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.errors import BadInputError
from models.words import printable

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Names of special tokens that a template may use."""

Render = Callable[[Mapping[str, Any]], str]


def chat_template(folder: Path) -> Render | None:
    """Renders a row's messages with its tools; None if the folder has no template.

    Raises `BadInputError` with the file's name for one that does not parse; so does rendering, for
    a row that the template refuses.
    """
    config = _config(folder / "tokenizer_config.json")
    source, path = _source(folder, config)
    if not source:
        return None
    special = {name: _text_of(config[name]) for name in _SPECIAL if name in config}
    try:
        template = _environment().from_string(source)
    except TemplateError as error:
        raise _wrong(path, f"the chat template does not parse: {error}") from error

    def render(row: Mapping[str, Any]) -> str:
        told = {"messages": row["messages"], "tools": row.get("tools") or None}
        try:
            return template.render(**told, add_generation_prompt=False, **special)
        except Exception as error:  # a template is a program: it fails as programs do
            name = printable(str(row.get("id")), 80)
            raise _wrong(path, f"the chat template refuses the row {name}: {error}") from error

    return render


def _source(folder: Path, config: Mapping[str, Any]) -> tuple[str, Path]:
    """The template's source (empty: none), and where it stands."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            return path.read_text("utf-8"), path
        except ValueError as error:
            raise _wrong(path, "it is no UTF-8") from error
    found = config.get("chat_template")
    return found if isinstance(found, str) else "", folder / "tokenizer_config.json"


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise _wrong(path, "it is no JSON") from error
    if not isinstance(found, dict):
        raise _wrong(path, "it is no object")
    return found


def _text_of(token: object) -> str:
    return str(token.get("content") if isinstance(token, dict) else token or "")


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refused
    environment.filters["tojson"] = _json
    return environment


def _refused(message: str) -> str:
    raise TemplateError(message)


def _json(value: object, indent: int | None = None) -> str:
    """As transformers: jinja's own escapes what stands in HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _wrong(path: Path, told: str) -> BadInputError:
    said = printable(" ".join(told.split()), 400)
    return BadInputError(f"{path}: {said}; mend it, or count with another model's tokenizer")
