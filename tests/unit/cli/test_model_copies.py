"""`models export`: what it may overwrite, and what it leaves alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_stored_job
from cli_builders import Ended, plain

from models.store import registry
from models.store.engine import Store
from models.tables import TunedModel
from producers.cli.rendering import training_words

Run = Callable[..., Ended]


@pytest.fixture
def export(run: Run, user_store: Store, home: Path) -> Callable[..., Ended]:
    """Exports a model whose files are in the home: `export("folder", "--overwrite")`."""
    job_id = a_stored_job(user_store)
    folder = home / "runs" / "job_a"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "weights").write_text("w")
    (folder / "log.txt").write_text("much")
    model = TunedModel(
        name="news",
        base="smollm2",
        trainer="local",
        place="runs/job_a/adapter",
        job_id=job_id,
        dataset_name="news",
        dataset_hash="0123456789abcdef0123",
        parameters="{}",
        created_at=0.0,
    )
    with user_store.write() as connection:
        registry.register(connection, model, {})
    return lambda to, *more: run("models", "export", "news", "--to", str(to), *more)


def everything(folder: Path) -> set[str]:
    """Names of all files below, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_is_not_ours_is_never_overwritten(
    export: Callable[..., Ended], tmp_path: Path
) -> None:
    """Its files stay, whatever was asked."""
    thesis = tmp_path / "here" / "precious" / "thesis" / "a.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years")
    ended = export("precious", "--overwrite")
    assert (ended.code, "thesis/a.txt" in ended.err) == (2, True), ended.err
    assert thesis.read_text() == "years"
    assert everything(tmp_path / "here") == {"precious/thesis/a.txt"}


@pytest.mark.parametrize("to", [".", "..", "../here", "~", "~/x/.."])
def test_the_folder_one_works_in_is_never_overwritten(
    export: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """Nor one that holds it, nor the home: exit code 2, and all is as it was."""
    (tmp_path / "user" / "x").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    ended = export(to, "--overwrite")
    assert (ended.code, "folder you work in" in ended.err) == (2, True), ended.err
    assert (tmp_path / "here").is_dir()
    assert (tmp_path / "user").is_dir()


def test_the_home_of_maestrale_is_never_overwritten(
    export: Callable[..., Ended], home: Path
) -> None:
    """Nor a run's own folder."""
    assert export(home, "--overwrite").code == 2
    assert export(home / "runs" / "job_a", "--overwrite").code == 2
    assert (home / "runs" / "job_a" / "adapter" / "weights").is_file()


def test_an_empty_folder_and_an_earlier_export_are_overwritten(
    export: Callable[..., Ended], tmp_path: Path
) -> None:
    """And nothing of the old ones, or of the work, is left beside them."""
    here = tmp_path / "here"
    (here / "copy").mkdir()
    assert export("copy").code == 2
    for _ in range(2):
        assert export("copy", "--overwrite").code == 0
    assert everything(here) == {"copy/adapter/weights", "copy/lineage.json"}
    told = json.loads((here / "copy" / "lineage.json").read_text())
    assert told["files"] == ["adapter/weights", "lineage.json"]


@pytest.mark.parametrize("stranger", ["notes.txt", "adapter/notes.txt"])
def test_an_export_with_something_else_in_it_is_left_alone(
    export: Callable[..., Ended], tmp_path: Path, stranger: str
) -> None:
    """Wherever it lies; it is named."""
    assert export("copy").code == 0
    (tmp_path / "here" / "copy" / stranger).write_text("mine")
    ended = export("copy", "--overwrite")
    assert (ended.code, stranger in ended.err) == (2, True), ended.err
    assert (tmp_path / "here" / "copy" / stranger).read_text() == "mine"


def test_a_lineage_of_another_tool_is_not_ours(
    export: Callable[..., Ended], tmp_path: Path
) -> None:
    """A file of that name alone gives no right to delete."""
    (tmp_path / "here" / "data").mkdir()
    for text in ("[]", "{}", '{"files":7}', "no JSON"):
        (tmp_path / "here" / "data" / "lineage.json").write_text(text)
        assert export("data", "--overwrite").code == 2
    assert everything(tmp_path / "here") == {"data/lineage.json"}


def test_a_file_is_not_overwritten_by_a_folder(
    export: Callable[..., Ended], tmp_path: Path
) -> None:
    """Nor is anything put below a file."""
    file = tmp_path / "here" / "a.txt"
    file.write_text("mine")
    assert export("a.txt", "--overwrite").code == 2
    assert export("a.txt/copy").code == 2
    assert file.read_text() == "mine"


def test_a_tilde_is_the_user_s_home(
    export: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As shells read it; nobody's home is an error."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    ended = export("~/copy", "--json")
    assert ended.facts["folder"] == str(tmp_path / "user" / "copy")
    assert (tmp_path / "user" / "copy" / "lineage.json").is_file()
    assert export("~no-such-user/copy").code == 2


def test_an_export_that_fails_leaves_the_earlier_one(
    export: Callable[..., Ended], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that refuses the last move: the old copy is back, and nothing is beside it."""
    assert export("copy").code == 0
    before = everything(tmp_path / "here")
    move = Path.rename

    def refusing(path: Path, to: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return move(path, to)

    monkeypatch.setattr(Path, "rename", refusing)
    assert export("copy", "--overwrite").code == 1
    assert everything(tmp_path / "here") == before
    (home / "runs" / "job_a").replace(home / "elsewhere")
    assert export("copy", "--overwrite").code == 2
    assert everything(tmp_path / "here") == before


def test_a_hosted_model_is_asked_by_its_name_in_the_registry() -> None:
    """Commands know it by that; the provider's own id is where it is."""
    hosted = TunedModel(
        name="news-mistral",
        base="open-mistral-7b",
        trainer="mistral",
        place="ft:open-mistral-7b:daf5e488:20240430:c1bed559",
        job_id="job_x",
        dataset_name="news",
        dataset_hash="0123456789abcdef0123",
        metrics="{}",
        created_at=0.0,
    )
    shown = plain(training_words.model(hosted))
    assert "maestrale generate FILE --recipe NAME --model news-mistral\n" in shown
    assert hosted.place in shown


def test_a_copy_may_have_a_name_of_many_bytes(export: Callable[..., Ended], tmp_path: Path) -> None:
    """Eighty letters of three bytes each."""
    to = tmp_path / ("語" * 80)
    assert export(to).code == 0
    assert (to / "lineage.json").is_file()
