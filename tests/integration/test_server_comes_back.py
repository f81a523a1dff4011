"""The development server after a death: at its address again, or a word why not."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import eventually

from models.errors import SetupError
from models.settings import Settings
from producers import services as services_module
from producers.services import Services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(Settings(_env_file=None, MAESTRALE_HOME=tmp_path, MISTRAL_API_KEY="sk-test"))
    yield made
    made.stop(patience_s=5)


@pytest.fixture
def taken(services: Services) -> Iterator[socket.socket]:
    """The server's port, taken by somebody else once the server is dead; a simulator still runs."""
    services.start_simulator()
    server = services.start_server()
    services._end([server], 5)
    port = int(server.address.rsplit(":", 1)[1])
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        yield holder


def test_a_dying_process_may_hold_the_port_a_little_longer(
    services: Services, taken: socket.socket
) -> None:
    """A server of many threads is seen as dead before its sockets are gone."""
    port = taken.getsockname()[1]
    threading.Timer(0.5, taken.close).start()
    assert services.start_server().address == f"redis://127.0.0.1:{port}"


def test_a_port_that_stays_taken_is_said(
    services: Services, taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another address would leave what runs here waiting for ever."""
    monkeypatch.setattr(services_module, "START_S", 0.2)
    with pytest.raises(SetupError, match=f"its port {taken.getsockname()[1]}, and simulator"):
        services.start_server()


def test_a_process_that_ends_by_itself_is_no_zombie_after_a_stop(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end in the very moment in which the stop looks who is there: nobody stops it then."""
    ended = services.spawn("ends", [sys.executable, "-c", ""])
    eventually(lambda: not ended.is_alive, "it ends by itself")
    monkeypatch.setattr(services, "running", list)
    services.stop()
    with pytest.raises(ChildProcessError):
        os.waitpid(ended.pid, os.WNOHANG)
