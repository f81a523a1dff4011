"""A base is repacked once for all who serve it."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FOUR_BITS = SimpleNamespace(tensor_type=2)
GGUF = SimpleNamespace(
    GGMLQuantizationType=SimpleNamespace(Q4_0=2, Q4_1=3, Q8_0=8),
    Keys=SimpleNamespace(General=SimpleNamespace(ARCHITECTURE="arch", FILE_TYPE="type")),
    GGUFReader=lambda _path: SimpleNamespace(tensors=[FOUR_BITS]),
)
"""What is used of the library, which comes with the extra `train`."""


@pytest.fixture
def repacking(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, over that."""
    monkeypatch.setitem(sys.modules, "gguf", GGUF)
    monkeypatch.delitem(sys.modules, "worker.serving.repacking", raising=False)
    module = importlib.import_module("worker.serving.repacking")
    monkeypatch.setitem(sys.modules, "worker.serving.repacking", module)
    return module


def test_two_who_repack_at_once_do_not_write_into_one_file(
    tmp_path: Path, repacking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process begins and ends while this one writes: both have a whole file."""
    base, home = tmp_path / "base.gguf", tmp_path / "home"
    base.write_bytes(b"GGUF")
    seen: list[bytes] = []

    def write(_reader: Any, target: Path) -> None:
        with target.open("w") as file:
            file.write("be")
            file.flush()
            if not seen:
                seen.append(b"")
                with monkeypatch.context() as elsewhere:
                    elsewhere.setattr(os, "getpid", lambda: -1)
                    seen.append(repacking.repacked(base, home).read_bytes())
            file.write("gun")

    monkeypatch.setattr(repacking, "_write", write)
    made = repacking.repacked(base, home)
    assert (seen[1], made.read_bytes()) == (b"begun", b"begun")
    assert list(made.parent.iterdir()) == [made]
