"""Sealed secrets: unreadable at rest, opened by whoever has the key, and nobody else."""

from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from models.errors import SetupError
from models.sealing import KEY_FILE, Sealer
from models.settings import Settings


def a_sealer(home: Path, key: str = "") -> Sealer:
    return Sealer(Settings(_env_file=None, home=home, secret_key=SecretStr(key)))


def test_what_was_sealed_can_be_opened_by_another_process_of_the_home(tmp_path: Path) -> None:
    """The key file is made once and read by all; only its owner can read it."""
    sealed = a_sealer(tmp_path).seal("whsec_x")
    assert "whsec_x" not in sealed
    assert a_sealer(tmp_path).open(sealed) == "whsec_x"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_machines_with_the_same_key_understand_each_other(tmp_path: Path) -> None:
    """A key that is told stands above the home's file, and makes none."""
    sealed = a_sealer(tmp_path / "a", "told").seal("whsec_x")
    assert a_sealer(tmp_path / "b", "told").open(sealed) == "whsec_x"
    assert not (tmp_path / "a").exists()


def test_another_key_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    """No garbage comes out, and the message names the setting, not the secret."""
    sealed = a_sealer(tmp_path / "a").seal("whsec_x")
    with pytest.raises(SetupError, match="MAESTRALE_SECRET_KEY") as told:
        a_sealer(tmp_path / "b").open(sealed)
    assert "whsec_x" not in str(told.value)


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    """Whoever comes second takes the first one's key."""
    sealed: list[str] = []
    threads = [
        Thread(target=lambda: sealed.append(a_sealer(tmp_path).seal("whsec_x"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a_sealer(tmp_path).open(one) for one in sealed] == ["whsec_x"] * 8
