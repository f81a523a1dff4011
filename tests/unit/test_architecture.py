"""The module map of docs/architecture.md names every module there is, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs/architecture.md").read_text("utf-8").split("```")[1]
PACKAGES = (
    "models",
    "producers",
    "worker",
    "dashboard",
    "simulator",
    "recipes",
    "faults",
    "proving",
    "reference",
    "examples",
)


def mapped() -> dict[str, set[str]]:
    """Package -> the modules and folders named under it."""
    found: dict[str, set[str]] = {}
    package = ""
    for line in MAP.splitlines():
        if match := re.match(r"(\w+)/", line):
            package = match[1]
            found[package] = set()
        elif re.match(r"  \S", line) and package:  # further in, a line goes on with the one above
            names = re.match(r"  ((?:[\w.]+(?:\.py|/)\s?)+)", line)
            assert names, line
            found[package] |= set(names[1].split())
    return found


def test_the_map_is_the_tree() -> None:
    """Every module and subfolder of a mapped package is on the map, and the map invents none."""
    for package, named in mapped().items():
        assert package in PACKAGES
        if not named:  # told in one line
            continue
        there = {p.name for p in (ROOT / package).glob("*.py")} - {"__init__.py"}
        there |= {f"{p.parent.name}/" for p in (ROOT / package).glob("*/__init__.py")}
        assert named == there, package
