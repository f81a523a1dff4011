"""The house style's budgets over the code as it stands. Every exception gives its reason."""

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("models", "producers", "worker", "dashboard", "simulator", "examples")
CODE = (*SHIPPED, "benchmarks", "faults", "proving", "reference")
MEDIAN, P95, LONGEST, FILE = 7, 30, 50, 350
"""Lines: of function bodies without their docstrings (median, 95th percentile, most), of files."""
MOCKS_PER_TEST = 0.1
VAGUE = {"utils", "helpers", "common", "manager", "service", "core"}

LONG_FUNCTIONS: dict[str, str] = {}
"""`file:qualified name` of functions over `LONGEST`, with the reason."""
LONG_FILES: dict[str, str] = {}
"""Files over `FILE` lines, with the reason."""
OWN_LOOPS = {
    "benchmarks/bare.py": "the bare loop that we are measured against, in processes of its own",
    "benchmarks/racers/track.py": "programs of other people's venvs: none of ours is there",
    "benchmarks/limiter.py": "a program: its processes hold a limiter and nothing else",
    "benchmarks/simulator.py": "a program: it asks the simulator and nothing else",
    "proving/sinks.py": "servers on a thread beside a benchmark that has no loop",
    "faults/proxy.py": "a proxy on a thread beside the campaign, which has no loop",
    "faults/sink.py": "a server on a thread beside the campaign, which has no loop",
}
"""`file` of event loops outside a `__main__` and the runtime, with the reason."""

OPT_OUT = re.compile(r"#\s*(?:type: ignore(?:\[[^\]]*\])?|noqa(?:: [A-Z0-9, ]+)?)")
"""What turns a check off for a line; what is left of the comment without it is the reason."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Body:
    """One function's body: where it stands and how long it is."""

    name: str
    lines: int


@cache
def sources() -> dict[str, ast.Module]:
    """All modules but the migrations and the tests, by path."""
    paths = (path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py")))
    names = {path.relative_to(ROOT).as_posix(): path for path in paths}
    kept = {name: path for name, path in names.items() if "/migrations/" not in name}
    return {name: ast.parse(path.read_text()) for name, path in kept.items()}


def without_docstring(function: Function) -> list[ast.stmt]:
    """The body's statements; nothing is left of a protocol's method with a docstring only."""
    has_docstring = ast.get_docstring(function, clean=False) is not None
    return function.body[1:] if has_docstring else function.body


def length(function: Function) -> int:
    """Lines from the first statement to the last, comments and blank lines between included."""
    body = without_docstring(function)
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def functions(tree: ast.Module, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function of a module with its qualified name, nested ones too."""

    def within(node: ast.AST, path: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            inner = f"{path}.{child.name}".lstrip(".") if hasattr(child, "name") else path
            if isinstance(child, Function):
                yield inner, child
            yield from within(child, inner)

    yield from within(tree, prefix)


def bodies(trees: dict[str, ast.Module]) -> list[Body]:
    """Every function body of some modules."""
    found = (
        (f"{file}:{name}", node) for file, tree in trees.items() for name, node in functions(tree)
    )
    return [Body(name, length(node)) for name, node in found]


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """The module, its public classes and functions, and their public methods."""
    yield "", tree
    for node in tree.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                methods = (child for child in node.body if isinstance(child, Function))
                yield from (
                    (f"{node.name}.{m.name}", m) for m in methods if not m.name.startswith("_")
                )


def undocumented(trees: dict[str, ast.Module]) -> list[str]:
    """What is public and has no docstring; overloads and property setters speak elsewhere."""
    return [
        f"{file}:{name}"
        for file, tree in trees.items()
        for name, node in public(tree)
        if ast.get_docstring(node) is None and not is_explained_elsewhere(node)
    ]


def is_explained_elsewhere(node: Documented) -> bool:
    """An overload, a setter, and a method that keeps its parent's promise (`@override`)."""
    decorators = getattr(node, "decorator_list", [])
    told = {ast.unparse(decorator).rpartition(".")[2] for decorator in decorators}
    return bool(told & {"overload", "setter", "override"})


def loops(trees: dict[str, ast.Module]) -> set[str]:
    """Files that open an event loop of their own."""
    opens = {"asyncio.run", "asyncio.Runner", "asyncio.new_event_loop", "uvloop.new_event_loop"}
    return {
        file
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in opens
    }


def unreasoned(source: str) -> list[str]:
    """The comments that turn a check off and do not say why."""
    comments = (
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    )
    return [
        comment
        for comment in comments
        if OPT_OUT.search(comment) and not re.search(r"\w", OPT_OUT.sub("", comment))
    ]


def mocks(tree: ast.Module) -> int:
    """Mocks made in a module of tests; monkeypatching the environment is none."""
    names = {"Mock", "MagicMock", "AsyncMock", "patch", "create_autospec"}
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(bool(names & set(ast.unparse(function).split("."))) for function in called)


def test_functions_are_short():
    """Median <= 7, 95th percentile <= 30 lines, over all functions."""
    lines = sorted(body.lines for body in bodies(sources()))
    assert statistics.median(lines) <= MEDIAN
    assert statistics.quantiles(lines, n=20)[-1] <= P95


def test_no_function_is_long():
    """At most 50 lines each; exceptions are named above, and only while they are needed."""
    long = {body.name: body.lines for body in bodies(sources()) if body.lines > LONGEST}
    assert long.keys() == LONG_FUNCTIONS.keys(), long


def test_no_file_is_long():
    """At most 350 lines each: what does not fit is two things."""
    counts = {name: len((ROOT / name).read_text().splitlines()) for name in sources()}
    long = {name: count for name, count in counts.items() if count > FILE}
    assert long.keys() == LONG_FILES.keys(), long


def test_what_is_public_says_what_its_signature_cannot():
    """Every module, public class and public function has a docstring."""
    assert undocumented(sources()) == []


def test_every_opt_out_says_why():
    """A check that is turned off for a line gives its reason on that line."""
    found = {name: unreasoned((ROOT / name).read_text("utf-8")) for name in sources()}
    assert {name: some for name, some in found.items() if some} == {}


def test_one_event_loop_per_process():
    """A loop is opened by the runtime or by a `__main__`, nowhere else."""
    found = {file for file in loops(sources()) if not file.endswith("__main__.py")}
    assert found == {"worker/runtime.py", *OWN_LOOPS}


def test_names_say_what_is_inside():
    """No module is called utils, helpers, common, manager, service, core or base_something."""
    stems = {name: Path(name).stem for name in sources()}
    folders = {part for name in sources() for part in Path(name).parts[:-1]}
    vague = [name for name, stem in stems.items() if stem in VAGUE or stem.startswith("base_")]
    assert (vague, folders & VAGUE) == ([], set())


def test_tests_use_fakes_not_mocks():
    """Fewer than one mock in ten tests."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py")]
    tests = sum(name.startswith("test_") for tree in trees for name, _ in functions(tree))
    assert sum(map(mocks, trees)) < MOCKS_PER_TEST * tests


PLANTED = '''
import asyncio
from unittest import mock

class Bare:
    """Documented."""
    def method(self):
        """Documented."""
        a = 1

        return a
    @property
    def told(self): return mock.Mock()
    @told.setter
    def told(self, value): self.a = mock.patch("x")

def undocumented():
    asyncio.run(main())
def _private(): ...
'''


@pytest.fixture
def planted() -> dict[str, ast.Module]:
    """A module that breaks the rules."""
    return {"planted.py": ast.parse(PLANTED)}


def test_the_measures_see_what_they_should(planted: dict[str, ast.Module]):
    """Lines are counted without docstrings; missing docstrings, loops and mocks are found."""
    assert Body("planted.py:Bare.method", 3) in bodies(planted)
    assert undocumented(planted) == [
        "planted.py:",
        "planted.py:Bare.told",
        "planted.py:undocumented",
    ]
    assert loops(planted) == {"planted.py"}
    assert mocks(planted["planted.py"]) == 2


def test_an_opt_out_is_told_from_its_reason():
    """Two marks on a line are one reason short if nothing follows; text is no comment."""
    bare = ["# type: ignore", "# type: ignore[arg-type]  # noqa: S603", "# noqa: PLC0415, E501"]
    said = ["# noqa: S603 # our own command", "# type: ignore[x] # as above", "# ignore this"]
    source = "\n".join(f"a = 1  {comment}" for comment in (*bare, *said))
    assert unreasoned(source + '\nb = "# noqa: S603"\n') == bare
