"""The parent's view of a run, over a child that is a few lines of shell."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from builders import eventually
from test_training_run_folder import a_spec

from worker.training import Died, Event, Point, Run, Stopped
from worker.training.dying import Stop, hold_device
from worker.training.running import command, environment

POINT = '{"event":"point","step":1,"loss":2.5}'
STOPPED = '{"event":"stopped","step":1}'


async def started(folder: Path, *script: str) -> Run:
    """A run whose child is `script`."""
    program = folder / "child"
    program.write_text("\n".join(["#!/bin/sh", *script]) + "\n")
    program.chmod(0o755)
    return await Run.start(folder / "run", a_spec(), home=folder / "home", python=str(program))


async def told(run: Run) -> list[Event]:
    return [event async for event in run.events()]


async def test_a_run_tells_until_its_last_word(tmp_path: Path):
    """Lines that are no events are passed over; the last word comes last."""
    run = await started(tmp_path, f"echo '{POINT}'", "echo chatter", f"echo '{STOPPED}'")
    assert await told(run) == [Point(step=1, loss=2.5), Stopped(step=1)]


async def test_a_run_without_a_last_word_died(tmp_path: Path):
    """The signal is named, what it said last, and where its log is."""
    run = await started(tmp_path, f"echo '{POINT}'", "echo 'no memory' >&2", "kill -KILL $$")
    *_, last = await told(run)
    assert isinstance(last, Died)
    assert last.exit_code == -signal.SIGKILL
    assert "SIGKILL, saying: no memory;" in last.detail
    assert "log.txt" in last.detail


async def test_a_run_told_to_stop_says_its_last_word(tmp_path: Path):
    """SIGTERM reaches the child, which ends by itself."""
    trap = f"trap 'echo \"$LAST\"; exit 0' TERM; LAST='{STOPPED}'"
    run = await started(tmp_path, trap, f"echo '{POINT}'", "while :; do sleep 0.05; done")
    events = run.events()
    assert await anext(events) == Point(step=1, loss=2.5)
    await run.stop()
    assert [event async for event in events] == [Stopped(step=1)]


async def test_a_run_that_does_not_stop_is_killed(tmp_path: Path):
    """After the patience it was given."""
    run = await started(tmp_path, "trap '' TERM", f"echo '{POINT}'", "while :; do sleep 0.05; done")
    events = run.events()
    await anext(events)
    await run.stop(patience_s=0.1)
    (last,) = [event async for event in events]
    assert isinstance(last, Died)


async def test_a_reader_that_leaves_takes_the_run_with_it(tmp_path: Path):
    """The context stops it, whatever happened within."""
    run = await started(tmp_path, f"echo '{POINT}'", "exec sleep 60")
    async with run:
        pass
    assert isinstance((await told(run))[-1], Died)


def test_the_child_sees_no_key_of_ours(tmp_path: Path):
    """Nor where our database is; the habits that libraries need are set, but not forced."""
    ours = {"MISTRAL_API_KEY": "secret", "DATABASE_URL": "postgresql://", "HOME": "/root"}
    seen = environment({**ours, "TOKENIZERS_PARALLELISM": "true"}, tmp_path)
    assert "secret" not in seen.values()
    assert "DATABASE_URL" not in seen
    assert (seen["HOME"], seen["TOKENIZERS_PARALLELISM"]) == ("/root", "true")


def test_weights_and_biases_writes_into_the_run_s_folder(tmp_path: Path):
    """A run that goes on is the same one there; a place of the operator's own is kept."""
    seen = environment({"WANDB_RUN_ID": "a shell's"}, tmp_path / "job_1", wandb_key="k")
    assert seen["WANDB_DIR"] == str(tmp_path / "job_1")
    assert (seen["WANDB_RUN_ID"], seen["WANDB_RESUME"]) == ("job_1", "allow")
    assert seen["WANDB_API_KEY"] == "k"
    elsewhere = environment({"WANDB_DIR": "/logs"}, tmp_path)
    assert (elsewhere["WANDB_DIR"], "WANDB_API_KEY" in elsewhere) == ("/logs", False)


def test_offline_a_run_that_goes_on_is_another_of_its_group(tmp_path: Path):
    """Two files of one id could not be synced one after the other."""
    seen = environment({"WANDB_MODE": "offline"}, tmp_path / "job_1")
    assert (seen["WANDB_MODE"], seen["WANDB_RUN_GROUP"]) == ("offline", "job_1")
    assert not {"WANDB_RUN_ID", "WANDB_RESUME"} & seen.keys()


def test_another_interpreter_may_have_the_extra(tmp_path: Path):
    """Ours unless told."""
    assert command(tmp_path, tmp_path)[0] == sys.executable
    assert command(tmp_path, tmp_path, python="/else")[0] == "/else"


async def test_importing_the_parents_side_costs_no_torch():
    """A worker that trains nothing pays nothing."""
    heavy = "{'torch', 'transformers', 'trl', 'peft', 'datasets', 'numpy'}"
    program = f"import sys, worker.training; sys.exit(bool({heavy} & set(sys.modules)))"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await child.wait() == 0


async def test_children_that_read_and_count_open_no_database():
    """They know money's unit and words for sums, and load no table: half of their start."""
    ours = "worker.training.scoring, worker.training.counting, models.budgets, models.prices"
    program = f"import sys, {ours}; sys.exit('sqlmodel' in sys.modules)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await child.wait() == 0


def test_a_device_is_held_by_one_run(tmp_path: Path):
    """Another says once that it waits, and gives up when told to stop."""
    lock, stop, waited = tmp_path / "home" / "train-cpu.lock", Stop(), []
    assert hold_device(lock, stop, lambda: waited.append("first"))

    def stop_while_waiting() -> None:
        waited.append("second")
        stop.asked = True

    assert not hold_device(lock, stop, stop_while_waiting)
    assert waited == ["second"]


def test_a_child_dies_with_its_parent():
    """Even with one that is killed and can tell nobody."""
    child = "import os, time; from worker.training.dying import die_with as d; d(os.getppid())"
    parent = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child + '; print(1, flush=True)'!r}"
        " + '; time.sleep(60)'], stdin=subprocess.PIPE, stdout=subprocess.PIPE);"
        "p.stdout.readline(); print(p.pid, flush=True); p.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as out:
        pid = int(out.readline())
        process.kill()
        process.wait()
        eventually(lambda: not is_running(pid), "the child is gone")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"
