"""What processes that we start are told: every setting, as the environment spells it."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from models.limits import Limit
from models.settings import Settings
from models.training.libraries import TRAINING
from producers.services import can_train, environment


@pytest.mark.parametrize(
    "said",
    [
        {},
        {
            "webhook_ports": "*",
            "webhook_networks": ["127.0.0.0/8", "10.0.0.0/8"],
            "webhook_http": True,
        },
        {"webhook_ports": [443, 9000], "limits": {"*": Limit(60.0, 1000.0)}, "lease_s": 30.0},
        {
            "secret_key": SecretStr("seal"),
            "api_key": SecretStr("key"),
            "prices_file": Path("p.toml"),
        },
    ],
)
def test_children_have_our_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: dict[str, Any]
) -> None:
    """Every setting survives the way through the environment, whatever it was set by."""
    ours = Settings(_env_file=None, home=tmp_path, **said)
    for name, value in environment(ours).items():
        monkeypatch.setenv(name, value)
    theirs = Settings(_env_file=None)
    same = {name for name in Settings.model_fields if name != "prices_file"}
    assert theirs.model_dump(include=same) == ours.model_dump(include=same)
    assert theirs.prices_file == (ours.prices_file and ours.prices_file.resolve())


def test_a_trainer_is_started_where_something_can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra here, or with another Python named that has it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    bare = Settings(_env_file=None)
    assert not can_train(bare)
    assert can_train(Settings(_env_file=None, train_python="/opt/train/bin/python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert can_train(bare)
    for missing in TRAINING:
        monkeypatch.setattr("importlib.util.find_spec", lambda name, no=missing: name != no or None)
        assert not can_train(bare), missing
