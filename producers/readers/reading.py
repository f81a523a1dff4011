"""One input, read to its end: rows staged, rejects named, or the file refused as a whole."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EISDIR
from os import fsync, strerror
from pathlib import Path
from types import TracebackType

from models.errors import BadInputError, SetupError
from models.whole_files import draft_of
from producers.readers.checks import RowChecker
from producers.readers.csvrows import read_csv
from producers.readers.detecting import Format, detect
from producers.readers.duplicates import Ids
from producers.readers.jsonlines import read_json_lines
from producers.readers.judging import judge
from producers.readers.options import ReadOptions
from producers.readers.parquetrows import read_parquet
from producers.readers.rejects import Reject, RejectCode, Row, RowError, reject_row
from producers.readers.source import Source
from producers.readers.staging import StagedRow, Staging, disk_answers
from producers.readers.unpacking import buffered, head_of, unpack


@dataclass(frozen=True)
class ReadResult:
    """What became of an input. Close it (or use `with`) to delete what was staged."""

    name: str
    """The input's name, safe to print."""
    fingerprint: str
    """SHA-256 of the input's bytes as they lie (packed, if packed), in hexadecimal."""
    format: Format
    accepted: int
    rejected: int
    """Refused rows, with those left out by `on_duplicate`."""
    blank: int
    """Blank lines, which are skipped."""
    generated_ids: int
    """Accepted rows without an id of their own, called after their line."""
    codes: Mapping[RejectCode, int]
    """Refused rows by code."""
    rejects: list[Reject]
    """The first few rejects; all of them are in `rejects_path`."""
    rejects_path: Path | None
    """Staged rejects file, deleted by `close`; None if nothing was refused."""
    fields: Mapping[str, int]
    """Names of fields (a thousand at most) and how many accepted rows have each."""
    _staging: Staging

    def rows(self) -> Iterator[StagedRow]:
        """The accepted rows in the input's order; may be called again, memory stays constant."""
        return self._staging.rows()

    def write_rejects(self, path: str | Path) -> Path | None:
        """Copy the rejects to `path`, replacing what is there; None if there are none.

        Raises as `listing_rejects` does.
        """
        with self.listing_rejects(path) as listed:
            return listed

    @contextmanager
    def listing_rejects(
        self, path: str | Path, *, makes_folder: bool = False
    ) -> Iterator[Path | None]:
        """The list of rejects, which replaces what is at `path` if the block ends well; None if
        there are none. What is paid for belongs in the block: the list is on the disk by then.

        Raises `BadInputError` where there is no such folder, `SetupError` for a full disk.
        """
        if self.rejects_path is None:
            yield None
            return
        target, draft = Path(path), draft_of(Path(path))
        try:
            with _naming(target):
                if makes_folder:
                    target.parent.mkdir(parents=True, exist_ok=True)
                _draft(self.rejects_path, draft, target)
            yield target
            with _naming(target):
                draft.replace(target)
        finally:
            with suppress(OSError):
                draft.unlink()

    def close(self) -> None:
        """Delete the staged rows and rejects; may be called twice."""
        self._staging.close()

    def __enter__(self) -> "ReadResult":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Says which list it is that cannot be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"the rows that are left out cannot be listed in {target} "
            f"({error.strerror or error}): free some space or choose another folder"
        ) from error


def _draft(source: Path, draft: Path, target: Path) -> None:
    if not target.parent.is_dir():
        raise BadInputError(f"there is no folder {target.parent}: make it first")
    if target.is_dir():  # it would be found out when the draft is to take its place
        raise IsADirectoryError(EISDIR, strerror(EISDIR))
    shutil.copyfile(source, draft)
    with draft.open("rb") as written:
        fsync(written.fileno())


def read(source: str | Path, options: ReadOptions, staging: Path) -> ReadResult:
    """Read the file `source` (`-`: stdin) to its end, staging its good rows below `staging`.

    Raises `RejectedFileError` where the file is wholly wrong or has too many bad rows (its rejects
    then stay in `staging`), `BadInputError` or `NotFoundError` where there is no file to read.
    """
    with Source(source) as opened:
        reading = _Reading(opened, options, Staging(staging))
        try:
            return reading.run()
        except BaseException:
            reading.staging.close()
            raise


class _Reading:
    """The reading of one source, step by step."""

    def __init__(self, source: Source, options: ReadOptions, staging: Staging) -> None:
        self.source, self.options, self.staging = source, options, staging
        self.ids = Ids()
        self.blank = 0

    def run(self) -> ReadResult:
        """Detect, read, check, judge; what is left then is the result."""
        chunks = unpack(self.source.chunks(), self.source.name, self.options.max_unpacked_ratio)
        head, chunks = head_of(chunks)
        form = detect(head, self.source.name)
        unit, cells = "row" if form is Format.PARQUET else "line", form is Format.CSV
        checker = RowChecker(self.options, unit, cells=cells)
        with disk_answers(self.staging.folder):
            self._take(self._parsed(form, head, chunks), checker)
        fingerprint = self.source.fingerprint()
        judge(self.source.name, fingerprint, self.staging, self.options)
        with disk_answers(self.staging.folder):
            self.ids.settle(self.source.name, self.staging, self.options)
            self.staging.finish()
        return self._result(form, fingerprint, checker.generated_ids)

    def _parsed(
        self, form: Format, head: bytes, chunks: Iterator[bytes]
    ) -> Iterator[Row | Reject | None]:
        name, longest = self.source.name, self.options.max_line_bytes
        match form:
            case Format.JSON_LINES:
                return read_json_lines(buffered(chunks), longest)
            case Format.CSV:
                return read_csv(buffered(chunks), head, name, longest)
            case Format.PARQUET:
                scratch = self.staging.scratch_file()
                return read_parquet(chunks, scratch, name, self.options.max_unpacked_ratio)

    def _take(self, parsed: Iterable[Row | Reject | None], checker: RowChecker) -> None:
        """Stage each row or its reject, up to the limit or to where it is hopeless."""
        staging = self.staging
        for item in parsed:
            match item:
                case Row():
                    self._take_row(item, checker)
                case Reject():
                    staging.reject(item)
                case None:
                    self.blank += 1
            if staging.accepted == self.options.limit or staging.is_hopeless():
                return

    def _take_row(self, row: Row, checker: RowChecker) -> None:
        try:
            row_id, staged = checker.check(row)
        except RowError as error:
            self.staging.reject(reject_row(row, error.code, error.message))
        else:
            self.ids.note(row_id)
            self.staging.accept(staged, row.data)

    def _result(self, form: Format, fingerprint: str, generated_ids: int) -> ReadResult:
        staging = self.staging
        return ReadResult(
            name=self.source.name,
            fingerprint=fingerprint,
            format=form,
            accepted=staging.accepted,
            rejected=staging.codes.total(),
            blank=self.blank,
            generated_ids=generated_ids,
            codes=dict(staging.codes),
            rejects=staging.first_rejects,
            rejects_path=staging.rejects_path,
            fields=dict(staging.fields),
            _staging=staging,
        )
