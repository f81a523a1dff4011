"""Commands that die between a file and its name, or a table and its commit.

On SQLite alone: what they leave half done are files; the one table among them is written in one
transaction, as everywhere.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

from faults import hurt_worker
from faults.scenarios.conducting import QUICK, began, conducted, fresh
from faults.scenarios.crash_points import DYING, die
from faults.scenarios.registry import SQLITE, Begin, scenario
from faults.victims import victim
from faults.world import World
from models.states import JobKind
from models.store import registry, reviews, trainings
from models.tables import Job
from producers.reviewing.reviewing import Reviewing

RUN = "from producers.cli import main; raise SystemExit(main())"
REVIEWER = "amira"
BEFORE = "a file that was there before\n"


@scenario(11, databases=(SQLITE,))
def commands_die(begin: Begin) -> None:
    """A worker dies with a tuned model, and exports, copies, reports, imports half way through."""
    registered, drafted, swapping, written, writing = DYING["commands_die"]
    with begin(*QUICK, workers=0, MAESTRALE_LEASE=2) as world:
        run, out = began(world), fresh(world.on.home / "out")
        world.on.services.start_conductor()
        die(world, registered, hurt_worker.command("victim"))
        world.on.services.spawn("worker1", hurt_worker.command("worker1"))
        conducted(world, run)
        pairs, exam, model = _made(world, run)
        records = out / "records.jsonl"
        records.write_text(BEFORE)
        export = ("export", pairs.id, "-o", str(records), "--overwrite")
        _dies_and_again(
            world,
            drafted,
            export,
            lambda: _lines(records) == pairs.rows_total,
            lambda: records.read_text() == BEFORE,
        )
        copy = out / "copy"
        to = ("models", "export", model, "--to", str(copy))
        _run(world, to)
        _dies_and_again(world, swapping, (*to, "--overwrite"), lambda: _is_whole(copy, "lineage"))
        page = out / "report"
        report = ("report", exam.id, "-o", str(page))
        _dies_and_again(world, writing, report, lambda: _is_whole(page, "report"))
        review, sheet = _filled_sheet(world, out)
        take_in = ("review", "import", review, str(sheet), "--reviewer", REVIEWER)
        _dies_and_again(
            world,
            written,
            take_in,
            lambda: _said(world, review) == 2,
            lambda: _said(world, review) == 0,
        )


def _made(world: World, run: Job) -> tuple[Job, Job, str]:
    """The run's jobs of pairs and of the exam, and the tuned model's name."""
    with world.on.client.store.read() as connection:
        jobs = {job.kind: job for job in trainings.children(connection, run.id)}
        (model,) = registry.newest(connection)
    return jobs[JobKind.GENERATE], jobs[JobKind.EVALUATE], model.name


def _dies_and_again(
    world: World,
    point: str,
    words: tuple[str, ...],
    is_whole: Callable[[], bool],
    is_as_before: Callable[[], bool] | None = None,
) -> None:
    """The same command once more makes it whole. Until then a file and a table are as they were
    before; a folder, of which a part may be there, is not taken for whole."""
    die(world, point, _command(words))
    is_left = is_as_before() if is_as_before else not is_whole()
    found = "all is as it was before" if is_as_before else "it is not taken for whole"
    world.expect(is_left, f"{' '.join(words[:2])}: dead at {point}, and {found}")
    code = _run(world, words)
    world.expect(
        code == 0 and is_whole(),
        f"{' '.join(words[:2])}: dead at {point}; once more, and it is whole (exit code {code})",
    )


def _command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-P", "-c", RUN, *words]


def _run(world: World, words: tuple[str, ...]) -> int:
    with victim(world, "command", _command(words)) as child:
        return child.wait(120)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.is_file() else 0


def _is_whole(folder: Path, name: str) -> bool:
    """Whether all is there that the folder's own list names."""
    listed = folder / f"{name}.json"
    files = json.loads(listed.read_text())["files"] if listed.is_file() else ["nothing"]
    return all((folder / file).is_file() for file in files)


def _filled_sheet(world: World, out: Path) -> tuple[str, Path]:
    """A review of two files' answers, and a sheet in which somebody has judged both pairs."""
    for side, word in (("one", "short"), ("other", "long")):
        rows = [{"id": f"p{no}", "question": "What?", "answer": f"{word} {no}"} for no in (1, 2)]
        (out / f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reviewing = Reviewing(world.on.client)
    review = reviewing.make_from_files(out / "one.jsonl", out / "other.jsonl").id
    sheet = reviewing.export(review, out / "sheet.csv")
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        filled = csv.DictWriter(file, list(lines[0]))
        filled.writeheader()
        filled.writerows({**line, "choice": "left"} for line in lines)
    return review, sheet


def _said(world: World, review: str) -> int:
    with world.on.client.store.read() as connection:
        return len(reviews.said(connection, review))
