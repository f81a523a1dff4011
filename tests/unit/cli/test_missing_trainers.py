"""Nothing trains here: `train`, `watch`, `up` and `doctor` say so, and what to do."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_builders import Ended, plain

from models.births import born
from models.settings import Settings
from models.states import JobState
from models.store import fleet
from models.store.engine import Store
from models.tables import Job
from producers import services, trainers
from producers.cli.runs import starting
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.doctor import Verdict
from producers.doctor.processes import check_trainer
from proving.pipelines_stage import write_recipe
from proving.training_builders import a_dataset_folder, a_row

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2")
SWEEP = ("--base", "smollm2", "--sweep", "lr=1e-4,1e-5")
INSTALL = "pip install 'maestrale[train]'"


@pytest.fixture(autouse=True)
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news, and nothing that could train on it."""
    monkeypatch.delenv("MAESTRALE_TRAIN_PYTHON", raising=False)
    monkeypatch.setattr(trainers, "can_train", lambda _settings: False)
    return a_dataset_folder(home / "datasets")


@pytest.fixture
def settings(home: Path) -> Settings:
    """As the commands read them."""
    return Settings(_env_file=None)


def a_service(settings: Settings, name: str) -> None:
    """One of this home that is alive: this very process."""
    me = {"name": name, "pid": os.getpid(), "born": born(os.getpid()), "address": ""}
    services.Services(settings)._note(services=[me])


def a_worker(store: Store, worker: str) -> None:
    """A sign of life."""
    with store.write() as connection:
        fleet.sign_of_life(connection, worker, slots=1, rows_in_flight=0)


SUITE = 'name = "p"\nkind = "perplexity"\n'
PERPLEXITY = ("evaluate", "s.toml", "-m", "maker/smollm2", "--data", "rows.jsonl")


@pytest.mark.parametrize("how", ["--no-watch", "--watch"])
def test_what_nobody_could_train_is_no_job(run: Run, user_store: Store, how: str) -> None:
    """It would be watched without end; both ways out are told. Our own workers are no trainers."""
    a_service(Settings(_env_file=None), "worker1")
    a_worker(user_store, f"{socket.gethostname()}:{os.getpid()}:abc")
    for command in ((*TRAIN, how), (*TRAIN, how, "--json"), ("train", "news", *SWEEP, how)):
        ended = run(*command)
        assert ended.code == 2
        assert INSTALL in ended.err
        assert "MAESTRALE_TRAIN_PYTHON" in ended.err
    assert run("jobs", "--json").facts == []
    assert run(*TRAIN, "--dry-run").code == 0, "it may be planned"


def test_what_nobody_could_read_to_a_model_is_no_job(run: Run) -> None:
    """Perplexity is a trainer's work too."""
    Path("s.toml").write_text(SUITE)
    Path("rows.jsonl").write_text(json.dumps(a_row("a")) + "\n")
    ended = run(*PERPLEXITY, "--detach")
    assert (ended.code, INSTALL in ended.err) == (2, True), ended.err
    assert run("jobs", "--json").facts == []


PIPELINE = """
name = "small"
input = "rows.jsonl"
[[stages]]
name = "pairs"
kind = "generate"
[[stages]]
name = "data"
kind = "dataset"
from = ["{{ pairs.records }}"]
"""
WANTS = {
    "train": """
[[stages]]
name = "tuned"
kind = "train"
dataset = "{{ data.name }}"
base = "smollm2"
trainer = "{{ vars.trainer }}"
[variables]
trainer = "local"
""",
    "perplexity": """
[[stages]]
name = "read"
kind = "evaluate"
models = ["maker/smollm2"]
data = "{{ data.train }}"
""",
}


@pytest.mark.parametrize("kind", WANTS)
def test_a_run_that_would_wait_for_a_trainer_is_not_begun(
    run: Run, user_store: Store, tmp_path: Path, kind: str
) -> None:
    """Its answers would be paid for, and then nobody trains on them. It may be begun where a
    worker of another home may train, and is not gone on with where that is gone."""
    folder = write_recipe(tmp_path / "small")
    (folder / "pipeline.toml").write_text(PIPELINE + WANTS[kind])
    (folder / "suite.toml").write_text(SUITE)
    command = ("run", str(folder), "--detach", "--json")
    ended = run(*command)
    assert (ended.code, INSTALL in ended.err) == (2, True), ended.err
    assert run("jobs", "--json").facts == []
    a_worker(user_store, "far-away:7:abc")
    assert run(*command).code == 0
    with user_store.write() as connection:
        connection.execute(fleet.workers.delete())
    (begun,) = run("jobs", "--json").facts
    assert run("pause", begun["id"]).code == 0
    ended = run(*command, "--resume")
    assert (ended.code, INSTALL in ended.err) == (2, True), ended.err
    if kind == "train":
        assert run(*command, "--set", "trainer=mistral", "--again").code == 0


def test_the_providers_trainer_needs_nothing_here(run: Run) -> None:
    """It is asked, as a model is."""
    hosted = ("--base", "ministral-8b-latest", "--trainer", "mistral", "--steps", "2")
    assert run("train", "news", *hosted, "--no-watch").code == 0


def test_a_worker_of_another_home_may_be_one(run: Run, user_store: Store) -> None:
    """Its sign of life does not say, and so do we."""
    a_worker(user_store, "far-away:7:abc")
    told = run(*TRAIN, "--no-watch", "--json", "--seed", "1")
    assert INSTALL in told.facts["warning"]
    assert "unless the worker started elsewhere trains" in run(*TRAIN, "--no-watch").out


def test_a_trainer_that_lives_is_no_warning(run: Run, settings: Settings) -> None:
    """Of this home."""
    a_service(settings, "trainer")
    ended = run(*TRAIN, "--no-watch", "--json")
    assert ended.facts["warning"] is None
    assert "no trainer" not in ended.err


def test_a_trainer_that_is_only_not_started_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` is enough then."""
    monkeypatch.setattr(trainers, "can_train", lambda _settings: True)
    said = run(*TRAIN, "--no-watch").out
    assert "`maestrale up` starts one" in said
    assert INSTALL not in said


def test_the_watch_says_it_as_well(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe too, once; and of a watch that comes later."""
    a_worker(user_store, "far-away:7:abc")

    def watch(client: Maestrale, job_id: str, *, every_s: float = 0.0) -> Iterator[Job]:
        for state in (JobState.QUEUED, JobState.QUEUED, JobState.CANCELLED):
            job = client.get(job_id)
            job.state = state
            yield job

    monkeypatch.setattr(Maestrale, "watch", watch)
    assert run(*TRAIN).out.count("stays queued") == 1
    (job,) = run("jobs", "--json").facts
    assert run("watch", job["id"]).out.count("stays queued") == 1


def test_up_says_that_it_started_no_trainer(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do."""
    starting.warn(Voice(), services.Services(settings))
    said = capsys.readouterr().out
    assert "no trainer: " in said
    assert INSTALL in said


def test_the_doctor_has_a_line_about_it(settings: Settings, user_store: Store) -> None:
    """Worth knowing, and nothing wrong; with a trainer all is good."""
    with Maestrale(settings) as maestrale:
        (finding,) = check_trainer(maestrale)
        assert (finding.verdict, INSTALL in finding.advice) == (Verdict.NOTE, True)
        a_service(settings, "trainer")
        (finding,) = check_trainer(maestrale)
        assert finding.verdict is Verdict.GOOD


def test_the_doctor_knows_a_python_that_is_not_there(
    settings: Settings, user_store: Store, tmp_path: Path
) -> None:
    """What MAESTRALE_TRAIN_PYTHON names is looked for."""
    named = settings.model_copy(update={"train_python": str(tmp_path / "none")})
    with Maestrale(named) as maestrale:
        (finding,) = check_trainer(maestrale)
    assert "MAESTRALE_TRAIN_PYTHON" in plain(finding.found)
