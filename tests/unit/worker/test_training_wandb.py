"""Logging to Weights & Biases, over a stand-in for its client: no training fails for want of it."""

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from test_training_run_folder import a_spec

from worker.training import wandb_log
from worker.training.problems import TrainingProblem


class Error(Exception):
    """As the client's tree has it."""


class UsageError(Error):
    pass


class Client:
    """What we use of the client; `refuses` is what it says as long as it is not offline."""

    errors = SimpleNamespace(Error=Error, UsageError=UsageError)
    Settings = SimpleNamespace

    def __init__(self, refuses: Exception | None = None) -> None:
        self.run: object = None
        self.began: list[dict[str, Any]] = []
        self.ended: list[int] = []
        self._refuses = refuses

    def init(self, **options: Any) -> None:
        self.began.append(options)
        if self._refuses is not None and options.get("mode") != "offline":
            raise self._refuses
        self.run = object()

    def finish(self, exit_code: int) -> None:
        self.ended.append(exit_code)


def a_client(monkeypatch: pytest.MonkeyPatch, refuses: Exception | None = None) -> Client:
    client = Client(refuses)
    monkeypatch.setitem(sys.modules, "wandb", client)  # type: ignore[arg-type]
    return client


def test_a_log_is_opened_and_closed(monkeypatch: pytest.MonkeyPatch):
    """In the project, under the model's name; closed before the process ends without asking."""
    client = a_client(monkeypatch)
    wandb_log.begin(a_spec(wandb_project="winds"))
    (began,) = client.began
    assert (began["project"], began["name"], "id" in began) == ("winds", "news", False)
    wandb_log.end()
    assert client.ended == [0]


def test_nothing_is_opened_unasked(monkeypatch: pytest.MonkeyPatch):
    """Without a project; and what is not open is not closed."""
    client = a_client(monkeypatch)
    wandb_log.begin(a_spec())
    wandb_log.end()
    assert (client.began, client.ended) == ([], [])


def test_where_it_is_away_its_log_is_written_offline(monkeypatch: pytest.MonkeyPatch):
    """As a run of its own: two files of one id could not be synced."""
    client = a_client(monkeypatch, Error("no connection"))
    wandb_log.begin(a_spec(wandb_project="winds"))
    _refused, offline = client.began
    assert (offline["project"], offline["mode"], len(offline["id"])) == ("winds", "offline", 8)
    wandb_log.end(exit_code=1)
    assert client.ended == [1]


def test_a_key_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    """That is the operator's to mend, and no weather."""
    a_client(monkeypatch, UsageError("No API key configured"))
    with pytest.raises(TrainingProblem, match="WANDB_API_KEY"):
        wandb_log.begin(a_spec(wandb_project="winds"))


def test_nobody_waits_for_it_for_ever(monkeypatch: pytest.MonkeyPatch):
    """A client that hangs at the end is left behind."""
    client = a_client(monkeypatch)
    wandb_log.begin(a_spec(wandb_project="winds"))
    release = threading.Event()
    monkeypatch.setattr(client, "finish", lambda exit_code: release.wait(60))
    monkeypatch.setattr(wandb_log, "FLUSH_S", 0.01)
    wandb_log.end()
    release.set()
