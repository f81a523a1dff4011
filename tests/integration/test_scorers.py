"""Rows read to models by real children that only speak the protocol."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import eventually_on_loop
from fake_scorer import as_python
from judged_builders import MadeUp, a_row, an_evaluation
from pydantic import ValidationError

from models.payloads import Failed, Snoozed
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.suites.outcomes import Loss
from models.tables import TunedModel
from worker.evaluating.losses import Losses
from worker.evaluating.scorers import MOST_DEATHS, Scorers
from worker.training.events import Died
from worker.training.scored import Reading, Scored, Unscored
from worker.training.scorer import Scorer

IDLE_S = 0.3


class World:
    """One process that reads, its registry, and what its children noted."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.registered: dict[str, TunedModel] = {}
        self.children: list[Scorer] = []
        python = str(as_python(folder))
        self._start = partial(Scorer.start, home=folder, python=python)
        self.scorers = Scorers(self.start, idle_s=IDLE_S)
        self.losses = Losses(self.read, folder, self.scorers)

    async def start(self, reading: Reading) -> Scorer:
        self.children.append(await self._start(reading))
        return self.children[-1]

    async def read(self, _function: object, name: str) -> TunedModel | None:
        return self.registered.get(name)

    @property
    def loaded(self) -> list[str]:
        """The bases that children were started with, in order."""
        return [line.split()[0] for line in (self.home / "loaded").read_text().splitlines()]

    def is_idle(self) -> bool:
        return all(child._process.returncode is not None for child in self.children)


def chat(said: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": said}]}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.losses.close()
    assert made.is_idle()


async def test_one_child_reads_all_rows_of_a_model_and_then_those_of_the_next(
    world: World,
) -> None:
    """However the rows come: forty rows of two models are two children."""
    a, b = Reading("a"), Reading("b")
    wanted = [world.scorers.score(one, chat("x" * n)) for n in range(1, 21) for one in (a, b)]
    found = await asyncio.gather(*wanted)
    assert [told.nll for told in found if isinstance(told, Scored)] == [
        float(n) for n in range(1, 21) for _ in (a, b)
    ]
    assert world.loaded == ["a", "b"]


async def test_a_child_stays_for_the_next_shard_and_then_gives_the_device_back(
    world: World,
) -> None:
    """Within the idle time the model is loaded once; after it nobody holds the device."""
    for _ in range(2):
        await world.scorers.score(Reading("a"), chat("x"))
    assert world.loaded == ["a"]
    await eventually_on_loop(world.is_idle, "the child has ended")
    await world.scorers.score(Reading("a"), chat("x"))
    assert world.loaded == ["a", "a"]


async def test_a_row_that_kills_its_child_fails_alone(world: World) -> None:
    """The others are read by the next child; the killer is tried once more, by itself."""
    words = ["one", "two", "kill", "four"]
    found = await asyncio.gather(*(world.scorers.score(Reading("a"), chat(one)) for one in words))
    assert [type(told) for told in found] == [Scored, Scored, Died, Scored]
    assert isinstance(found[2], Died)
    assert "SIGKILL" in found[2].detail


async def test_a_model_that_cannot_be_loaded_is_not_tried_for_every_row(world: World) -> None:
    """All who wait hear of it at once; deaths before it is loaded are the model's."""
    gone = await asyncio.gather(*(world.scorers.score(Reading("gone"), chat("x")) for _ in "abc"))
    assert {told.code for told in gone if not isinstance(told, Scored | Died)} == {"base_missing"}
    assert world.loaded == ["gone"]
    doomed = (world.scorers.score(Reading("doomed"), chat("x")) for _ in "abcdefgh")
    assert {type(told) for told in await asyncio.gather(*doomed)} == {Died}
    assert world.loaded.count("doomed") == MOST_DEATHS


async def test_a_python_that_is_not_there_is_said(tmp_path: Path) -> None:
    """As a name, not as an error of ours."""
    start = partial(Scorer.start, home=tmp_path, python=str(tmp_path / "nowhere"))
    scorers = Scorers(start)
    told = await scorers.score(Reading("a"), chat("x"))
    await scorers.close()
    assert not isinstance(told, Scored | Unscored)
    assert "No such file" in told.detail


async def test_a_row_becomes_a_loss_for_each_model(world: World) -> None:
    """A model of the registry is its base with its adapter; any other name is a base."""
    (world.home / "runs" / "adapter").mkdir(parents=True)
    world.registered["tuned"] = a_model("tuned", place="runs/adapter")
    row = a_row(
        an_evaluation("perplexity", "base", "tuned", prompts={}), MadeUp(str), **chat("abc")
    )
    assert await world.losses.of_row(row) == [Loss("base", 3, 3.0), Loss("tuned", 3, 6.0)]
    assert world.loaded == ["base", "small"]


async def test_a_row_that_one_model_cannot_read_is_counted(world: World) -> None:
    """It is in the record as what it is, and in no mean."""
    row = a_row(an_evaluation("perplexity", "a", prompts={}), MadeUp(str), **chat("refuse"))
    found = await world.losses.of_row(row)
    assert found == [Loss("a", 0, 0.0, FailureCode.REQUEST_REJECTED, "the template refuses it")]


@pytest.mark.parametrize(
    ("model", "said", "detail"),
    [
        ("gone", "x", "gone: there is no model at gone"),
        ("a", "huge", "a: it does not fit"),
        ("hosted", "x", "hosted lies with the provider, who tells no losses: leave it out"),
    ],
)
async def test_what_another_machine_could_read_fails_the_row(
    world: World, model: str, said: str, detail: str
) -> None:
    """By name: `retry` reads it again."""
    world.registered["hosted"] = a_model("hosted", trainer="mistral", place="ft:small")
    row = a_row(an_evaluation("perplexity", model, prompts={}), MadeUp(str), **chat(said))
    assert await world.losses.of_row(row) == Failed(FailureCode.MODEL_FAILED, detail)


async def test_an_adapter_that_is_not_here_is_said(world: World) -> None:
    """Its name, and where to evaluate."""
    world.registered["tuned"] = a_model("tuned", place="runs/away")
    row = a_row(an_evaluation("perplexity", "tuned", prompts={}), MadeUp(str), **chat("x"))
    found = await world.losses.of_row(row)
    assert isinstance(found, Failed)
    assert found.detail.endswith("is not on this machine: evaluate where tuned was trained")


@pytest.mark.parametrize("messages", [None, "hi", [], [{"role": "user"}], ["assistant"]])
async def test_a_row_that_is_no_conversation_fails_by_name(world: World, messages: Any) -> None:
    """Whatever the model: no child is started for it."""
    row = a_row(an_evaluation("perplexity", "a", prompts={}), MadeUp(str), messages=messages)
    with pytest.raises(RowProblem, match="messages must be a conversation"):
        await world.losses.of_row(row)
    assert not world.children


@pytest.mark.parametrize("tools", ["", "look_up", {"name": "look_up"}, ["look_up"], 0])
async def test_tools_that_are_no_list_of_objects_fail_their_row_by_name(
    world: World, tools: Any
) -> None:
    """No child is started for them."""
    row = a_row(an_evaluation("perplexity", "a", prompts={}), MadeUp(str), **chat("x"), tools=tools)
    with pytest.raises(RowProblem, match="tools must be a list of objects"):
        await world.losses.of_row(row)
    assert not world.children


@pytest.mark.parametrize("tools", [None, [], [{"type": "function", "function": {}}]])
async def test_rows_with_tools_or_without_are_read(world: World, tools: Any) -> None:
    """None of them is a fault."""
    row = a_row(an_evaluation("perplexity", "a", prompts={}), MadeUp(str), **chat("x"), tools=tools)
    assert await world.losses.of_row(row) == [Loss("a", 1, 1.0)]


async def test_a_row_that_cannot_be_sent_is_an_error_of_its_own_alone(world: World) -> None:
    """Those that wait with it are read."""
    rows = [chat("x"), {**chat("y"), "tools": "look_up"}, chat("zz")]
    wanted = (world.scorers.score(Reading("a"), row) for row in rows)
    found = await asyncio.gather(*wanted, return_exceptions=True)
    assert [type(told) for told in found] == [Scored, ValidationError, Scored]


async def test_a_stopped_row_waits_for_no_child(world: World) -> None:
    """Pause, cancel or drain: the row stays open, and its place in the queue is given up."""
    evaluation = an_evaluation("perplexity", "slow", prompts={})
    rows = [a_row(evaluation, MadeUp(str), **chat("x")) for _ in range(30)]
    tasks = [asyncio.create_task(world.losses.of_row(row)) for row in rows]
    await eventually_on_loop(tasks[0].done, "the first row is read")
    for row in rows:
        row.run.shard.stop("the job is paused")
    found = await asyncio.gather(*tasks)
    assert found[0] == [Loss("slow", 1, 1.0)]
    assert found[-1] == Snoozed("the job is paused")


async def test_closed_it_leaves_no_child_and_nobody_waiting(world: World) -> None:
    """The process ends: the child is killed at once."""
    task = asyncio.create_task(world.scorers.score(Reading("slow"), chat("x" * 9)))
    await eventually_on_loop(lambda: bool(world.children), "a child was started")
    await world.losses.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.is_idle()


def a_model(name: str, **changes: Any) -> TunedModel:
    values: dict[str, Any] = {
        "name": name,
        "base": "small",
        "trainer": "local",
        "job_id": "job_1",
        "dataset_name": "news",
        "dataset_hash": "0",
        "parameters": "{}",
        "seed": 0,
        "code_version": "0",
        "created_at": 0.0,
    }
    return TunedModel(**{**values, **changes})
