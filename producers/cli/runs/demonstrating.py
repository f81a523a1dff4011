"""`maestrale demo`: the whole way of a job on a bare machine, with nothing needed or paid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from models.tables import Job
from producers import exports
from producers.cli.rendering import demo_words, facts
from producers.cli.rendering.showing import Limited
from producers.cli.runs.ending import exit_code
from producers.cli.runs.following import follow
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.demo import FOLDER, RECIPE, Demo, sample
from producers.demo_receiver import verified


def demonstrate(voice: Voice) -> int:
    """Starts what it needs, runs the sample, shows the outcome, stops everything."""
    voice.say(*demo_words.title())
    with Demo(Path(FOLDER), voice.busy) as demo:
        voice.say(*demo_words.running(demo.services.running(), port_moved=demo.has_moved))
        job, told = _run(demo.client, demo.home / "amira.jsonl", voice)
        told["webhooks_verified"] = _hear(demo, job, voice)
    voice.say("", demo_words.REAL)
    voice.commands(*demo_words.real_commands(sample()))
    voice.say("", demo_words.FAREWELL)
    if voice.as_json:
        voice.facts(told)
    return exit_code(job)


def _run(maestrale: Maestrale, path: Path, voice: Voice) -> tuple[Job, dict[str, Any]]:
    job, limit = _run_job(maestrale, voice)
    dataset: exports.Exported = maestrale.export(job.id, path, "chat", overwrite=True)
    failures = maestrale.failures_by_code(job.id)
    record = _first_record(dataset.path)
    voice.say(*demo_words.outcome(job, limit, failures, dataset, record))
    return job, _facts(job, dataset, failures)


def _hear(demo: Demo, job: Job, voice: Voice) -> list[str]:
    """What the receiver heard and verified of the job."""
    if not demo.receiver:
        voice.say(demo_words.NO_RECEIVER)
        return []
    with voice.busy("waiting for the last webhook"):
        types = verified(demo.services, job)
    voice.say(*demo_words.heard(types, demo.receiver, job))
    return types


def _run_job(maestrale: Maestrale, voice: Voice) -> tuple[Job, Limited | None]:
    with voice.busy("reading the sample"):
        plan = maestrale.plan(sample(), RECIPE)
    with plan:
        job = maestrale.submit(plan, again=True)
        voice.say(*demo_words.plan(plan))
    return follow(maestrale, job, voice)


def _first_record(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        line = file.readline()
    return dict(orjson.loads(line)) if line else {}


def _facts(job: Job, dataset: exports.Exported, failures: Mapping[str, int]) -> dict[str, Any]:
    return {
        "job": facts.job_facts(job),
        "dataset": str(dataset.path),
        "records": dataset.records,
        "failures": dict(failures),
        "simulated": True,
    }
