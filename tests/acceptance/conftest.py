"""Acceptance: real worker processes, a real server, the simulator; slow by nature."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from proving.stage import Stage, stage, write_rows


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole systems start and stop here: each test may take a while."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture
def on_stage() -> Iterator[Callable[..., Stage]]:
    """Starts a whole system: `on_stage("--latency-median", "0.1", workers=2)`."""
    with ExitStack() as stack:

        def start(*simulator: str, **options: Any) -> Stage:
            return stack.enter_context(stage(*simulator, **options))

        yield start


@pytest.fixture
def texts(tmp_path: Path) -> Callable[[int], Path]:
    """A file of so many distinct rows for the recipe `translate`."""

    def write(count: int, start: int = 0) -> Path:
        return write_rows(tmp_path / f"texts-{start}-{count}.jsonl", count, start=start)

    return write
