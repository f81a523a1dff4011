"""Workers with another key than ours, or none, and workers that died: what commands say of them."""

import os
import socket
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job
from cli_builders import Ended, plain

from models.births import born
from models.settings import Settings
from models.states import JobState
from models.store import fleet
from models.store.engine import Store
from producers import offered
from producers.cli.runs import starting
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.doctor import Verdict, account
from producers.doctor.processes import check_account, check_workers
from producers.services import Services

Run = Callable[..., Ended]
OWN_SERVER = "http://127.0.0.1:9"


@pytest.fixture
def settings(home: Path) -> Settings:
    """As the commands read them."""
    return Settings(_env_file=None)


def noted(settings: Settings, *, alive: bool = True, account: str = "") -> None:
    """A worker of this home: this very process, or one that died."""
    began = born(os.getpid()) if alive else "long ago"
    me = {"name": "worker1", "pid": os.getpid(), "born": began, "address": ""}
    settings.home.mkdir(parents=True, exist_ok=True)
    Services(settings)._note(services=[me], account=account or settings.account)


def a_sign(store: Store, host: str = "") -> None:
    """The last one of the worker that this process plays."""
    with store.write() as connection:
        worker = f"{host or socket.gethostname()}:{os.getpid()}:abcdef"
        fleet.sign_of_life(connection, worker, slots=4, rows_in_flight=0)


def a_server(monkeypatch: pytest.MonkeyPatch, status: int | None) -> None:
    """Answers so to who asks for its models without a key; None: it cannot be reached."""

    def told(settings: Settings, _timeout_s: float) -> list[Any]:
        if status == 200:
            return [{"id": "small"}]
        if status is None:
            raise OSError("connection refused")
        raise urllib.error.HTTPError(settings.base_url, status, "no", Message(), None)

    monkeypatch.setattr(offered, "cards", told)


@pytest.mark.parametrize(
    ("status", "is_warned"), [(401, True), (403, True), (200, False), (404, False), (None, False)]
)
def test_up_warns_where_a_server_of_ones_own_wants_a_key(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    status: int | None,
    is_warned: bool,
) -> None:
    """And says nothing where it takes none."""
    a_server(monkeypatch, status)
    own = settings.model_copy(update={"base_url": OWN_SERVER})
    starting.warn(Voice(as_json=False), Services(own))
    told = capfd.readouterr()
    said = plain(told.out + told.err)
    assert ("MISTRAL_API_KEY is not set" in said) is is_warned
    assert (f"{OWN_SERVER} will refuse every call" in said) is is_warned


def test_the_doctor_asks_for_no_key_where_the_server_asks_for_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that wants a key is another thing, and so is the real API."""
    own = settings.model_copy(update={"base_url": OWN_SERVER})
    for status, server, verdict in (
        (200, own, Verdict.GOOD),
        (401, own, Verdict.BAD),
        (200, settings, Verdict.BAD),
    ):
        a_server(monkeypatch, status)
        (found,) = account.check_key(server)
        assert found.verdict is verdict
    assert "maestrale down && maestrale up" in found.advice


def test_the_doctor_compares_the_workers_key_with_ours(settings: Settings) -> None:
    """A green key of ours says nothing of theirs."""
    noted(settings)
    assert list(check_account(settings)) == []
    noted(settings, account="another")
    (found,) = check_account(settings)
    assert found.is_bad
    assert "maestrale down && maestrale up" in found.advice
    noted(settings, account="another", alive=False)
    assert list(check_account(settings)) == []


def test_resume_says_that_the_workers_still_have_the_other_key(
    run: Run, settings: Settings, user_store: Store
) -> None:
    """The job would be paused for the same reason again."""
    for own, is_warned in (("", False), ("another", True)):
        job_id = a_stored_job(user_store, state=JobState.PAUSED, state_reason="account: refused")
        noted(settings, account=own)
        ended = run("resume", job_id)
        assert ended.code == 0
        said = plain(ended.out + ended.err)
        assert ("started with another MISTRAL_API_KEY" in said) is is_warned


def test_the_last_signs_of_workers_that_died_are_not_counted(
    run: Run, settings: Settings, user_store: Store
) -> None:
    """By the doctor and by `status`; a worker of another machine is another thing."""
    a_sign(user_store)
    noted(settings)
    with Maestrale(settings) as client:
        assert [one.verdict for one in check_workers(client)] == [Verdict.GOOD]
        noted(settings, alive=False)
        assert [one.verdict for one in check_workers(client)] == [Verdict.BAD]
        assert "none: start them with" in plain(run("status").out)
        a_sign(user_store, "elsewhere")
        assert [one.found for one in check_workers(client)] == ["1 alive, 4 shards at once"]
