"""What messages tell people to type: every command, and every option of it, is one that exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from producers.cli.app import app

ROOT = Path(__file__).parents[3]
PACKAGES = ("models", "producers", "worker", "dashboard")
ADVISED = re.compile(r"(?:^|`)maestrale ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?([^`]*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
REST = {"simulator"}
"""Its options are another program's."""


def texts(tree: ast.AST) -> Iterator[str]:
    """All strings of a module; `{}` where a value is put in."""
    inside = {id(one) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for one in node.values}  # fmt: skip
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
            yield "".join(map(str, parts))


def advised() -> Iterator[tuple[str, str, str, str]]:
    """Where, the command, the word behind it, and the rest of what is to be typed."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for text in texts(ast.parse(path.read_text("utf-8"))):
                for found in ADVISED.finditer(text):
                    yield str(path.relative_to(ROOT)), found[1], found[2] or "", found[3]


def options_of(command: Any) -> set[str]:
    """All of a command's."""
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}


def test_every_command_advised_exists() -> None:
    """`maestrale review show` did not: who followed the end of a run got an error."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = list(advised())
    assert len(found) > 60
    for where, name, word, rest in found:
        told = f"{where}: maestrale {name} {word}{rest}"
        assert name in commands, told
        below: dict[str, Any] = getattr(commands[name], "commands", {})
        assert not (below and word) or word in below, told
        command = below.get(word, commands[name])
        if name in REST or (below and not word):
            continue
        said = set(OPTION.findall(rest.partition(", or ")[0]))
        assert said <= options_of(command) | {"--help"}, told
