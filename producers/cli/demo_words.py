"""What the demo says. Pure."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from models.states import JobState
from models.tables import Job
from producers.cli import showing
from producers.cli.showing import Limited
from producers.cli.words import safe
from producers.client import Plan
from producers.exports import Exported
from producers.processes import Service

SIMULATOR_NOTE = (
    "The simulator writes the answers: filler text with the API's limits, latencies and faults. "
    "No model is asked, and nothing is paid."
)


def title() -> list[RenderableType]:
    """Before anything happens."""
    return [
        "",
        Text.assemble(("  Maestrale", f"bold {showing.ACCENT}"), "  a demonstration, offline"),
        Padding(Text(SIMULATOR_NOTE, style="dim"), (0, 2, 0, 2)),
        "",
    ]


def running(services: Sequence[Service], *, port_moved: bool) -> list[RenderableType]:
    """What was started."""
    names = ", ".join(service.name for service in services)
    said: list[RenderableType] = [Text.assemble(("  started   ", "dim"), names)]
    if port_moved:
        said.append(
            showing.warning(
                "The simulator's port of the last run is taken, so it listens on another one. To the "
                "ledger that is another server: this run asks everything anew."
            )
        )
    return said


def plan(plan: Plan) -> list[RenderableType]:
    """What will be done: the sample, and the estimate."""
    sample = Text.assemble(
        ("  sample    ", "dim"),
        "187 abstracts on microRNAs: three questions each, an answer per question",
    )
    origin = Text(
        "            corpus miRTex, by way of SCAI-BIO; Apache-2.0; see recipes/amira/SAMPLE.md",
        style="dim",
    )
    return [sample, origin, "", showing.estimate(plan.found, plan.estimate), ""]


def outcome(
    job: Job, limit: Limited | None, dataset: Exported, record: dict[str, Any]
) -> list[RenderableType]:
    """What came of it, with one real pair out of the dataset."""
    parts: list[RenderableType] = [Text("  ") + showing.headline(job), showing.summary(job, limit)]
    parts.append(showing.pairs([("dataset", f"{shown(dataset.path)}  {dataset.records:,} records")]))
    if job.state != JobState.SUCCEEDED:
        parts.append(showing.warning("Something went wrong: see .demo/logs"))
    messages = record.get("messages", [])
    if messages:
        parts += ["", Text("  One pair from it (written by the simulator):", style="dim")]
        parts += [_message(message) for message in messages]
    return parts


def _message(message: dict[str, Any]) -> RenderableType:
    role = Text(f"  {safe(message.get('role')):<10}", style=showing.ACCENT)
    return Group(Padding(Text.assemble(role, safe(message.get("content"), 400)), (0, 2, 0, 0)))


def farewell(sample: Path) -> list[RenderableType]:
    """How to do it for real; everything is stopped by now."""
    path = shlex.quote(shown(sample))
    steps = (
        "export MISTRAL_API_KEY=...",
        "maestrale up",
        f"maestrale generate {path} --recipe amira --limit 20 --dry-run",
        f"maestrale generate {path} --recipe amira --limit 20",
    )
    lines = [Text(f"    {step}", style="bold") for step in steps]
    return [
        "",
        Text("  On the real API (the dry run tells the cost first):", style="dim"),
        *lines,
        "",
        Text("  Everything is stopped. Run it again: it will pay nothing.", style="dim"),
    ]


def shown(path: Path) -> str:
    """A path as short as it can be told from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
