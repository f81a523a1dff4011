"""`validate`: every row of a dataset or a file against the trainers' rules, and the files too."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from models.errors import BadInputError, NotFoundError
from models.settings import Settings
from models.training.advice import validation_too_large
from models.training.contents import UNSPLIT
from models.words import size
from producers.datasets.dataset import Dataset, open_dataset
from producers.datasets.rows import broken
from producers.datasets.rules import Problem, library_check, problems_of
from producers.datasets.splitting import group_of
from producers.readers import ReadOptions, read

MAX_FILE_BYTES = 512_000_000
"""What the hosted trainer takes as one file (512 MB; the smaller reading of it)."""
KEPT = 1000
"""Problems that a report lists; all are counted."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A problem and where it is: a file's name, and a line from 1 (0: the file as a whole)."""

    file: str
    line: int
    problem: Problem


@dataclass
class Report:
    """What was found. Warnings are what only the hosted trainer refuses."""

    rows: int = 0
    validator: str = "mistral-common"
    problems: list[Placed] = field(default_factory=list)
    warnings: list[Placed] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        """Whether it can be trained on."""
        return not self.codes

    def add(self, file: str, line: int, problem: Problem) -> None:
        """Counts a problem, and keeps it while there is room."""
        self.codes[problem.code] += 1
        if len(self.problems) < KEPT:
            self.problems.append(Placed(file, line, problem))

    def warn(self, file: str, problem: Problem) -> None:
        """A problem that stops nothing here."""
        self.warnings.append(Placed(file, 0, problem))


def validate(settings: Settings, name_or_path: str) -> Report:
    """Checks a dataset, or one file of rows. Raises what opening and reading raise."""
    report = Report()
    if library_check() is None:
        report.validator = "own rules only (mistral-common is not installed)"
    path = Path(name_or_path).expanduser()
    if name_or_path == "-" or path.is_file():
        _check_rows(settings, str(path), report)
        if path.is_file():
            _check_size(path, report)
        return report
    try:
        dataset = open_dataset(settings, name_or_path)
    except NotFoundError as error:
        raise NotFoundError(f"{error}, or check the path of the file") from error
    for part in dataset.parts:
        _check_rows(settings, str(dataset.path(part)), report, of_dataset=True)
        _check_size(dataset.path(part), report)
    _check_whole(dataset, report)
    return report


def _check_rows(settings: Settings, path: str, report: Report, *, of_dataset: bool = False) -> None:
    options = ReadOptions(max_rejected_share=1.0, on_duplicate="first")
    with read(path, options, settings.home / "staging") as found:
        report.rows += found.accepted + found.rejected
        for line, code, message in _rejected(found.rejects_path):
            report.add(found.name, line, Problem(code, message, "mend the line"))
        kinds: Counter[bool] = Counter()
        for staged in found.rows():
            kinds["labels" in staged.data] += 1
            problems = problems_of(staged.data)
            if of_dataset and not problems and (why := broken(staged.data)):
                problems = [Problem("not_a_row", why, "make the dataset anew")]
            for problem in problems:
                report.add(found.name, staged.line, problem)
    if len(kinds) > 1:
        told = f"{kinds[True]:,} rows have labels and {kinds[False]:,} have none"
        report.add(found.name, 0, Problem("mixed_kinds", told, "make two files"))


def _rejected(path: Path | None) -> Iterator[tuple[int, str, str]]:
    if path is None:
        return
    with path.open("rb") as lines:
        for line in lines:
            entry = orjson.loads(line)
            yield entry["line"], entry["code"], entry["message"]


def _check_size(path: Path, report: Report) -> None:
    if (found := path.stat().st_size) > MAX_FILE_BYTES:
        told = f"{size(found)}; the hosted trainer takes {size(MAX_FILE_BYTES)} a file"
        report.warn(path.name, Problem("file_too_large", told, "take fewer rows, or train locally"))


def _check_whole(dataset: Dataset, report: Report) -> None:
    """What no single row shows: the hash, the sizes of parts, groups on two sides."""
    if not dataset.is_unchanged():
        told = "the rows are not those that dataset.json tells of"
        report.add(dataset.name, 0, Problem("changed", told, "make the dataset anew"))
    if dataset.parts == [UNSPLIT]:
        advice = f"maestrale dataset split {dataset.name}"
        report.warn(dataset.name, Problem("not_split", "there is no part `train` yet", advice))
    elif "train" not in dataset.parts:
        report.add(dataset.name, 0, Problem("no_train", "no row is for training", "split it anew"))
    _check_validation(dataset, report)
    if len(dataset.parts) > 1:
        with suppress(BadInputError):  # rows that cannot be read or grouped are named by then
            _check_groups(dataset, report)


def _check_validation(dataset: Dataset, report: Report) -> None:
    parts = dataset.manifest.parts
    if "validation" not in parts or "train" not in parts:
        return
    told = validation_too_large(parts["train"].bytes, parts["validation"].bytes)
    if told:
        advice = "give it a smaller share to train there; the local trainer takes it"
        report.warn("validation.jsonl", Problem("validation_too_large", told, advice))


def _check_groups(dataset: Dataset, report: Report) -> None:
    """No group may stand on two sides; a row costs about 100 bytes of memory."""
    split = dataset.manifest.split
    if split is None or split.by == "field":
        return
    sides: dict[str, str] = {}
    for part in dataset.parts:
        for row in dataset.rows(part):
            if sides.setdefault(group_of(row, split.group_by), part) != part:
                told = f"the group of row {row['id']!r} stands in two parts"
                report.add(f"{part}.jsonl", 0, Problem("straddling", told, "split it anew"))
