"""Which server a call goes to, as notes come and go."""

from pathlib import Path

import pytest
from builders import FakeClock

from models import served
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.local import LocalGateway
from worker.gateway.routes import LOOK_S, Routes


def test_a_server_that_comes_is_seen_at_once(tmp_path: Path, clock: FakeClock) -> None:
    """No worker is restarted for it, and a job that was resumed does not fail once more."""
    routes = Routes(tmp_path, clock)
    assert routes.server_of("tuned") is None
    note = served.note(tmp_path, 8080, ("tuned", "base"), parallel=2)
    found = routes.server_of("tuned")
    assert found is not None and found == routes.server_of("base")
    assert routes.server_of("mistral-small-latest") is None
    note.unlink()
    assert routes.server_of("tuned") is None


def test_a_server_that_ends_is_missed_within_a_second(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its note stays where it is: the process is asked for."""
    routes = Routes(tmp_path, clock)
    served.note(tmp_path, 8080, ("tuned",), parallel=2)
    found = routes.server_of("tuned")
    monkeypatch.setattr(served, "born", lambda _pid: "")
    assert found is not None and routes.server_of("tuned") == found
    clock.advance(LOOK_S)
    assert routes.server_of("tuned") is None


def test_the_folder_is_not_read_for_every_call(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand calls a second look once."""
    looks: list[Path] = []
    monkeypatch.setattr(served, "serving", lambda home: looks.append(home) or [])
    routes = Routes(tmp_path, clock)
    for _ in range(1000):
        routes.server_of("tuned")
    assert looks == [tmp_path]


async def test_a_call_whose_server_has_ended_is_not_sent_and_names_the_remedy(
    tmp_path: Path,
) -> None:
    """It was meant for that server, so nobody else's answer would do; nothing was paid."""
    local = LocalGateway(Routes(tmp_path), timeout_s=1)
    for asked in (local.chat, local.embed):
        fault = await asked({"model": "tuned"})
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.maybe_paid) == (FaultKind.ACCOUNT, False)
        assert "`maestrale models serve tuned` first" in fault.message
    await local.close()


def test_a_server_has_as_many_seats_as_it_answers_at_once(tmp_path: Path) -> None:
    """Tuned model and base share them."""
    served.note(tmp_path, 8080, ("tuned", "base"), parallel=2)
    local = LocalGateway(Routes(tmp_path), timeout_s=1)
    seats = local.seats("tuned")
    assert (seats is local.seats("base"), seats._value) == (True, 2)
    assert local.seats("unknown") is not seats
