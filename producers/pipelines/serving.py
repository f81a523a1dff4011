"""Our own models served while a run asks them: started where they are not, ended after."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from models import served
from models.births import born
from models.errors import BadInputError, SetupError
from models.log_tail import last_line
from models.settings import Settings
from models.states import SETTLED
from models.store import jobs
from models.store import registry as tuned
from models.tables import TunedModel
from models.whole_files import SECRET, write_whole
from producers import registry
from producers.client import Maestrale
from producers.pipelines.hand import RUNS, Hand
from producers.processes import Service, end, launch
from producers.routing import ViaWish
from producers.services import environment

NOTE = "served.json"
"""What a run started, below its folder: whoever conducts it later ends it."""
START_S = 60.0
"""Until a server has noted that it serves; loading is for the workers to wait for."""
END_S = 5.0
_MAIN = "from producers.cli import main; raise SystemExit(main())"
_LOOK_S = 0.1
_ONE_AT_A_TIME = threading.Lock()


def serve(hand: Hand, names: Sequence[str]) -> None:
    """Starts a server for each of our own models that nobody serves.

    Raises `SetupError` with its last word if one does not start.
    """
    settings = hand.maestrale.settings
    with _ONE_AT_A_TIME:  # two stages of this process may want the same model
        for model in ours(hand.maestrale, names):
            if model.name not in served.by_model(served.serving(settings.home)):
                _start(hand, settings, model)


def way_of(hand: Hand, own: str, names: Sequence[str]) -> ViaWish:
    """How calls go: as the stage says; the run's word is for calls that go to the provider."""
    maestrale = hand.maestrale
    if "via" not in hand.prepared.asked:
        try:
            registry.check_no_batches(names, maestrale.store, maestrale.settings.home)
        except BadInputError:
            return "realtime"
    return hand.via(own)


def end_of(settings: Settings, run_id: str) -> None:
    """Ends the servers that were started for the run."""
    note = settings.home / RUNS / run_id / NOTE
    end(_noted(note), END_S)
    note.unlink(missing_ok=True)


def end_left(maestrale: Maestrale) -> None:
    """Ends those of runs that are over: they were given up, or their conductor died."""
    for note in (maestrale.settings.home / RUNS).glob(f"*/{NOTE}"):
        with maestrale.store.read() as connection:
            run = jobs.get(connection, note.parent.name)
        if run is None or run.state in SETTLED:
            end_of(maestrale.settings, note.parent.name)


def ours(maestrale: Maestrale, names: Sequence[str]) -> Iterator[TunedModel]:
    """Those of the names that are models of the registry on this machine."""
    for name in dict.fromkeys(names):
        with maestrale.store.read() as connection:
            model = tuned.by_name(connection, name)
        if model is not None and model.trainer == "local":
            yield model


def _start(hand: Hand, settings: Settings, model: TunedModel) -> None:
    log = settings.home / "logs" / f"serving-{model.name}.log"
    command = [sys.executable, "-P", "-c", _MAIN, "models", "serve", model.name]
    told = environment(settings)
    child = launch([*command, "--port", "0"], told, settings.home, log)
    service = Service(model.name, child.pid, born(child.pid))
    note = hand.folder / NOTE
    known = [asdict(one) for one in (*_noted(note), service)]
    write_whole(note, json.dumps(known), SECRET)
    deadline = time.monotonic() + START_S
    while model.name not in served.by_model(served.serving(settings.home)):
        if child.poll() is not None or time.monotonic() > deadline:
            raise SetupError(f"{model.name} cannot be served: {last_line(log)} (its log: {log})")
        time.sleep(_LOOK_S)


def _noted(note: Path) -> list[Service]:
    try:
        return [Service(**one) for one in json.loads(note.read_bytes())]
    except (OSError, ValueError, TypeError):
        return []
