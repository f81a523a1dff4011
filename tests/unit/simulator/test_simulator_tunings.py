"""Fine-tuning jobs of the simulator by a clock that is told the time."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from simulator.hosted_rules import HostedRules, Steering
from simulator.hosting.files import Files, StoredFile
from simulator.hosting.tuning_bodies import TuningBody, dry_run, fault_of
from simulator.hosting.tuning_jobs import TUNING_FINAL, Curve, TuningJob, TuningStatus
from simulator.hosting.tunings import Tunings
from simulator.inference import Simulation
from simulator.settings import Config

START = 1_785_542_400.0  # 2026-08-01
LONG_S = 60.0
ROW = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]}


class Account:
    """Tunings without a server; `tick` is the only clock."""

    def __init__(self) -> None:
        self.simulation = Simulation(Config())
        self.files = Files()
        self.steering = Steering(HostedRules(tuning_s=100.0, tuning_checkpoints=4))
        self.tunings = Tunings(self.simulation, self.steering)

    def upload(self, *rows: object) -> StoredFile:
        file = self.files.begin("train.jsonl", "fine-tune", "instruct", START)
        file.write(b"\n".join(map(orjson.dumps, rows)))
        return self.files.keep(file)

    def create(self, *rows: object, **asked: Any) -> TuningJob:
        file = self.upload(*(rows or (ROW,)))
        return self.tunings.create(a_body(file, **asked), [file], START)

    def tick(self, after_s: float = 0.0, times: int = 1) -> None:
        for _ in range(times):
            self.tunings.tick(START + after_s, LONG_S)


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.files.close()


def a_body(file: StoredFile, **asked: Any) -> TuningBody:
    usual = {"model": "open-mistral-7b", "hyperparameters": {"training_steps": 40}}
    training = {"training_files": [{"file_id": file.id}]}
    return TuningBody.model_validate({**usual, **training, **asked})


def test_it_waits_for_its_start(account):
    """Without `auto_start` a job stops at VALIDATED, and nothing moves before `start`."""
    job = account.create(auto_start=False)
    account.tick(times=9)
    assert (job.status, account.tunings.is_idle) == (TuningStatus.VALIDATED, True)
    job.move(TuningStatus.STARTED, START)
    account.tick()
    assert (job.status, account.tunings.is_idle) == (TuningStatus.RUNNING, False)


def test_it_learns_and_its_model_is_known(account):
    """Losses fall from checkpoint to checkpoint; at the end its model can be asked."""
    job = account.create(suffix="cats")
    account.tick(times=4)
    assert job.status is TuningStatus.RUNNING
    account.tick(50)
    assert (len(job.checkpoints), job.fine_tuned_model) == (2, None)
    account.tick(100)
    assert job.status is TuningStatus.SUCCESS
    assert job.fine_tuned_model.startswith("ft:open-mistral-7b:cats:20260801:")
    assert job.fine_tuned_model in account.simulation.models
    newest_first = [it["metrics"]["valid_loss"] for it in job.checkpoints]
    assert newest_first == sorted(newest_first)
    assert [it["step_number"] for it in job.checkpoints] == [40, 30, 20, 10]
    told = [event["data"]["status"] for event in reversed(job.events)]
    assert told == ["QUEUED", "VALIDATING", "VALIDATED", "STARTED", "RUNNING", "SUCCESS"]


def test_a_bad_row_fails_validation(account):
    """A file whose second row ends with a question is refused, and the event says why."""
    job = account.create(ROW, {"messages": ROW["messages"][:1]})
    account.tick(times=2)
    assert job.status is TuningStatus.FAILED_VALIDATION
    assert "assistant" in job.events[0]["data"]["error"]


@pytest.mark.parametrize(
    "row", [[], {"messages": 1}, {"messages": [{"role": "poet"}]}, {"messages": []}], ids=str
)
def test_rows_are_checked_roughly(row):
    """What is no conversation, or has an unknown role, is found; a good row is not."""
    assert fault_of(orjson.dumps(row))
    assert fault_of(orjson.dumps(ROW)) is None


@pytest.mark.parametrize("role", [["user"], {}, None, 7])
def test_a_role_that_is_no_word_fails_validation(account, role):
    """And stops neither the clock nor the other jobs."""
    job = account.create({"messages": [{"role": role, "content": "?"}]})
    other = account.create()
    account.tick(times=3)
    assert job.status is TuningStatus.FAILED_VALIDATION
    assert other.status is TuningStatus.STARTED


@pytest.mark.parametrize("suffix", ["über", "a b", "", "x" * 19, "a\n"])
def test_a_suffix_is_of_the_letters_of_the_specification(account, suffix):
    """`^[a-zA-Z0-9_-]+$`, 1 to 18 of them."""
    with pytest.raises(ValidationError):
        a_body(account.upload(ROW), suffix=suffix)


def test_it_breaks_down_or_is_cancelled(account):
    """Told so, one job fails when it runs; another is cancelled by request and a tick."""
    account.steering.change({"fail_tunings": 1})
    broken, cancelled = account.create(), account.create(suffix="other")
    account.tick(times=4)
    cancelled.move(TuningStatus.CANCELLATION_REQUESTED, START)
    account.tick()
    assert (broken.status, cancelled.status) == (TuningStatus.FAILED, TuningStatus.CANCELLED)
    assert {broken.status, cancelled.status} < TUNING_FINAL


def test_a_twin_is_known_until_it_is_undone(account):
    """The same files and parameters are a duplicate, unless the first was cancelled."""
    file = account.upload(ROW)
    job = account.tunings.create(a_body(file), [file], START)
    assert account.tunings.twin(a_body(file)) is job
    assert account.tunings.twin(a_body(file, suffix="other")) is None
    job.move(TuningStatus.CANCELLATION_REQUESTED, START)
    job.move(TuningStatus.CANCELLED, START)
    assert account.tunings.twin(a_body(file)) is None


def test_a_dry_run_counts(account):
    """Three times through the data by default; each step is 131,072 tokens."""
    file = account.upload({"messages": [{"role": "assistant", "content": "x" * 400_000}]})
    told = dry_run(a_body(file, hyperparameters={}), [file], START)
    assert (told["training_steps"], told["train_tokens"]) == (3, 393_216)
    assert 100_000 <= told["data_tokens"] < 100_100


def test_no_secret_is_repeated(account):
    """The key of Weights & Biases is taken and never answered."""
    job = account.create(integrations=[{"project": "p", "api_key": "k" * 40}])
    assert job.card()["integrations"][0]["project"] == "p"
    assert b"kkk" not in orjson.dumps(job.details())


def test_the_usual_learning_rate_is_best():
    """The floor of the loss is lowest at 1e-4, so that sweeps have something to find."""
    last = {rate: Curve(rate, 10).metrics(10)["valid_loss"] for rate in (1e-5, 1e-4, 1e-3)}
    assert min(last, key=last.__getitem__) == 1e-4
