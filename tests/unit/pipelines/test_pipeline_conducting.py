"""What goes wrong about one run stops neither the others nor the conductor; a base that is not
served beside its model is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from builders import a_job

from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.tables import Stage
from producers import registry
from producers.pipelines import Conductor, collecting, serving, training
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Lost, Made
from proving.pipelines_stage import edit, write_recipe


def broken(*_args: Any) -> Any:
    """A bug."""
    raise KeyError("a bug of ours")


@pytest.fixture
def conductor() -> Conductor:
    """Of nothing."""
    return Conductor(cast("Any", SimpleNamespace(settings=SimpleNamespace(lease_s=30.0))))


def test_a_run_that_cannot_be_moved_holds_up_no_other(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for the log, and for the next look."""
    moved: list[str] = []

    def step(run_id: str) -> None:
        moved.append(run_id)
        broken()

    monkeypatch.setattr(conductor, "_due_runs", lambda: ["job_a", "job_b"])
    monkeypatch.setattr(conductor, "_step", step)
    conductor.tick()
    assert moved == ["job_a", "job_b"]


def test_the_loop_outlives_a_bug(conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window waits for its thread."""
    looks: list[int] = []
    monkeypatch.setattr(conductor, "tick", broken)
    conductor.run(until=lambda: looks.append(1) or len(looks) > 2)  # type: ignore[func-returns-value]
    assert len(looks) == 3


def test_servers_that_cannot_be_ended_hold_up_no_run(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs are looked at all the same."""
    monkeypatch.setattr(serving, "end_left", broken)
    monkeypatch.setattr(conductor, "_report", lambda: broken)
    with pytest.raises(AttributeError, match="store"):  # of the stand-in: it came that far
        conductor._due_runs()


def test_a_run_whose_report_cannot_be_made_ends_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with it."""
    client = SimpleNamespace(store=SimpleNamespace(write=broken))
    assert collecting.collect(cast("Any", client), a_job()) is None


@pytest.mark.parametrize("reads_base", [True, False])
def test_a_base_that_is_not_served_is_no_rival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reads_base: bool
) -> None:
    """The tuned model is not compared with itself; who does not ask the base goes on."""
    folder = write_recipe(tmp_path / "small")
    if reads_base:
        edit(folder, "pipeline.toml", '"mistral-small-latest", ', '"{{ tuned.base }}", ')
    told = RunSpec(pipeline=load_pipeline(str(folder)))
    monkeypatch.setattr(registry, "served_names", lambda model, _settings: (model.name,))
    client = SimpleNamespace(settings=None)
    stage = Stage(run_id="r", name="tuned", place=0, kind="train")
    none = cast("Any", None)
    hand = Hand(cast("Any", client), none, told, stage, none, "d" * 64)
    model = SimpleNamespace(name="m", trainer="local", base="open-mistral-7b", job_id="j")
    model.metrics, model.place = "{}", "p"
    made = training._made(hand, "job_x", cast("Any", model))
    assert isinstance(made, Lost if reads_base else Made)
    if isinstance(made, Lost):
        assert "tuned.base" in made.reason
