"""The training kind over a real database and a real child that only speaks the protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, eventually_on_loop
from sqlalchemy import select, update

from models.errors import StoreBusyError
from models.payloads import (
    Estimate,
    Failed,
    JobSpec,
    RowInHand,
    RowOutcome,
    Snoozed,
    Submitted,
    Succeeded,
)
from models.states import FailureCode, JobKind, RemoteState
from models.store import registry, remote, rows, trainings
from models.store.engine import Store
from models.training import DatasetRef, TrainingSpec
from proving.fake_trainer import as_python
from proving.training_builders import a_dataset, a_spec
from worker.jobs import JobInHand
from worker.kinds.train import Trainings
from worker.rows import RowRun
from worker.shards import DEATHS_TO_PARK
from worker.training import Event, Run, Stopped


class World:
    """One process that trains."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.home = folder / "home"
        self.python = str(as_python(folder))
        self.dataset = a_dataset(folder)
        self.children: list[Run] = []
        self.busy = 0
        """How many writes the database refuses yet."""
        self.kind = Trainings(write=self.write, read=self.read, home=self.home, start=self.start)

    async def start(self, folder: Path, spec: TrainingSpec, *, home: Path) -> Run:
        self.children.append(await Run.start(folder, spec, home=home, python=self.python))
        return self.children[-1]

    async def write(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if self.busy:
            self.busy -= 1
            raise StoreBusyError("busy")
        return await asyncio.to_thread(self._write, partial(function, *args, **named))

    async def read(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(self._read, function, *args)

    def _write(self, function: partial[Any]) -> Any:
        with self.store.write() as connection:
            return function.func(connection, *function.args, **function.keywords)

    def _read(self, function: Callable[..., Any], *args: Any) -> Any:
        with self.store.read() as connection:
            return function(connection, *args)

    def run(self, *, job_id: str = "", attempt: int = 0, **changes: Any) -> RowRun:
        """A training job with its row in hand."""
        counts = dict.fromkeys(("rows", "calls", "prompt_tokens", "completion_tokens"), 1)
        estimate = Estimate(**counts, cost_usd=None, seconds=None)
        changes.setdefault("dataset", self.dataset)
        spec = JobSpec(training=a_spec(**changes))
        job_id = job_id or a_stored_job(
            self.store,
            rows_count=1,
            shard_size=1,
            kind=JobKind.TRAIN,
            spec=spec.model_dump_json(),
            estimate=estimate.model_dump_json(),
        )
        job = JobInHand(job_id, JobKind.TRAIN, spec, 5, lambda *_: None)
        row = RowInHand(0, "news", {}, attempt=attempt)
        return RowRun(job.take(), row, asker=None)  # type: ignore[arg-type] # asks nothing

    def points(self, run: RowRun) -> list[Any]:
        return self._read(trainings.of_job, run.shard.job.id)


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(store, tmp_path)


async def test_a_run_becomes_a_model_with_its_lineage(world: World) -> None:
    """Points by step, one record of metrics, and the registry knows it all."""
    run = world.run()
    outcome = await world.kind.run_row(run)
    assert isinstance(outcome, Succeeded)
    assert outcome.records[0]["model"] == "news-smollm2"
    assert outcome.records[0]["valid_loss_before"] == 4.0
    told = world.points(run)
    assert [point.step for point in told] == [0, 1, 2, 3, 4, 5]
    assert (told[0].valid_loss, told[5].loss, told[5].valid_loss) == (4.0, 0.8, 1.0)
    with world.store.read() as connection:
        model = registry.of_job(connection, run.shard.job.id)
    assert model is not None
    assert model.place == f"runs/{run.shard.job.id}/adapter"
    assert (world.home / model.place).is_dir()
    assert model.dataset_hash == world.dataset.hash


async def test_run_again_after_its_end_it_is_the_same_model(world: World) -> None:
    """The worker died between the registry and the row: nothing is registered twice."""
    run = world.run()
    first = await world.kind.run_row(run)
    again = await world.kind.run_row(world.run(job_id=run.shard.job.id))
    assert first == again


async def test_a_stopped_job_stops_its_child_and_goes_on_later(world: World) -> None:
    """Pause or drain: the row stays open; run again, it goes on from the checkpoint."""
    run = world.run(name="slow")
    task = asyncio.create_task(world.kind.run_row(run))
    await eventually_on_loop(
        lambda: any(point.checkpoint for point in world.points(run)), "a checkpoint is told"
    )
    run.shard.job.stop("the job is paused")
    assert await task == Snoozed("the job is paused")
    again = world.run(job_id=run.shard.job.id, name="slow")
    assert isinstance(await world.kind.run_row(again), Succeeded)
    assert [point.step for point in world.points(again)] == [0, 1, 2, 3, 4, 5]


async def test_a_run_that_gets_on_is_not_to_blame_for_its_dead_workers(world: World) -> None:
    """A week's training outlives any number of reboots: a checkpoint ends the suspicion."""
    run = world.run(name="mortal")
    with world.store.write() as connection:
        connection.execute(update(rows.rows).values(deaths=DEATHS_TO_PARK))
    await world.kind.run_row(run)
    with world.store.read() as connection:
        assert list(connection.scalars(select(rows.rows.c.deaths))) == [0]


async def test_a_cut_row_leaves_no_child_behind(world: World) -> None:
    """The process must end at once: the child is killed with it."""
    run = world.run(name="slow")
    task = asyncio.create_task(world.kind.run_row(run))
    await eventually_on_loop(
        lambda: any(point.checkpoint for point in world.points(run)), "a checkpoint is told"
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        world.children[0]._process.send_signal(0)


async def test_a_child_that_was_killed_goes_on_from_its_checkpoint(world: World) -> None:
    """kill -9 in the middle costs what came after the checkpoint."""
    run = world.run(name="mortal")
    assert isinstance(await world.kind.run_row(run), Succeeded)
    assert len(world.children) == 2


async def test_a_child_that_dies_and_dies_ends_the_run_by_name(world: World) -> None:
    """Three deaths without a new checkpoint between."""
    outcome = await world.kind.run_row(world.run(name="doomed"))
    assert isinstance(outcome, Failed)
    assert outcome.code is FailureCode.TRAINING_FAILED
    assert "SIGKILL" in outcome.detail
    assert len(world.children) == 3


async def test_what_the_child_cannot_do_is_said_in_its_words(world: World) -> None:
    """A base that is not there stays away however often it is looked for."""
    outcome = await world.kind.run_row(world.run(name="broken"))
    assert outcome == Failed(FailureCode.TRAINING_FAILED, "base_missing: there is no such base")


@pytest.mark.parametrize("what", ["changed", "gone", "unreadable"])
async def test_a_dataset_that_is_not_what_it_was_is_not_trained_on(world: World, what: str) -> None:
    """The hash is checked before anything starts."""
    dataset: DatasetRef = world.dataset
    if what == "changed":
        with (Path(dataset.folder) / "train.jsonl").open("a") as file:
            file.write('{"id":"new"}\n')
    elif what == "unreadable":
        (Path(dataset.folder) / "train.jsonl").write_text("{")
    else:
        dataset = dataset.model_copy(update={"folder": "/nowhere"})
    outcome = await world.kind.run_row(world.run(dataset=dataset))
    assert isinstance(outcome, Failed)
    assert outcome.code is FailureCode.TRAINING_FAILED
    assert not world.children


async def test_a_database_outage_stops_no_training(world: World) -> None:
    """Points wait, and are told together when it is back."""
    run = world.run()
    world.busy = 4
    assert isinstance(await world.kind.run_row(run), Succeeded)
    assert [point.step for point in world.points(run)] == [0, 1, 2, 3, 4, 5]


# -- with the provider -----------------------------------------------------------------------------


def hosted(world: World, **changes: Any) -> RowRun:
    return world.run(trainer="mistral", base="open-mistral-7b", **changes)


def put(world: World, job_id: str, **values: Any) -> None:
    """How the clock left the job's newest operation."""
    with world.store.write() as connection:
        newest = trainings.operations_of(connection, job_id, 0)[-1]
        table = remote.operations
        connection.execute(table.update().where(table.c.id == newest.id).values(**values))


async def test_a_hosted_run_leaves_one_operation_to_the_clock(world: World) -> None:
    """However often the row is run before the clock is through with it."""
    run = hosted(world)
    assert isinstance(await world.kind.run_row(run), Submitted)
    assert isinstance(await world.kind.run_row(run), Submitted)
    with world.store.read() as connection:
        (operation,) = trainings.operations_of(connection, run.shard.job.id, 0)
    assert (operation.kind, operation.model) == ("training", "open-mistral-7b")
    assert operation.state == RemoteState.SENDING


async def test_a_hosted_run_that_succeeded_is_registered(world: World) -> None:
    """By the provider's model id, with the losses of its checkpoints."""
    run = hosted(world)
    await world.kind.run_row(run)
    put(world, run.shard.job.id, state=RemoteState.SUCCEEDED, files='{"model":"ft:7b:news"}')
    await world.write(trainings.tell, run.shard.job.id, 10, {"loss": 1.0, "valid_loss": 1.5})
    outcome = await world.kind.run_row(run)
    assert isinstance(outcome, Succeeded)
    assert outcome.records[0]["valid_loss_after"] == 1.5
    with world.store.read() as connection:
        model = registry.of_job(connection, run.shard.job.id)
    assert model is not None
    assert (model.place, model.trainer) == ("ft:7b:news", "mistral")


async def test_a_hosted_run_that_failed_is_asked_for_anew_by_retry_alone(world: World) -> None:
    """The row fails with the provider's reason; `retry` counts its attempts up."""
    run = hosted(world)
    await world.kind.run_row(run)
    put(world, run.shard.job.id, state=RemoteState.FAILED, reason="no such model")
    failed = await world.kind.run_row(run)
    assert failed == Failed(FailureCode.TRAINING_FAILED, "no such model")
    again: RowOutcome = await world.kind.run_row(hosted(world, job_id=run.shard.job.id, attempt=1))
    assert isinstance(again, Submitted)
    with world.store.read() as connection:
        assert len(trainings.operations_of(connection, run.shard.job.id, 0)) == 2


class Stubborn:
    """A child that has said its last word, and takes its time to be told to stop."""

    def __init__(self) -> None:
        self.is_told, self.lets_go = asyncio.Event(), asyncio.Event()
        self.killed = False

    async def events(self) -> AsyncIterator[Event]:
        await self.is_told.wait()
        yield Stopped(step=1)

    async def stop(self, patience_s: float = 60) -> None:
        self.killed = self.killed or not patience_s
        if patience_s:
            self.is_told.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await self.lets_go.wait()
                raise


async def test_a_shard_that_is_cut_while_its_child_ends_is_cut(world: World) -> None:
    """The cancellation is not taken for that of the task which stops the child."""
    run, child = world.run(), Stubborn()

    async def start(*_: Any, **__: Any) -> Any:
        return child

    kind = Trainings(write=world.write, read=world.read, home=world.home, start=start)
    task = asyncio.create_task(kind.run_row(run))
    run.shard.stop("the worker is stopping")
    await child.is_told.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    child.lets_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.killed
