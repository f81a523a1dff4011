"""The table of the security list holds: its tests are there, and nothing of ours runs text."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from security_list import PROVED

ROOT = Path(__file__).parents[2]
PRODUCT = ("models", "producers", "worker", "dashboard", "simulator")
RUNS_TEXT = {
    *(
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "Markup",
        "markupsafe.Markup",
    ),
    *("pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "yaml.load", "torch.load"),
}
"""Calls that make code or markup of text or bytes."""


@cache
def functions_of(file: str) -> set[str]:
    """The functions of a file of tests."""
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("line", PROVED)
def test_every_line_has_tests_that_are_there(line: str) -> None:
    """A test that is renamed or deleted leaves its line unproved, and is told here."""
    assert PROVED[line]
    named = [test.split("::") for test in PROVED[line]]
    assert [test for file, test in named if test not in functions_of(file)] == []


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of the product's code, by its place and name."""
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}", node


def test_nothing_of_ours_runs_text() -> None:
    """No text becomes code, a shell's line or trusted markup anywhere in the product."""
    found = [where for where, _ in calls() if where.split(" ", 1)[1] in RUNS_TEXT]
    shells = [
        where
        for where, call in calls()
        if any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in call.keywords)
    ]
    assert found == []
    assert shells == []
