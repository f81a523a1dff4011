"""Every class of bad input on every command that reads a file of rows.

Bad lines are counted, named and left out, or the file is refused, and then nothing was begun: no
job, no row, no call, no event, no message. Two kinds of commands differ in the first: those that
are `strict` refuse a file for one bad line, because each of its lines was meant.

What a class means in detail (columns, code points, sizes) is proved once, for the reader that they
all use: `tests/unit/readers`. Cells that are not here, and why:

* prompt over the context window: only `generate`, `embed` and `evaluate` ask with a row, and
  where the server does not tell the window, it refuses, unpaid (`test_long_rows.py`).
* budget too small: `test_money_commands.py`. A file changed while read, no permission, devices,
  sockets: `tests/unit/readers/test_input_files.py`. The same file submitted twice:
  `test_commands.py`, `test_evaluation_stumbles.py`, `test_embedding_commands.py`.
* `train DATASET`, `dataset split`, `show` and `tokens` take a dataset, which `dataset make` wrote:
  rows broken by hand are refused in `tests/unit/datasets/test_broken_rows.py`.
* gold, labels, letters, preferences, rankings and documents are fields of the rows of `evaluate
  --data` and `embed`: below, and in `tests/unit/evaluating/test_reading_labels.py`.
* webhooks, reports, exports, costs and control take no file.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bad_rows import FILES, GOOD, ROWS, Bad, among, lines, named, row
from cli_builders import Ended
from sqlalchemy import MetaData, func, select

from models.store.engine import Store
from producers import offered
from proving.training_builders import a_dataset_folder
from simulator.catalogue import model_card

Run = Callable[..., Ended]
RECIPE = """
name = "test"
model = "mistral-small-latest"
[[steps]]
name = "answer"
prompt = "Read: {{ row.text }}"
[output.record]
answer = "{{ answer }}"
"""
SUITE = """
name = "moods"
kind = "classification"
[classification]
labels = ["happy", "sad"]
gold = "label"
[prompts.default]
prompt = "{{ row.text }}"
"""
PIPELINE = """
name = "p"
description = "one stage"
[[stages]]
name = "answers"
kind = "generate"
"""
DEAD = "redis://127.0.0.1:1/0"
"""Whoever tries to send a message there, where sockets are off, ends with a bug's code."""


@dataclass(frozen=True)
class Command:
    """A command that reads rows: its words, `FILE` where the file stands; what is done with it."""

    words: tuple[str, ...]
    strict: bool = False
    lists: bool = False
    """Whether a list of what is wrong is its answer, as facts."""
    rejects: str = ""
    """Pattern of the file that lists what was left out."""
    taken: Callable[[Any], int] | None = None
    """How many rows were taken, of its facts."""
    knows_ids: bool = True
    """Whether it tells rows apart by their ids."""

    def refuses(self, bad: Bad) -> bool:
        """Whether the whole file."""
        by_words = bool(bad.words) and (self.knows_ids or bad.words != "the same id")
        return by_words or bool(bad.code and self.strict)

    def of(self, path: str) -> tuple[str, ...]:
        """With this file."""
        return tuple(path if word == "FILE" else word for word in self.words)


def _of_input(facts: Any) -> int:
    return int(facts["input"]["accepted"])


_SUBMIT = ("--detach", "--again", "--json")
_BESIDE = "*.rejects.jsonl"
_TRAIN = ("train", "news", "--base", "ministral-8b-latest", "--trainer", "mistral", "--steps", "2")
COMMANDS: Mapping[str, Command] = {
    "generate": Command(
        ("generate", "FILE", "-r", "r.toml", *_SUBMIT), rejects=_BESIDE, taken=_of_input
    ),
    "embed": Command(
        ("embed", "FILE", "--text", "{{ row.text }}", *_SUBMIT), rejects=_BESIDE, taken=_of_input
    ),
    "evaluate": Command(
        ("evaluate", "s.toml", "-m", "mistral-small-latest", "--data", "FILE", *_SUBMIT),
        rejects=_BESIDE,
        taken=_of_input,
    ),
    "run": Command(("run", "p", "--input", "FILE", *_SUBMIT)),
    "dataset make": Command(
        ("dataset", "make", "made", "FILE", "--dedupe", "none", "--overwrite", "--json"),
        rejects="../home/datasets/made/rejects.jsonl",
        taken=lambda facts: int(facts["parts"]["rows"]["rows"]),
    ),
    "dataset validate": Command(
        ("dataset", "validate", "FILE", "--json"),
        strict=True,
        lists=True,
        taken=lambda facts: int(facts["rows"]),
    ),
    "train --validation": Command(
        (*_TRAIN, "--validation", "FILE", "--again", "--no-watch", "--json"),
        strict=True,
        knows_ids=False,
    ),
    "review make": Command(
        ("review", "make", "--left-file", "FILE", "--right-file", "other.jsonl", "--json"),
        strict=True,
    ),
}


@pytest.fixture(autouse=True)
def files(home: Path, user_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands need besides; no broker is asked for anything."""
    Path("r.toml").write_text(RECIPE)
    Path("s.toml").write_text(SUITE)
    Path("p").mkdir()
    Path("p/pipeline.toml").write_text(PIPELINE)
    Path("p/recipe.toml").write_text(RECIPE)
    others = [row(number, answer=f"other {number}", messages=None) for number in range(100)]
    Path("other.jsonl").write_bytes(lines(others))
    a_dataset_folder(home / "datasets")
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))


@pytest.fixture
def count(user_store: Store) -> Callable[[], dict[str, int]]:
    """How many entries each table has that has any, but for those that every start writes."""

    def counted() -> dict[str, int]:
        found = MetaData()
        with user_store.read() as connection:
            found.reflect(connection)
            sizes = {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in found.sorted_tables
            }
        return {name: size for name, size in sizes.items() if size and name != "alembic_version"}

    return counted


def refused(ended: Ended, words: str = "") -> str:
    """What is wrong with the end of a command that had to refuse; empty: nothing."""
    told = " ".join(ended.err.split())
    if ended.code != 2:
        return f"ended with {ended.code}: {told[:200]}"
    if "Traceback" in ended.err + ended.out or ("Error: " not in told and ended.err):
        return f"is not told as an error: {told[:200]}"
    return "" if words in told else f"does not say {words!r}: {told[:300]}"


def listed(pattern: str, bad: Bad) -> str:
    """What is wrong with the file of rejects; empty: nothing."""
    (path,) = Path().glob(pattern) if "/" not in pattern else [Path(pattern)]
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    path.unlink()
    if [entry["code"] for entry in entries] != [bad.code]:
        return f"the rejects are {entries}"[:300]
    entry = entries[0]
    place = entry.get("line") == bad.line or f" line {bad.line}" in entry.get("place", "")
    if not place or len(entry["excerpt"]) > 200 or not entry["message"]:
        return f"the reject is {entry}"[:600]
    if "line" in entry:
        offset = sum(len(line) for line in bad.content.splitlines(keepends=True)[: bad.line - 1])
        return "" if entry["byte_offset"] == offset else f"the offset is {entry['byte_offset']}"
    return ""


def tried(run: Run, command: Command, bad: Bad) -> str:
    """What is wrong with how a command takes the file of a class; empty: nothing."""
    path = Path("rows.jsonl")
    path.write_bytes(bad.content)
    ended = run(*command.of(path.name))
    if command.lists and (bad.words or bad.code) and not ended.err:
        codes = {problem["code"] for problem in ended.facts["problems"]}
        is_listed = bad.code in codes if bad.code else codes
        return "" if ended.code == 2 and is_listed else f"{ended.code} {codes}"
    if command.refuses(bad):
        return refused(ended, bad.words or bad.code)
    if ended.code != 0:
        return f"ended with {ended.code}: {ended.err[:300]}"
    if command.taken is not None and command.taken(ended.facts) != bad.rows:
        return f"took {command.taken(ended.facts)} rows"
    return listed(command.rejects, bad) if bad.code and command.rejects else ""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_class_is_taken_or_named(run: Run, name: str) -> None:
    """Good rows go on, and bad ones are listed with line, byte, code and excerpt; or exit 2."""
    command = COMMANDS[name]
    found = {entry: tried(run, command, bad) for entry, bad in FILES.items()}
    assert {entry: told for entry, told in found.items() if told} == {}


BESIDE = {
    "generate": "rows.test.rejects.jsonl",
    "embed": "rows.rejects.jsonl",
    "evaluate": "rows.moods.evaluation.rejects.jsonl",
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_list_of_bad_rows_that_cannot_be_written_costs_nothing(
    run: Run, name: str, count: Callable[[], dict[str, int]]
) -> None:
    """It is tried before the job is submitted, and named; a dry run writes none."""
    Path(BESIDE[name]).mkdir()
    Path("rows.jsonl").write_bytes(FILES["NaN"].content)
    ended = run(*COMMANDS[name].of("rows.jsonl"))
    assert (ended.code, BESIDE[name] in ended.err) == (1, True), ended.err
    assert "MAESTRALE_HOME" not in ended.err
    assert count() == {}
    assert run(*COMMANDS[name].of("rows.jsonl"), "--dry-run").code == 0


@pytest.mark.parametrize("name", BESIDE)
def test_who_is_refused_keeps_the_list_of_an_earlier_job(run: Run, name: str) -> None:
    """The same again is no job: its list neither replaces that one nor is written anew."""
    Path("rows.jsonl").write_bytes(FILES["NaN"].content)
    again = [one for one in COMMANDS[name].of("rows.jsonl") if one != "--again"]
    assert run(*again).code == 0
    (place := Path(BESIDE[name])).write_text("edited")
    ended = run(*again)
    assert (ended.code, "job_" in ended.err) == (2, True), ended.err
    assert place.read_text() == "edited"
    place.unlink()
    before = {path.name for path in Path().iterdir()}
    assert run(*again).code == 2
    assert {path.name for path in Path().iterdir()} == before


def test_a_folder_that_is_misspelt_is_not_made(
    run: Run, count: Callable[[], dict[str, int]]
) -> None:
    """The list of bad rows would lie in it, and the records nowhere."""
    Path("rows.jsonl").write_bytes(FILES["NaN"].content)
    ended = run(*COMMANDS["generate"].of("rows.jsonl"), "--out", "typo/x.jsonl")
    assert (ended.code, "typo: make it first" in ended.err) == (2, True), ended.err
    assert not Path("typo").exists()
    assert count() == {}


def test_an_evaluation_lists_them_in_the_folder_of_its_report(run: Run) -> None:
    """Nothing is written here, nor over the list of a recipe of the same name."""
    Path("rows.jsonl").write_bytes(FILES["NaN"].content)
    here = {path.name for path in Path().iterdir()}
    ended = run(*COMMANDS["evaluate"].of("rows.jsonl"), "--report", "made/exam")
    assert ended.facts["rejects"] == "made/exam/rows.moods.evaluation.rejects.jsonl", ended.err
    assert Path(ended.facts["rejects"]).read_text().count("\n") == 1
    assert {path.name for path in Path().iterdir()} - here == {"made"}
    assert run(*COMMANDS["evaluate"].of("rows.jsonl"), "--report", "made/exam").code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_begun_with_a_file_that_is_refused(
    run: Run, name: str, count: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No table has an entry, no folder of a dataset or run is there, and nobody was rung up."""
    monkeypatch.setenv("REDIS_URL", DEAD)
    command = COMMANDS[name]
    strictly = [FILES["NaN"]] if command.strict else []
    wholly = [bad for bad in FILES.values() if bad.words and command.refuses(bad)]
    for bad in wholly + strictly:
        if len(bad.content) < 70_000 or name == "generate":  # the bomb once is enough
            Path("rows.jsonl").write_bytes(bad.content)
            assert run(*command.of("rows.jsonl")).code == 2
    assert count() == {}
    home = Path("../home")
    made = [path.name for path in home.glob("datasets/*")] + [*home.glob("runs/*")]
    assert made == ["news"]
    assert [path.name for path in home.glob("training/*")] == []


def test_whatever_is_sent_would_be_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above bites: where a job is made, the dead broker is tried."""
    monkeypatch.setenv("REDIS_URL", DEAD)
    Path("rows.jsonl").write_bytes(lines(ROWS))
    assert run(*COMMANDS["generate"].of("rows.jsonl")).code == 70


# -- what is no file -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_no_file_is_named_at_once(
    run: Run, name: str, count: Callable[[], dict[str, int]]
) -> None:
    """Nothing waits for a FIFO that nobody writes, or reads a device."""
    Path("folder").mkdir()
    os.mkfifo("fifo")
    long = "x" * 5000
    for path in ("nowhere.jsonl", "folder", "fifo", "/dev/zero", "r.toml/x", long, "", "a\nb"):
        ended = run(*COMMANDS[name].of(path))
        assert refused(ended) == "", path[:20]
    assert count() == {}


@pytest.mark.parametrize("name", ["generate", "embed", "dataset validate"])
def test_stdin_is_held_to_the_same(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch, stdin: Callable[[bytes], Any]
) -> None:
    """`-` reads it, and names what is wrong with it."""
    monkeypatch.setattr(sys, "stdin", stdin(FILES["UTF-16"].content))
    assert refused(run(*COMMANDS[name].of("-")), "<stdin> is UTF-16") == ""
    monkeypatch.setattr(sys, "stdin", stdin(lines(ROWS)))
    assert run(*COMMANDS[name].of("-")).code == 0


@pytest.fixture
def stdin(tmp_path: Path) -> Iterator[Callable[[bytes], Any]]:
    """Opens bytes as a process has them on its standard input."""
    opened: list[Any] = []

    def of(content: bytes) -> Any:
        (tmp_path / "stdin").write_bytes(content)
        opened.append((tmp_path / "stdin").open())
        return opened[-1]

    yield of
    for one in opened:
        one.close()


# -- what each command asks of a row ---------------------------------------------------------------

LONG = {"text": "word " * 140_000}
"""More than any of the models takes."""
WANTING: Mapping[str, Mapping[str, tuple[dict[str, Any], str]]] = {
    "generate": {
        "missing field": ({"text": None}, "missing_field"),
        "prompt over the context window": (LONG, "too_long"),
    },
    "embed": {
        "missing field": ({"text": None}, "missing_field"),
        "prompt over the context window": (LONG, "too_long"),
    },
    "evaluate": {
        "missing field": ({"text": None}, "missing_field"),
        "prompt over the context window": (LONG, "too_long"),
        "missing label": ({"label": None}, "missing_field"),
        "another's label": ({"label": "angry"}, "bad_value"),
        "label of a wrong type": ({"label": [1]}, "bad_value"),
    },
    "dataset make": {
        "messages of a wrong type": ({"messages": "no"}, "shape"),
        "no messages": ({"messages": []}, "no_messages"),
    },
}


@pytest.mark.parametrize("name", WANTING)
def test_a_row_that_lacks_something_is_listed(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on."""
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    told = [model_card("mistral-small-latest"), model_card("mistral-embed")]
    monkeypatch.setattr(offered, "cards", lambda *_: told)
    command = COMMANDS[name]
    for entry, (changes, code) in WANTING[name].items():
        Path("rows.jsonl").write_bytes(lines([*ROWS, row(99, **changes)]))
        ended = run(*command.of("rows.jsonl"))
        assert ended.code == 0, (entry, ended.err)
        (path,) = [*Path().glob(_BESIDE), *Path("../home/datasets/made").glob("rejects.jsonl")]
        (reject,) = (json.loads(line) for line in path.read_bytes().splitlines())
        path.unlink()
        assert reject["code"] == code, (entry, reject)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"text": ""}, "cannot be asked"), ({"text": {"a": 1}}, "cannot be asked")],
)
def test_an_empty_or_unprintable_prompt_is_told_before_it_is_due(
    run: Run, changes: dict[str, Any], said: str
) -> None:
    """It costs nothing: the row fails by name, unasked."""
    Path("r.toml").write_text(RECIPE.replace("Read: ", ""))
    Path("rows.jsonl").write_bytes(lines([*ROWS, row(99, **changes)]))
    for name in ("generate", "evaluate"):
        assert f"1 of 31 sampled rows {said}" in run(*COMMANDS[name].of("rows.jsonl")).err


def test_a_missing_template_variable_is_named(run: Run) -> None:
    """With those that there are, before a row is read."""
    Path("v.toml").write_text(RECIPE.replace("{{ row.text }}", "{{ vars.tongue }}"))
    Path("rows.jsonl").write_bytes(lines(ROWS))
    ended = run("generate", "rows.jsonl", "-r", "v.toml", "--detach")
    assert refused(ended, "tongue") == ""


def test_csv_and_parquet_are_taken_as_such(run: Run) -> None:
    """Under any name; a row of another length is listed."""
    text = "id,text,label\n" + "".join(f"r{n},text {n},happy\n" for n in range(GOOD))
    Path("rows.jsonl").write_text(text + "r99,too,many,cells\n")
    for name in ("generate", "embed", "evaluate"):
        told = run(*COMMANDS[name].of("rows.jsonl"))
        assert told.facts["input"]["rejected_by_code"] == {"ragged_row": 1}, told.err
    import pyarrow as pa  # noqa: PLC0415 # slow to import
    from pyarrow import parquet  # noqa: PLC0415

    rows = [{key: one[key] for key in ("id", "text", "label")} for one in ROWS]
    parquet.write_table(pa.Table.from_pylist(rows), "rows.jsonl")
    for name in ("generate", "embed", "evaluate"):
        assert run(*COMMANDS[name].of("rows.jsonl")).facts["input"]["accepted"] == GOOD


# -- sheets of reviews -----------------------------------------------------------------------------


def test_each_class_of_a_sheet_is_taken_or_named(
    run: Run, count: Callable[[], dict[str, int]]
) -> None:
    """All of a sheet or nothing of it: one bad line, and nobody has judged."""
    Path("rows.jsonl").write_bytes(lines(ROWS))
    review = run(*COMMANDS["review make"].of("rows.jsonl")).facts["id"]
    before = count()
    sheets = named(lambda number: f"{review}-{number + 1}")
    strange = {"U+2028", "unknown fields", "braces in data"}  # their row 99 is no pair
    command = Command(("review", "import", review, "FILE", "--reviewer", "ada", "--json"), True)
    for entry, bad in sheets.items():
        content = bad.content.replace(b'"label": "happy"', b'"choice": "left"')
        words = bad.words or ("is no pair of" if entry in strange else "")
        told = Bad(content, bad.code, words)
        if words or bad.code:
            assert tried(run, command, told) == "", entry
    assert count() == before
    for entry in ("UTF-8 BOM", "CRLF", "blank lines"):
        content = sheets[entry].content.replace(b'"label": "happy"', b'"choice": "left"')
        assert tried(run, command, Bad(content)) == "", entry


def test_a_sheet_says_what_a_choice_is(run: Run) -> None:
    """As spreadsheets save it."""
    Path("rows.jsonl").write_bytes(lines(ROWS))
    review = run(*COMMANDS["review make"].of("rows.jsonl")).facts["id"]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "choice"], [f"{review}-1", "up"], ["rev_x-1", "left"]])
    Path("s.csv").write_text(text.getvalue())
    told = run("review", "import", review, "s.csv", "--reviewer", "ada")
    assert refused(told, "'up' is no choice") == ""
    assert "line 3" in told.err


def test_among_has_its_line_where_it_says() -> None:
    """The table itself: the bad line is the sixteenth of 31."""
    assert among("x").split(b"\n")[15] == b"x"


@pytest.mark.parametrize("name", COMMANDS)
def test_only_who_can_be_told_to_keep_one_is_advised_so(run: Run, name: str) -> None:
    """The others have to make the ids differ."""
    Path("rows.jsonl").write_bytes(FILES["duplicate ids"].content)
    ended = run(*COMMANDS[name].of("rows.jsonl"))
    takes = "--on-duplicate" in run(*COMMANDS[name].words[:2], "--help").out or name == "run"
    assert ("on_duplicate" in ended.err) is (takes and not COMMANDS[name].strict), ended.err
