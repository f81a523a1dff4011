"""Files of stages: ids as the stage takes them, and lists of bad rows before anything is paid."""

import json
from pathlib import Path

import pytest

from models.errors import RejectedFileError
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.store import stages
from producers import Maestrale
from producers.pipelines import Runs
from producers.pipelines.doing import do
from producers.pipelines.hand import run_folder
from producers.pipelines.outcomes import Lost
from producers.pipelines.reading import check_files
from proving.pipelines_stage import edit, write_recipe

STAGES = """
name = "files"
input = "rows.jsonl"

[[stages]]
name = "pairs"
kind = "generate"

[[stages]]
name = "store"
kind = "embed"
text = "{{ row.text }}"
id = "pmid"

[[stages]]
name = "exam"
kind = "evaluate"
data = "exam.jsonl"
models = ["mistral-small-latest"]
"""
STAGE_NAMES = ("pairs", "store", "exam")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three stages that tell rows apart by `pmid`; their rows share one `id`."""
    folder = write_recipe(tmp_path / "files", exam=24)
    (folder / "pipeline.toml").write_text(STAGES)
    edit(folder, "recipe.toml", "[[steps]]", '[input]\nid = "pmid"\n[[steps]]')
    edit(folder, "suite.toml", "[prompts.guided]", '[input]\nid = "pmid"\n[prompts.guided]')
    for name in ("rows", "exam"):
        rewrite(folder / f"{name}.jsonl", [{"id": "same", "pmid": n} for n in range(24)])
    return folder


def rewrite(path: Path, changes: list[dict[str, object]]) -> None:
    """Each row with its changes."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    changed = ({**row, **change} for row, change in zip(rows, changes, strict=True))
    path.write_text("".join(json.dumps(row) + "\n" for row in changed))


def told_of(folder: Path) -> RunSpec:
    """The pipeline as it stands there."""
    return RunSpec(pipeline=load_pipeline(str(folder)))


def test_rows_are_told_apart_by_the_field_that_each_stage_takes(
    folder: Path, tmp_path: Path
) -> None:
    """What `generate`, `embed` and `evaluate` take, a run takes."""
    check_files(told_of(folder), tmp_path / "staging")


@pytest.mark.parametrize(("kept", "file"), [("pairs", "rows"), ("store", "rows"), ("exam", "exam")])
def test_repeats_of_that_field_are_found_before_the_run(
    folder: Path, tmp_path: Path, kept: str, file: str
) -> None:
    """Not when the stage is due."""
    head, *parts = STAGES.split("[[stages]]")
    (mine,) = (part for part in parts if f'"{kept}"' in part)
    (folder / "pipeline.toml").write_text(f"{head}[[stages]]{mine}")
    rewrite(folder / f"{file}.jsonl", [{"pmid": n // 2} for n in range(24)])
    with pytest.raises(RejectedFileError, match=f"stage {kept}: .*with the same pmid"):
        check_files(told_of(folder), tmp_path / "staging")


def test_an_exam_finds_it_below_meta_too(folder: Path, tmp_path: Path) -> None:
    """Rows of a dataset keep there what they were made of."""
    exam = folder / "exam.jsonl"
    rows = [json.loads(line) for line in exam.read_text().splitlines()]
    below = ({"text": row["text"], "label": row["label"], "meta": {"pmid": 7}} for row in rows)
    exam.write_text("".join(json.dumps(row) + "\n" for row in below))
    with pytest.raises(RejectedFileError, match=r"stage exam: .*with the same pmid"):
        check_files(told_of(folder), tmp_path / "staging")


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_list_of_bad_rows_that_cannot_be_written_costs_no_job(
    folder: Path, maestrale: Maestrale, stage: str
) -> None:
    """The stage fails by name; no job of it runs on unseen."""
    for name in ("rows", "exam"):
        with (folder / f"{name}.jsonl").open("a") as rows:
            rows.write("oops\n")
    run, _ = Runs(maestrale).start(told_of(folder))
    place = run_folder(maestrale.settings, run.id)
    (place / f"{stage}.rejects.jsonl").mkdir(parents=True)
    with maestrale.store.write() as connection:
        held = stages.claim(connection, run.id, stage, "me", hold_s=60.0)
    assert held is not None
    outcome = do(maestrale, run, held)
    assert isinstance(outcome, Lost), outcome
    assert f"{stage}.rejects.jsonl" in outcome.reason
    assert "staging" not in outcome.reason
    assert [job.id for job in maestrale.jobs()] == [run.id]


def test_a_folder_of_a_run_that_cannot_be_made_is_named(folder: Path, maestrale: Maestrale) -> None:
    """It is no bug of ours."""
    with (folder / "rows.jsonl").open("a") as rows:
        rows.write("oops\n")
    run, _ = Runs(maestrale).start(told_of(folder))
    run_folder(maestrale.settings, run.id).parent.write_text("in the way")
    with maestrale.store.write() as connection:
        held = stages.claim(connection, run.id, "pairs", "me", hold_s=60.0)
    assert held is not None
    outcome = do(maestrale, run, held)
    assert isinstance(outcome, Lost)
    assert "cannot be made" in outcome.reason
