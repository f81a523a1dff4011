"""`train`, `sweep`, `models` over a database of the test's own: what they print, and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import claimed, settled, the_job
from cli_builders import Ended

from models.payloads import Failed, RowSettled, Succeeded
from models.states import FailureCode, JobState
from models.store import jobs, registry, trainings
from models.store.engine import Store
from models.tables import TunedModel
from proving.training_builders import a_dataset_folder, a_row

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2", "--no-watch", "--json")


@pytest.fixture(autouse=True)
def dataset(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news, below the home; nothing here trains, nor counts as training does."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    return a_dataset_folder(home / "datasets")


def submitted(run: Run, *more: str) -> str:
    """The id of a training job."""
    ended = run(*TRAIN, *more)
    assert ended.code == 0, ended.err
    return str(ended.facts["job"]["id"])


def trained(store: Store, home: Path, job_id: str, *, loss: float = 1.0) -> TunedModel:
    """What a worker does with the job: points, a model with its files, the row."""
    folder = home / "runs" / job_id
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "weights").write_text("w")
    (folder / "adapter.gguf").write_text("gguf")
    (folder / "log.txt").write_text("much")
    (folder / "wandb").mkdir()
    told = {
        "base": "/b/smollm2",
        "base_gguf": "/b/smollm2.gguf",
        "gguf": str(folder / "adapter.gguf"),
    }
    (folder / "result.json").write_text(json.dumps(told))
    held = claimed(store, job_id)
    model = TunedModel(
        name=the_job(store, job_id).name,
        base="smollm2",
        trainer="local",
        place=f"runs/{job_id}/adapter",
        job_id=job_id,
        dataset_name="news",
        dataset_hash="0123456789abcdef0123",
        parameters='{"lora_rank":12}',
        created_at=0.0,
    )
    with store.write() as connection:
        for step in (1, 2, 3):
            trainings.tell(connection, job_id, step, {"loss": 3.0 / step})
        trainings.tell(connection, job_id, 3, {"valid_loss": loss})
        metrics = {"valid_loss_before": 4.0, "valid_loss_after": loss, "steps": 3.0, "seconds": 9.0}
        model = registry.register(connection, model, metrics)
    assert settled(store, held, [RowSettled(*held, 0, Succeeded([{"model": model.name}]))])
    return model


def test_a_dry_run_says_what_it_would_take(run: Run) -> None:
    """Steps from tokens, cost and time; nothing is submitted."""
    ended = run("train", "news", "--base", "smollm2", "--dry-run")
    assert ended.code == 0
    assert "8 to train on, 2 to validate on" in ended.out
    assert "3 of 8 rows, about 80 tokens" in ended.out
    assert "each token is seen 3.0 times" in ended.out
    assert "unknown: nothing was trained from this base here yet" in ended.out
    assert run("jobs", "--json").facts == []


def test_the_provider_s_cost_is_unknown_without_a_price(run: Run) -> None:
    """Never zero."""
    ended = run("train", "news", "--base", "open-mistral-7b", "--trainer", "mistral", "--dry-run")
    assert "unknown" in ended.out
    assert "$0" not in ended.out


def test_the_provider_s_cost_by_a_price_of_one_s_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of 131,072 tokens at 4 USD a million; a smaller budget is refused."""
    prices = tmp_path / "prices.toml"
    prices.write_text(
        'as_of = "2026-11-01"\n[models]\n'
        '"open-mistral-7b" = { input = 0.25, output = 0.25, training = 4.0 }\n'
    )
    monkeypatch.setenv("MAESTRALE_PRICES", str(prices))
    hosted = ("train", "news", "--base", "open-mistral-7b", "--trainer", "mistral", "--dry-run")
    (planned,) = run(*hosted, "--json").facts["runs"]
    assert planned["cost_usd"] == pytest.approx(131_072 * 4 / 1e6)
    ended = run(*hosted, "--budget", "0.1")
    assert ended.code == 2
    assert "more than its budget" in ended.err


def test_a_budget_needs_a_price(run: Run) -> None:
    """What is unknown cannot be held to it."""
    hosted = ("train", "news", "--base", "open-mistral-7b", "--trainer", "mistral", "--dry-run")
    ended = run(*hosted, "--budget", "5")
    assert ended.code == 2
    assert "MAESTRALE_PRICES" in ended.err


def test_the_same_training_twice_is_one_job(run: Run) -> None:
    """Dataset and choices the same: told so; another seed is another job, and so is --again."""
    first = submitted(run)
    ended = run(*TRAIN)
    assert ended.code == 2
    assert f"job {first} exists" in ended.err
    assert submitted(run, "--seed", "1") != first
    assert submitted(run, "--again") != first


def test_an_idempotency_key_names_one_job(run: Run) -> None:
    """Again with the same wish: the same job; with another: an error."""
    first = submitted(run, "--idempotency-key", "k")
    assert submitted(run, "--idempotency-key", "k") == first
    assert run(*TRAIN, "--seed", "9", "--idempotency-key", "k").code == 2


def test_a_name_in_the_registry_is_taken(run: Run, user_store: Store, home: Path) -> None:
    """Another dataset's model may not have it; --again finds a free one."""
    trained(user_store, home, submitted(run))
    ended = run(*TRAIN, "--seed", "1")
    assert (ended.code, "choose another --name" in ended.err) == (2, True)
    again = submitted(run, "--again")
    assert the_job(user_store, again).name == "news-smollm2.2"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--steps", "5", "--epochs", "1"), "take one of"),
        (("--name", "No Name"), "name"),
        (("--sweep", "rate=1"), "--sweep takes"),
        (("steps=50",), "what is it for"),
        (("--validation", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_wrong_wishes_are_refused(run: Run, options: tuple[str, ...], says: str) -> None:
    """With the way out, and exit code 2."""
    ended = run(*TRAIN, *options)
    assert (ended.code, says in ended.err) == (2, True), ended.err


def test_an_unknown_dataset_is_named(run: Run) -> None:
    """Exit code 2, no traceback."""
    ended = run("train", "nothing", "--base", "smollm2")
    assert ended.code == 2
    assert "nothing" in ended.err


def test_validation_rows_of_one_s_own(run: Run, user_store: Store, tmp_path: Path) -> None:
    """They make another dataset: another hash, another job; a line that is no row is named."""
    rows = tmp_path / "validation.jsonl"
    rows.write_text(json.dumps(a_row("v")) + "\n")
    first = submitted(run)
    second = submitted(run, "--validation", str(rows))
    hashes = {
        json.loads(the_job(user_store, job).spec)["training"]["dataset"]["hash"]
        for job in (first, second)
    }
    assert len(hashes) == 2
    rows.write_text(json.dumps(a_row("v")) + "\n{}\n")
    ended = run(*TRAIN, "--validation", str(rows))
    assert (ended.code, "line 2" in ended.err) == (2, True)


def test_a_training_that_ended_is_told_with_its_model(
    run: Run, user_store: Store, home: Path
) -> None:
    """`watch` of a settled job: losses, perplexity, and how to use it."""
    job_id = submitted(run)
    trained(user_store, home, job_id)
    ended = run("watch", job_id)
    assert ended.code == 0
    assert "4.000 (perplexity 54.60)" in ended.out
    assert "maestrale models serve news-smollm2" in ended.out


def test_a_training_that_failed_says_why(run: Run, user_store: Store) -> None:
    """The row's detail, and exit code 3."""
    job_id = submitted(run)
    held = claimed(user_store, job_id)
    failed = Failed(FailureCode.TRAINING_FAILED, "base_missing: no such base")
    assert settled(user_store, held, [RowSettled(*held, 0, failed)])
    ended = run("watch", job_id)
    assert (ended.code, "no such base" in ended.out) == (3, True)


# -- sweeps ----------------------------------------------------------------------------------------

SWEEP = (*TRAIN, "--name", "news", "--sweep", "lr=1e-5,1e-4", "steps=2,3")


def test_a_sweep_is_a_parent_and_its_runs(run: Run, user_store: Store) -> None:
    """Every choice is a job; the same sweep again is the same."""
    ended = run(*SWEEP)
    assert ended.code == 0, ended.err
    parent = ended.facts["job"]["id"]
    assert the_job(user_store, parent).rows_total == 4
    with user_store.read() as connection:
        names = [job.name for job in trainings.children(connection, parent)]
    assert names == ["news-01", "news-02", "news-03", "news-04"]
    assert run(*SWEEP).code == 2


def test_the_budget_of_a_sweep_is_shared_by_its_runs(run: Run, user_store: Store) -> None:
    """All together may spend it, and a larger one given later."""
    parent = run(*SWEEP, "--budget", "4").facts["job"]["id"]

    def shares() -> list[int | None]:
        with user_store.read() as connection:
            return [job.budget_nano for job in trainings.children(connection, parent)]

    assert shares() == [10**9] * 4
    with user_store.write() as connection:
        jobs.pause(connection, parent, "by hand")
        assert jobs.resume(connection, parent, budget_nano=8 * 10**9)
    assert shares() == [2 * 10**9] * 4


def test_runs_are_ranked_by_validation_loss(
    run: Run, user_store: Store, home: Path, tmp_path: Path
) -> None:
    """The best first, with what was varied; those that told nothing last."""
    parent = run(*SWEEP).facts["job"]["id"]
    with user_store.read() as connection:
        ids = [job.id for job in trainings.children(connection, parent)]
    trained(user_store, home, ids[0], loss=2.0)
    trained(user_store, home, ids[2], loss=1.5)
    facts = run("sweep", "show", parent, "--json").facts
    assert [one["name"] for one in facts["runs"]] == ["news-03", "news-01", "news-02", "news-04"]
    words = run("sweep", "show", parent).out
    assert "learning rate" in words
    assert "1.500 (perplexity 4.48)" in words
    ended = run("sweep", "show", parent, "--png", str(tmp_path / "png"))
    has_matplotlib = ended.code == 0
    assert has_matplotlib or "pip install 'maestrale[train]'" in ended.err


def test_a_sweep_settles_with_its_runs(run: Run, user_store: Store, home: Path) -> None:
    """The parent counts its children, and succeeds if any did."""
    parent = run(*SWEEP).facts["job"]["id"]
    with user_store.read() as connection:
        ids = [job.id for job in trainings.children(connection, parent)]
    trained(user_store, home, ids[0])
    assert the_job(user_store, parent).state == JobState.RUNNING
    for job_id in ids[1:]:
        held = claimed(user_store, job_id)
        failed = Failed(FailureCode.TRAINING_FAILED, "broken")
        assert settled(user_store, held, [RowSettled(*held, 0, failed)])
    job = the_job(user_store, parent)
    assert (job.state, job.rows_done, job.rows_failed) == (JobState.SUCCEEDED, 1, 3)


def test_a_cancelled_sweep_cancels_its_runs(run: Run, user_store: Store) -> None:
    """Those that are not settled."""
    parent = run(*SWEEP).facts["job"]["id"]
    assert run("cancel", parent).code == 0
    with user_store.read() as connection:
        states = {job.state for job in trainings.children(connection, parent)}
    assert states == {JobState.CANCELLED}


# -- the registry ----------------------------------------------------------------------------------


def test_models_are_listed_and_shown(run: Run, user_store: Store, home: Path) -> None:
    """With their lineage."""
    assert "no tuned models yet" in run("models", "list").out
    job_id = submitted(run)
    trained(user_store, home, job_id)
    assert "4.000 -> 1.000" in run("models", "list").out
    told: dict[str, Any] = run("models", "show", "news-smollm2", "--json").facts
    assert (told["job_id"], told["metrics"]["valid_loss_after"]) == (job_id, 1.0)
    assert run("models", "show", "other").code == 2


def test_a_model_is_copied_with_its_lineage(
    run: Run, user_store: Store, home: Path, tmp_path: Path
) -> None:
    """What it is made of, without logs; nothing is overwritten unasked."""
    trained(user_store, home, submitted(run))
    out = tmp_path / "copy"
    assert run("models", "export", "news-smollm2", "--to", str(out)).code == 0
    found = {path.name for path in out.iterdir()}
    assert found == {"adapter", "adapter.gguf", "lineage.json", "result.json"}
    assert json.loads((out / "lineage.json").read_text())["base"] == "smollm2"
    assert run("models", "export", "news-smollm2", "--to", str(out)).code == 2
    assert run("models", "export", "news-smollm2", "--to", str(out), "--overwrite").code == 0


def test_serving_becomes_the_server(
    run: Run, user_store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With base and adapter as the run left them, under the model's name."""
    job_id = submitted(run)
    trained(user_store, home, job_id)
    seen: list[list[str]] = []
    monkeypatch.setattr("producers.processes.is_free", lambda _port: True)
    monkeypatch.setattr("os.execvp", lambda _program, command: seen.append(command))
    assert run("models", "serve", "news-smollm2", "--port", "9999").code == 0
    (command,) = seen
    assert command[1:6] == ["-P", "-m", "worker.serving", "--base", "/b/smollm2.gguf"]
    adapter = command[command.index("--adapter") + 1]
    assert adapter == str(home / "runs" / job_id / "adapter.gguf")
    assert command[command.index("--name") + 1] == "news-smollm2"
    assert run("models", "serve", "news-smollm2", "--engine", "vllm").code == 0
    assert seen[1][1:3] == ["serve", "/b/smollm2"]
    assert seen[1][-1] == f"news-smollm2={home / 'runs' / job_id / 'adapter'}"
    assert seen[1][seen[1].index("--max-lora-rank") + 1] == "16"


def test_a_model_of_another_machine_is_not_served_here(
    run: Run, user_store: Store, home: Path
) -> None:
    """Its files are where its job ran."""
    model = trained(user_store, home, submitted(run))
    (home / model.place).parent.rename(home / "elsewhere")
    ended = run("models", "serve", model.name)
    assert (ended.code, "not on this machine" in ended.err) == (2, True)


def test_a_port_that_is_taken_is_told_before_anything_is_loaded(
    run: Run, user_store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and the way out."""
    trained(user_store, home, submitted(run))
    monkeypatch.setattr("producers.processes.is_free", lambda _port: False)
    ended = run("models", "serve", "news-smollm2", "--port", "9999")
    assert (ended.code, "choose another --port" in ended.err) == (2, True)
