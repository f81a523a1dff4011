"""What the demo says. Pure."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from models.tables import Job
from producers.cli.rendering import plan_words, showing
from producers.cli.rendering.showing import Limited
from producers.cli.rendering.words import safe
from producers.exports import Exported
from producers.planning import Plan
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
    said: list[RenderableType] = [showing.line("started", names)]
    if port_moved:
        said.append(
            showing.warning(
                "The simulator's port of the last run is taken, so it listens on another one. "
                "To the ledger that is another server: this run asks everything anew."
            )
        )
    return said


def plan(plan: Plan) -> list[RenderableType]:
    """What will be done: the sample, and the estimate."""
    about = Text("187 abstracts on microRNAs; three questions each, an answer per question\n")
    about.append("corpus miRTex, by way of SCAI-BIO; Apache-2.0 (recipes/amira/SAMPLE.md)", "dim")
    return [showing.line("sample", about), plan_words.planned(plan), ""]


def outcome(
    job: Job,
    limit: Limited | None,
    failures: Mapping[str, int],
    dataset: Exported,
    record: Mapping[str, Any],
) -> list[RenderableType]:
    """What came of it, with one pair out of the dataset."""
    where = Text.assemble((shown(dataset.path), "bold"), f"  {dataset.records:,} records")
    rows: list[tuple[str, RenderableType]] = [("dataset", where)]
    if failures:
        by_name = ", ".join(f"{number:,} {safe(code)}" for code, number in failures.items())
        told = Text.assemble(by_name, ("  a failed row is named; the others go on", "dim"))
        rows.insert(0, ("failed", told))
    note = "at the API's prices; the simulator takes nothing" if job.cost_nano else ""
    parts: list[RenderableType] = [
        Text("  ") + showing.headline(job),
        showing.summary(job, limit, note),
        showing.pairs(rows),
    ]
    if messages := record.get("messages"):
        parts += ["", Text("  One pair from it, as the simulator wrote it:", style="dim")]
        parts += [showing.line(safe(one["role"]), safe(one["content"], 400)) for one in messages]
    return parts


def heard(types: Sequence[str], url: str, job: Job) -> list[RenderableType]:
    """Which webhooks arrived; the last one tells of the job's end."""
    told = Text.assemble((", ".join(map(safe, types)) or "nothing", "bold"))
    told.append(f"\nsigned, sent to {url}, verified by examples/receiver.py", "dim")
    said: list[RenderableType] = ["", showing.line("webhooks", told)]
    if f"job.{job.state}" not in types:
        said.append(showing.warning("The last event has not arrived: see .demo/logs/receiver.log"))
    return said


NO_RECEIVER = Text("  webhooks: skipped, examples/receiver.py is not installed", style="dim")


def real_commands(sample: Path) -> list[str]:
    """How to do it for real."""
    path = shlex.quote(shown(sample))
    folder = Path(sys.executable).parent
    on_path = shutil.which("maestrale") or not (folder / "activate").exists()
    return [
        *([] if on_path else [f". {shlex.quote(shown(folder / 'activate'))}"]),
        "export MISTRAL_API_KEY=...",
        "maestrale up",
        f"maestrale generate {path} --recipe amira --limit 20 --dry-run",
        f"maestrale generate {path} --recipe amira --limit 20",
    ]


REAL = Text("  On the real API (the dry run tells the cost first):", style="dim")
FAREWELL = Text("  Everything is stopped. Run it again: it will pay nothing.", style="dim")


def shown(path: Path) -> str:
    """A path as short as it can be told from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
