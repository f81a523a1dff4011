"""Builders for inputs and for one reading of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from models.errors import MaestraleError
from producers.readers import ReadOptions, ReadResult, StagedRow, read


class Desk:
    """Writes inputs into a temporary folder and reads them, closing all results at the end."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.staging = folder / "staging"
        self._stack = stack

    def file(self, content: bytes | str, name: str = "in.jsonl") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(
        self, content: bytes | str | Path, name: str = "in.jsonl", **options: Any
    ) -> ReadResult:
        path = content if isinstance(content, Path) else self.file(content, name)
        options.setdefault("max_rejected_share", 1.0)
        return self._stack.enter_context(read(path, ReadOptions(**options), self.staging))

    def rows(
        self, content: bytes | str | Path, name: str = "in.jsonl", **options: Any
    ) -> list[Any]:
        return [row.data for row in self.read(content, name, **options).rows()]

    def refused(
        self,
        content: bytes | str | Path,
        name: str = "in.jsonl",
        error: type[MaestraleError] = MaestraleError,
        **options: Any,
    ) -> str:
        with pytest.raises(error) as caught:
            self.read(content, name, **options)
        assert caught.value.exit_code == 2
        return str(caught.value)

    def bad_line(self, line: bytes | str, **options: Any) -> Any:
        """The one reject that comes of `line` between two good ones, which must survive."""
        line = line.encode() if isinstance(line, str) else line
        result = self.read(b'{"id": "a"}\n' + line + b'\n{"id": "b"}\n', **options)
        assert [row.row_id for row in result.rows()] == ["a", "b"]
        assert (result.accepted, result.rejected, len(result.rejects)) == (2, 1, 1)
        reject = result.rejects[0]
        assert (reject.line, reject.byte_offset) == (2, 12)
        assert len(reject.excerpt) <= 200 and reject.excerpt.isprintable()
        return reject


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack)


@pytest.fixture
def ids() -> Callable[[ReadResult], list[str]]:
    return lambda result: [row.row_id for row in list[StagedRow](result.rows())]
