"""A run asked for once more: the command that repeats it, what is the same run, what is refused."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import BadInputError, NotFoundError
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.settings import Settings
from models.states import JobState
from models.store import jobs, schema
from models.store.engine import open_store
from models.suites import Suite, load_suite
from producers import Maestrale
from producers.evaluating.evaluating import Wish, evaluation_of
from producers.pipelines import Runs
from producers.pipelines.collecting import repeat
from producers.pipelines.hand import limit_of
from producers.pipelines.runs import check_limit, fingerprint
from proving.pipelines_stage import edit, write_recipe

FROM_PAIRS, FROM_INPUT = "{{ pairs.records }}", "{{input}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe's, whose name is no word of a shell."""
    return write_recipe(tmp_path / "my small")


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """In a home of the test's own."""
    settings = Settings(_env_file=None, home=tmp_path / "home")
    store = open_store(settings)
    schema.migrate(store)
    store.close()
    with Maestrale(settings) as maestrale:
        yield Runs(maestrale)


def told_of(where: object, *, limit: int | None = None, via: Any = None, **more: Any) -> RunSpec:
    """A run of the pipeline there."""
    return RunSpec(pipeline=load_pipeline(str(where), **more), limit=limit, via=via)


def test_the_command_names_the_file_and_all_that_was_given(folder: Path) -> None:
    """Another pipeline of the folder, its rows and variables, quoted for a shell."""
    other = (folder / "pipeline.toml").rename(folder / "local.toml")
    rows = folder.parent / "other rows.jsonl"
    rows.write_text('{"id": "a", "text": "t"}\n')
    told = told_of(other, limit=5, via="batch", variables={"steps": "12"}, input_file=str(rows))
    assert shlex.split(repeat(told)) == [
        *("maestrale", "run", str(other), "--input", str(rows)),
        *("--set", "steps=12", "--limit", "5", "--via", "batch"),
    ]
    assert repeat(RunSpec.model_validate_json(told.model_dump_json())) == repeat(told)


def test_the_command_says_nothing_that_was_not_given(folder: Path) -> None:
    """One that comes with Maestrale is called by its name; old snapshots know their folder."""
    assert repeat(told_of("tak")) == "maestrale run tak"
    told = told_of(folder)
    assert shlex.split(repeat(told)) == ["maestrale", "run", str(folder / "pipeline.toml")]
    old = told.pipeline.model_copy(update={"file": ""})
    assert shlex.split(repeat(RunSpec(pipeline=old))) == ["maestrale", "run", str(folder)]


def test_an_exam_knows_which_suite_it_was(folder: Path) -> None:
    """A suite given as an object is called by where it was read from, not by what it calls
    itself; one that comes with Maestrale by its name."""
    exam = told_of(folder).pipeline.stage("exam")
    assert exam.suite_file == str(folder / "suite.toml")
    wish = Wish(Suite.model_validate(exam.suite), ("small",), named=exam.suite_file)
    asked = evaluation_of(load_suite(exam.suite_file)[0], wish).asked_as
    assert asked == {"suite": str(folder / "suite.toml")}
    edit(folder, "pipeline.toml", 'data = "exam.jsonl"', 'suite = "tak"')
    assert told_of(folder).pipeline.stage("exam").suite_file == "tak"


def test_the_same_run_is_the_same_wherever_its_files_lie(tmp_path: Path) -> None:
    """Also those of the suites' own rows; other rows there make another run."""
    copies = [write_recipe(tmp_path / name) for name in ("one", "two")]
    for copy in copies:
        edit(copy, "pipeline.toml", 'data = "exam.jsonl"', "")
        (copy / "own.jsonl").write_text('{"id": "a", "text": "t"}\n')
        suite = copy / "suite.toml"
        suite.write_text(f'data = "own.jsonl"\n{suite.read_text()}')
    one, two = (fingerprint(told_of(copy)) for copy in copies)
    assert one == two
    assert fingerprint(told_of(copies[0], variables={"steps": "10"})) == one
    (copies[0] / "own.jsonl").write_text('{"id": "b", "text": "u"}\n')
    assert fingerprint(told_of(copies[0])) != one


def test_another_default_prompt_is_another_run(folder: Path) -> None:
    """The first of a suite is the one that is asked where none is named."""
    one = fingerprint(told_of(folder))
    suite = folder / "suite.toml"
    head, guided, bare = suite.read_text().partition("[prompts.guided]")
    bare, prompt, tail = bare.partition("[prompts.bare]")
    assert prompt
    words, section, rest = tail.partition("[classification]")
    suite.write_text("".join((head, prompt, words, guided, bare, section, rest)))
    assert list(told_of(folder).pipeline.stage("exam").suite["prompts"]) == ["bare", "guided"]
    assert fingerprint(told_of(folder)) != one


def test_a_limit_reaches_whoever_reads_the_input(folder: Path) -> None:
    """However its template is written."""
    edit(folder, "pipeline.toml", 'kind = "generate"', 'kind = "generate"\ninput = "{{input}}"')
    told = told_of(folder, limit=5)
    assert limit_of(told, told.pipeline.stage("pairs")) == 5
    check_limit(told)


def test_a_limit_that_does_not_hold_is_refused_by_name(folder: Path) -> None:
    """A dataset of the input would take all of it, whatever other stages do."""
    edit(folder, "pipeline.toml", f'"{FROM_PAIRS}"', f'"{FROM_PAIRS}", "{FROM_INPUT}"')
    check_limit(told_of(folder))
    with pytest.raises(BadInputError, match=r"small: the stage data .*--limit.*--input"):
        check_limit(told_of(folder, limit=5))
    edit(folder, "pipeline.toml", 'kind = "generate"', 'kind = "generate"\nlimit = 2')
    edit(folder, "pipeline.toml", f', "{FROM_INPUT}"', "")
    with pytest.raises(BadInputError, match="no stage takes a --limit"):
        check_limit(told_of(folder, limit=5))


Change = Callable[[Path], dict[str, Any]]
OTHERS: list[tuple[str, Change]] = [
    ("--limit", lambda _: {"limit": 6}),
    ("--via", lambda _: {"via": "batch"}),
    ("--set", lambda _: {"variables": {"steps": "13"}}),
    ("--input", lambda folder: {"input_file": str(folder / "exam.jsonl")}),
]


@pytest.mark.parametrize(("option", "change"), OTHERS)
def test_going_on_refuses_what_the_run_was_not_begun_with(
    runs: Runs, folder: Path, option: str, change: Change
) -> None:
    """By the option's name; the run stays as it was."""
    run, _ = runs.start(told_of(folder, limit=5, variables={"steps": "12"}))
    with pytest.raises(BadInputError, match=f"{run.id}.*{option}") as caught:
        runs.go_on(told_of(folder, **change(folder)))
    assert option in str(caught.value)


def test_going_on_takes_the_same_words_or_none(runs: Runs, folder: Path) -> None:
    """The command of the run with --resume after it goes on, and so does the short one."""
    rows = str(folder / "rows.jsonl")
    told = told_of(folder, limit=5, via="auto", variables={"steps": "12"}, input_file=rows)
    run, _ = runs.start(told)
    assert runs.go_on(told).id == run.id
    assert runs.go_on(told_of(folder)).id == run.id


def test_a_cancelled_run_is_not_gone_on_with(runs: Runs, folder: Path) -> None:
    """It was given up."""
    run, _ = runs.start(told_of(folder))
    with runs._maestrale.store.write() as connection:
        assert jobs.cancel(connection, run.id)
    assert runs._maestrale.get(run.id).state == JobState.CANCELLED
    with pytest.raises(NotFoundError, match="never run"):
        runs.go_on(told_of(folder))
