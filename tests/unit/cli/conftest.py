"""Commands run in this process, over a home of the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_builders import Ended

from models.settings import Settings
from models.store import schema
from models.store.engine import Store, open_store
from producers.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home of Maestrale; the current folder is beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MAESTRALE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs one command: `run("show", "job_x")`."""

    def run_command(*arguments: str) -> Ended:
        capfd.readouterr()
        code = main(arguments)
        told = capfd.readouterr()
        return Ended(code, told.out, told.err)

    return run_command


@pytest.fixture
def user_store(home: Path) -> Iterator[Store]:
    """The database that commands will find."""
    store = open_store(Settings(_env_file=None))
    schema.migrate(store)
    yield store
    store.close()
