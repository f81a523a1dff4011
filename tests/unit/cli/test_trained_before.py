"""Runs where nothing trains: what an earlier run trained is taken over, what is under way is
answered, and nothing is opened again to wait."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import a_stored_job
from cli_builders import Ended

from models.settings import Settings
from models.states import JobState, StageState
from models.store import fleet, jobs, registry, stages
from models.store.engine import Store
from models.tables import TunedModel
from producers import trainers
from producers.client import Maestrale
from producers.pipelines.given import asked_of, digest_of
from producers.pipelines.hand import told_of
from proving.pipelines_stage import edit, write_recipe
from proving.training_builders import a_dataset_folder, a_row

Run = Callable[..., Ended]
INSTALL = "pip install 'maestrale[train]'"
HERE = {
    "tuned": """
kind = "train"
dataset = "news"
base = "smollm2"
trainer = "local"
steps = 2
""",
    "read": """
kind = "evaluate"
suite = "loss.toml"
models = ["maker/smollm2"]
data = "texts.jsonl"
limit = 2
""",
}
EXAM = """
[[stages]]
name = "exam"
kind = "evaluate"
data = "exam.jsonl"
models = ["mistral-small-latest@bare", "mistral-large-latest@bare"]
"""
here = pytest.mark.parametrize("here", HERE)


@pytest.fixture(autouse=True)
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset called news, and nothing that could train on it."""
    monkeypatch.delenv("MAESTRALE_TRAIN_PYTHON", raising=False)
    monkeypatch.setattr(trainers, "can_train", lambda _settings: False)
    a_dataset_folder(home / "datasets")


@pytest.fixture
def begin(run: Run, user_store: Store, tmp_path: Path) -> Callable[[str], tuple[str, Path]]:
    """A run of a stage that is done on this machine, and of an exam; begun while a worker was
    alive that might train. Answers its id and the pipeline's folder."""

    def begun(name: str) -> tuple[str, Path]:
        folder = write_recipe(tmp_path / "small")
        stage = f'name = "small"\n[[stages]]\nname = "{name}"{HERE[name]}'
        (folder / "pipeline.toml").write_text(stage + EXAM)
        (folder / "loss.toml").write_text('name = "p"\nkind = "perplexity"\n')
        lines = [json.dumps(a_row(f"r{number}")) for number in range(4)]
        (folder / "texts.jsonl").write_text("\n".join(lines))
        with user_store.write() as connection:
            fleet.sign_of_life(connection, "far-away:7:abc", slots=1, rows_in_flight=0)
        ended = run("run", str(folder), "--detach", "--json")
        assert ended.code == 0, ended.err
        with user_store.write() as connection:
            connection.execute(fleet.workers.delete())
        return ended.facts["run"]["id"], folder

    return begun


def put(store: Store, run_id: str, name: str, **values: Any) -> None:
    """A stage, as it would stand."""
    mine = (stages.stages.c.run_id == run_id) & (stages.stages.c.name == name)
    with store.write() as connection:
        connection.execute(stages.stages.update().where(mine).values(**values))


def did(store: Store, home: Path, run_id: str, name: str) -> None:
    """What the stage left: a model with its files, or a job with its report."""
    job_id = a_stored_job(store)
    (home / "runs" / "m").mkdir(parents=True)
    report = home / "runs" / "m" / "read.html"
    report.write_text("<p>")
    about: dict[str, Any] = {"dataset_name": "news", "dataset_hash": "0" * 20, "parameters": "{}"}
    place: dict[str, Any] = {"place": "runs/m/adapter", "job_id": job_id, "created_at": 0.0}
    model = TunedModel(name="small-tuned", base="smollm2", trainer="local", **place, **about)
    with store.write() as connection:
        registry.register(connection, model, {})
    told: Mapping[str, Any] = {"model": model.name, "base": "smollm2", "registered": model.name}
    output = {**told, "job": job_id, "report": str(report), "hash": "h"}
    with Maestrale(Settings(_env_file=None)) as client:
        begun = told_of(client.get(run_id))
        digest = digest_of(client, begun, name, asked_of(begun, name, {}), {})
    made = {"output": orjson.dumps(output).decode(), "job_id": job_id, "finished_at": 1.0}
    put(store, run_id, name, state=StageState.DONE, hash=digest, **made)


def refused(ended: Ended) -> bool:
    """For the trainer that lacks, which is said with what to do."""
    return (ended.code, INSTALL in ended.err) == (2, True)


@here
def test_what_an_earlier_run_did_needs_no_trainer(
    run: Run, user_store: Store, home: Path, begin: Callable[[str], tuple[str, Path]], here: str
) -> None:
    """Another exam takes it over; what would be done anew is refused."""
    run_id, folder = begin(here)
    command = ("run", str(folder), "--detach")
    edit(folder, "pipeline.toml", "mistral-large-latest", "mistral-medium-latest")
    assert refused(run(*command)), "it is not done yet"
    did(user_store, home, run_id, here)
    ended = run(*command)
    assert (ended.code, INSTALL in ended.out + ended.err) == (0, False), ended.err
    assert refused(run(*command, "--again"))
    edit(folder, "pipeline.toml", "mistral-medium-latest", "ministral-8b-latest")
    shutil.rmtree(home / "runs" / "m")
    assert refused(run(*command)), "its files are gone"
    (home / "runs" / "m").mkdir()
    (home / "runs" / "m" / "read.html").write_text("<p>")
    edit(folder, "pipeline.toml", " = 2\n", " = 3\n")
    assert refused(run(*command)), "it is another"


def test_what_reads_a_stage_that_is_done_anew_is_not_taken_over(
    run: Run, user_store: Store, home: Path, begin: Callable[[str], tuple[str, Path]]
) -> None:
    """Its inputs are not known yet; answers would be paid for, and then nobody trains on them."""
    run_id, folder = begin("tuned")
    did(user_store, home, run_id, "tuned")
    pairs = '[[stages]]\nname = "pairs"\nkind = "generate"\n[[stages]]\nname = "data"\n'
    pairs = f'input = "rows.jsonl"\n{pairs}kind = "dataset"\nfrom = ["{{{{ pairs.records }}}}"]\n'
    edit(folder, "pipeline.toml", 'name = "small"\n', f'name = "small"\n{pairs}')
    edit(folder, "pipeline.toml", 'dataset = "news"', 'dataset = "{{ data.name }}"')
    assert refused(run("run", str(folder), "--detach"))
    assert len(run("jobs", "--json").facts) == 2


@here
def test_the_same_run_under_way_is_answered_as_it_stands(
    run: Run, begin: Callable[[str], tuple[str, Path]], here: str
) -> None:
    """With a word on what it waits for; begun anew it is refused."""
    run_id, folder = begin(here)
    for how in ((), ("--resume",)):
        ended = run("run", str(folder), "--detach", *how)
        assert (ended.code, run_id in ended.out) == (0, True), ended.err
        assert INSTALL in ended.out
    assert refused(run("run", str(folder), "--detach", "--again"))


@here
def test_a_run_is_not_opened_again_to_wait(
    run: Run,
    user_store: Store,
    home: Path,
    begin: Callable[[str], tuple[str, Path]],
    here: str,
) -> None:
    """It stays as it stands; once that stage is done, it goes on."""
    run_id, folder = begin(here)
    assert run("pause", run_id).code == 0
    again = ("run", str(folder), "--detach", "--resume")
    for command in (("resume", run_id), again):
        assert refused(run(*command))
    assert run("show", run_id, "--json").facts["state"] == "paused"
    _fail(user_store, run_id, here)
    for command in (("retry", run_id), again):
        assert refused(run(*command))
    assert run("show", run_id, "--json").facts["state"] == "failed"
    did(user_store, home, run_id, here)
    put(user_store, run_id, "exam", state=StageState.FAILED)
    assert run("retry", run_id).code == 0
    assert run("show", run_id, "--json").facts["state"] == "queued"


def test_what_is_only_to_be_collected_needs_no_trainer(
    run: Run, user_store: Store, begin: Callable[[str], tuple[str, Path]]
) -> None:
    """Its training is over, or the runs of its sweep are ranked; a training that failed needs
    one again."""
    run_id, _folder = begin("tuned")
    for kind, state in (("train", "failed"), ("train", "succeeded"), ("evaluate", "failed")):
        job_id = a_stored_job(user_store, kind=kind, state=state, parent_id=run_id)
        _fail(user_store, run_id, "tuned", job_id=job_id)
        ended = run("retry", run_id)
        assert refused(ended) == ((kind, state) == ("train", "failed")), ended.err


def _fail(store: Store, run_id: str, name: str, job_id: str | None = None) -> None:
    put(store, run_id, name, state=StageState.FAILED, job_id=job_id)
    put(store, run_id, "exam", state=StageState.SKIPPED)
    with store.write() as connection:
        state = {"state": JobState.RUNNING, "finished_at": None}
        connection.execute(jobs.jobs.update().where(jobs.jobs.c.id == run_id).values(**state))
        assert stages.settle(connection, run_id) == JobState.FAILED
