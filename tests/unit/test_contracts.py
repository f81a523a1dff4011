"""Each top-level folder is one sentence, and these contracts keep it."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]
NOT_SHIPPED = {"tests", "benchmarks", "faults", "proving", "reference"}
MAY_SPEAK_SQL = ("models/store/", "models/tables/")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over the packages of `folder`."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all packages, to plant violations in."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    return folder


def test_the_contracts_hold():
    """No package, cycle or foreign library is where it does not belong."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "line", "broken"),
    [
        ("models/planted.py", "import worker.asking", "models"),
        ("models/planted.py", "import producers.client", "models"),
        ("producers/planted.py", "import worker.retrying", "meet only in models"),
        ("worker/planted.py", "import simulator.server", "meet only in models"),
        ("dashboard/planted.py", "import worker.app", "meet only in models"),
        ("simulator/planted.py", "import dashboard", "meet only in models"),
        ("worker/retrying.py", "import worker.asking", "by a detour"),
        ("worker/planted.py", "import aiohttp", "speaks HTTP"),
        ("worker/kinds/planted.py", "def late():\n    import mistralai", "SDK"),
        ("producers/planted.py", "import sqlmodel", "SQLModel"),
    ],
)
def test_a_planted_violation_is_seen(copy: Path, path: str, line: str, broken: str):
    """Every contract breaks when it should: what it keeps is not kept by chance."""
    planted = copy / path
    before = planted.read_text() if planted.exists() else None
    planted.write_text(f"{before or ''}\n{line}\n")
    try:
        done = lint_imports(copy)
    finally:
        planted.unlink() if before is None else planted.write_text(before)
    flat = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in flat
    assert broken in flat


def top_level(folder: Path) -> set[str]:
    """Names that Python could import from `folder`, what is not shipped aside."""
    packages = {path.parent.name for path in folder.glob("[a-z]*/*.py")}
    return (packages | {path.stem for path in folder.glob("*.py")}) - NOT_SHIPPED


def test_every_top_level_package_is_known():
    """A new `utils` fails here: it must become one of the known sentences, or be argued for."""
    assert top_level(ROOT) == set(PACKAGES)


def test_an_unknown_package_is_seen(copy: Path):
    """The check above looks at folders, not at a list of its own."""
    (copy / "utils").mkdir()
    (copy / "utils" / "__init__.py").touch()
    try:
        assert top_level(copy) - set(PACKAGES) == {"utils"}
    finally:
        shutil.rmtree(copy / "utils")


def test_what_is_known_is_shipped():
    """The wheel holds exactly the packages under contract."""
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == PACKAGES


def sql_outside_the_store(folder: Path) -> Iterator[str]:
    """Uses of SQLAlchemy beyond its one type and its errors, as `file:line: what`."""
    for package in PACKAGES:
        for path in sorted((folder / package).rglob("*.py")):
            name = path.relative_to(folder).as_posix()
            if not name.startswith(MAY_SPEAK_SQL):
                for node in ast.walk(ast.parse(path.read_text())):
                    yield from (f"{name}:{node.lineno}: {what}" for what in sql_in(node))


def sql_in(node: ast.AST) -> Iterator[str]:
    """Outside the store: `Connection` (a type to pass on) and `sqlalchemy.exc`, nothing else."""
    match node:
        case ast.Import(names=names):
            yield from (n.name for n in names if n.name.split(".")[0] == "sqlalchemy")
        case ast.ImportFrom(module="sqlalchemy", names=names):
            yield from (n.name for n in names if n.name != "Connection")
        case ast.ImportFrom(module=str(module)) if module.startswith("sqlalchemy."):
            if module != "sqlalchemy.exc":
                yield module
        case ast.Attribute(
            value=ast.Name("connection"),
            attr="execute" | "exec_driver_sql" | "scalar" | "scalars" as method,
        ):
            yield f"connection.{method}"


def test_sql_is_spoken_in_the_store_only():
    """A statement elsewhere could not be guarded, translated or tested in one place."""
    assert list(sql_outside_the_store(ROOT)) == []


@pytest.mark.parametrize(
    "line",
    [
        "from sqlalchemy import select",
        "import sqlalchemy as sa",
        "from sqlalchemy.dialects.sqlite import insert",
        "connection.execute('DELETE FROM jobs')",
    ],
)
def test_planted_sql_is_seen(copy: Path, line: str):
    """The rule sees functions, whole modules, dialects and raw statements."""
    planted = copy / "worker" / "planted.py"
    planted.write_text(line + "\n")
    try:
        assert any(found.startswith("worker/planted.py:1") for found in sql_outside_the_store(copy))
    finally:
        planted.unlink()
