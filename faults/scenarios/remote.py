"""Remote work that was started and not written down: it is found again, and never started twice."""

import json
from collections import Counter
from urllib.request import urlopen

from faults import hurt_worker
from faults.history import Line, read
from faults.scenarios.registry import Begin, scenario
from faults.victims import VICTIM, death, victim
from faults.world import World
from models.crashing import EXIT_CODE, VARIABLE
from models.payloads import Options
from models.states import JobState
from models.tables import Job
from models.training.plan import Length
from producers.training import Training, Wish
from producers.training_jobs import Submission
from proving.training_builders import a_dataset_folder

HASTE_S, LAG_S = 5, 3
"""Who holds remote work is taken for dead after so long here, and lists are waited for as long;
over there they lag somewhat less."""
POSTED = "remote.posted"
BY_BATCH = Options(via="batch")


@scenario(21)
def dead_after_the_post(begin: Begin) -> None:
    """Workers die after they POSTed a batch and a training, before the ids are stored."""
    lag = ("--batch", f"listing_lag_s={LAG_S}", "--batch", "tuning_s=0.5")
    with begin(*lag, workers=0, MAESTRALE_LEASE=2) as world:
        batch = world.submit(world.rows(30), options=BY_BATCH)
        _die(world)
        training = _submit_training(world)
        _die(world)
        world.expect(len(_created(world)) == 2, "both were over there when their workers died")
        world.on.steer("batch", drop_creates=1)
        world.expect(_left_to_drop(world) == 1, "the next start is to be lost")
        world.fault("the answer to the next start is lost")
        third = world.submit(world.rows(30, start=1000), options=BY_BATCH)
        name, haste = "worker1", f"haste={HASTE_S}"
        world.on.services.spawn(name, hurt_worker.command(name, haste))
        jobs = [world.settled(job.id) for job in (batch, training, third)]
        ended = [str(job.state) for job in jobs]
        world.expect(ended == [JobState.SUCCEEDED] * 3, f"they ended {ended}")
        world.expect(_left_to_drop(world) == 0, "one answer to a start was lost")
        _expect_each_once(world)
        world.again(batch, world.rows(30))


def _submit_training(world: World) -> Job:
    folder = a_dataset_folder(world.on.home)
    wish = Wish(str(folder), "ministral-3b-latest", "mistral", "hosted", Length(steps=20))
    training = Training(world.on.client)
    job = training.submit(training.plan(wish), Submission())
    world.producer.write("submitted", job=job.id, rows=[job.name], asks=False)
    return job


def _die(world: World) -> None:
    """A worker that dies as soon as remote work of it is over there, before it has stored it."""
    world.fault("a point to die at", point=POSTED)
    command = hurt_worker.command(VICTIM, f"haste={HASTE_S}")
    with victim(world, VICTIM, command, **{VARIABLE: POSTED}) as child:
        code = death(world, child, f"who dies at {POSTED}")
    world.expect(code == EXIT_CODE, f"died at {POSTED}, exit code {code}")


def _expect_each_once(world: World) -> None:
    """Three intents, each over there once: by the metadata that they were started with."""
    made = Counter(str(sorted(line["metadata"].items())) for line in _created(world))
    several = [metadata for metadata, times in made.items() if times > 1]
    world.expect(
        len(made) == 3 and not several,
        f"{made.total()} made over there for 3 intents, {len(several)} of them more than once",
    )


def _left_to_drop(world: World) -> int:
    """How many of the next starts the simulator will not answer."""
    with urlopen(f"{world.on.url}/_batch", data=b"{}") as answer:
        return int(json.load(answer)["drop_creates"])


def _created(world: World) -> list[Line]:
    lines = read(world.log.path.parent)
    return [line for line in lines if line.by == "simulator" and line.what == "created"]
