"""`maestrale demo --all`: all pipelines that come with Maestrale, offline, a line each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from models.states import STAGE_LOST, JobState
from models.words import money
from producers.cli.rendering import demo_words, showing
from producers.cli.rendering.words import counted, safe
from producers.cli.voice import Voice
from producers.demo import Demo
from producers.demo_all import ALL_FOLDER, RECIPES, Ended, run_all

_ALL_WELL, _FAILED = 0, 3
FIGURES_NOTE = (
    "What a tuned model of the simulator says is what the nearest row of its training file said: "
    "the figures show that the machinery works, and nothing of models."
)


def demonstrate_all(voice: Voice, *, limit: int | None) -> int:
    """Runs them one after the other in a world of their own, and says where the reports are."""
    voice.say(*demo_words.title(), Text(f"  {FIGURES_NOTE}", style="dim"), "")
    _begins(voice, "the simulator and the workers start; each pipeline takes up to some minutes")
    ended: list[Ended] = []
    with Demo(Path(ALL_FOLDER), voice.busy) as demo:
        running = run_all(demo.client, limit=limit)
        for name in RECIPES:
            _begins(voice, f"running {name} ...")
            with voice.busy(f"running {name}"):
                one = next(running)
            voice.say(*_told(one))
            ended.append(one)
    voice.say("", demo_words.FAREWELL)
    if voice.as_json:
        voice.facts({"runs": [_facts(one) for one in ended], "simulated": True})
    is_well = all(one.run.state == JobState.SUCCEEDED for one in ended)
    return _ALL_WELL if is_well else _FAILED


def _begins(voice: Voice, words: str) -> None:
    """A line where no wheel turns: in logs and pipes."""
    if not voice.is_live:
        voice.say(showing.hint(words))


def _told(one: Ended) -> Sequence[RenderableType]:
    """A line, and one more for every stage that was lost."""
    pages = sorted(page.name for page in one.reports.glob("*.html"))
    stages = counted(len(one.stages), "stage")
    about = Text.assemble(
        showing.state(one.run.state),
        f" in {one.seconds:.0f} s, {money(one.run.cost_nano)}, {stages}  ",
        (f"{demo_words.shown(one.reports)}/", "bold"),
        (f" {', '.join(pages)}", "dim"),
    )
    lost = [
        showing.warning(f"{safe(seen.stage.name)}: {safe(seen.stage.reason or 'not done')}")
        for seen in one.stages
        if seen.stage.state in STAGE_LOST
    ]
    return [showing.line(one.name, about), *lost]


def _facts(one: Ended) -> dict[str, Any]:
    return {
        "recipe": one.name,
        "run": one.run.id,
        "state": one.run.state,
        "seconds": round(one.seconds, 1),
        "cost_usd": one.run.cost_nano / 1e9,
        "reports": str(one.reports),
        "pages": sorted(page.name for page in one.reports.glob("*.html")),
        "stages": {seen.stage.name: seen.stage.state for seen in one.stages},
    }
