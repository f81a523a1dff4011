"""Histories written by hand: what the parties of a world would have noted, valid in every way."""

from collections.abc import Callable
from random import Random
from typing import Any

from faults.history import Line
from models.payloads import Usage
from models.prices import load_prices

JOB, AGAIN, ENDPOINT, LOST = "job_a", "job_b", "hook", "lost"
MODEL = "mistral-small-latest"
TOKENS = {"tokens_in": 100, "tokens_out": 20, "cached": 0}
COST = load_prices().cost_nano(MODEL, Usage(100, 20, 0)) or 0
PLACES = ("Redis", "AOF: its file", "logs", "database: rows", "home (notes, spools)")


class Told:
    """Lines in the order in which they are told, some milliseconds apart."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[Line] = []
        self.now = 1_000_000.0
        self._numbers = 0

    def note(self, by: str, what: str, **facts: Any) -> Line:
        """One line, a little later than the one before."""
        self.now += self.random.uniform(0.001, 0.01)
        self.lines.append(Line(self.now, by, what, facts))
        return self.lines[-1]

    def arrives(self, port: int, *, cuts: bool = False) -> int:
        """The number of a call."""
        self._numbers += 1
        self.note("simulator", "arrived", n=self._numbers, peer=port, cuts=cuts)
        return self._numbers

    def runs(self, n: int, row: str) -> None:
        """It is paid from here on."""
        digest = f"digest of {row}"
        self.note("simulator", "executed", n=n, digest=digest, model=MODEL, **TOKENS)

    def leaves(self, n: int, status: int = 200, *, whole: bool = True) -> None:
        """Answered, and gone."""
        self.note("simulator", "answered", n=n, status=status, whole=whole)
        self.note("simulator", "left", n=n)

    # -- the ways of a row -----------------------------------------------------------------------

    def well(self, row: str) -> int:
        """Asked and answered; what it adds to the doubts."""
        n = self.arrives(self.random.randint(1, 9))
        self.runs(n, row)
        self.leaves(n)
        return 0

    def killed(self, row: str) -> int:
        """In flight when its worker was killed, and paid again."""
        port = self.random.randint(1000, 60_000)
        n = self.arrives(port)
        self.runs(n, row)
        stopped = self.now
        facts = {"pid": 1, "name": "worker1", "ports": [port], "unread": []}
        self.note("campaign", "killed", stopped=stopped, **facts)
        self.note("simulator", "left", n=n)
        self.now += 1
        return 1 + self.well(row)

    def unread(self, row: str) -> int:
        """Answered, but the answer lay unread when its worker was killed."""
        port = self.random.randint(1000, 60_000)
        n = self.arrives(port)
        self.runs(n, row)
        self.leaves(n)
        self.now += 2
        facts = {"pid": 1, "name": "worker1", "ports": [port], "unread": [port]}
        self.note("campaign", "killed", stopped=self.now, **facts)
        return 1 + self.well(row)

    def cut(self, row: str) -> int:
        """Paid, and the answer was cut off; paid again."""
        n = self.arrives(7, cuts=True)
        self.runs(n, row)
        self.leaves(n, whole=False)
        return 1 + self.well(row)

    def refused(self, row: str) -> int:
        """A 429 before it goes well: nothing is paid for that."""
        self.leaves(self.arrives(8), 429)
        return self.well(row)


def a_history(seed: int = 0) -> list[Line]:
    """Two jobs over the same rows, kills and cut answers between, events to two endpoints, one of
    which refuses all of them; a budget."""
    random = Random(seed)
    told = Told(random)
    rows = [f"r{number}" for number in range(random.randint(6, 12))]
    ways: list[Callable[[str], int]] = [told.well, told.killed, told.unread, told.cut, told.refused]
    ways += random.choices(ways, k=len(rows) - len(ways) - 1)
    random.shuffle(ways)
    told.note("campaign", "budget", nano=COST * (len(rows) - 1))
    for path in (ENDPOINT, LOST):
        told.note("producer", "subscribed", endpoint=path, id=f"ep_{path}")
    told.note("producer", "submitted", job=JOB, rows=rows)
    doubts = sum(way(row) for way, row in zip(ways, rows, strict=False))
    _end(told, JOB, rows, doubts=doubts, paid=len(rows) - 1)
    began = told.now
    told.note("producer", "submitted", job=AGAIN, rows=rows)
    _end(told, AGAIN, rows, doubts=0, paid=0)
    told.note("producer", "again", job=AGAIN, of=JOB, began=began, calls=0)
    for place in PLACES:
        told.note("campaign", "looked", place=place, size=100, found=[])
    told.note("campaign", "expected", holds=True, words="as it should be")
    return told.lines


def _end(told: Told, job: str, rows: list[str], *, doubts: int, paid: int) -> None:
    """All rows but the last are done, which fails by name."""
    for row in rows[:-1]:
        told.note("producer", "result", job=job, row=row, digest=f"result of {row}", own=True)
    told.note("producer", "failed", job=job, row=rows[-1], code="bad_row")
    for seq, move in enumerate(("queued", "running", "succeeded"), start=1):
        tell(told, job, seq, f"job.{move}")
    told.note(
        "producer",
        "ended",
        job=job,
        state="succeeded",
        rows_total=len(rows),
        rows_done=len(rows) - 1,
        rows_failed=1,
        may_fail=1,
        cost_nano=paid * COST,
        doubts=doubts,
        doubts_unpriced=0,
        doubts_nano=doubts * COST,
    )


def tell(told: Told, job: str, seq: int, kind: str) -> None:
    """An event, and what became of it at both endpoints."""
    event = f"{job}:{seq}"
    told.note("producer", "event", event=event, job=job, type=kind, created=told.now)
    sent = {"event": event, "type": kind, "id": f"evt_{job}_{seq}", "verified": True}
    for _ in range(told.random.randint(0, 2)):
        told.note("sink", "refused", endpoint=ENDPOINT, status=503, **sent)
    for _ in range(told.random.randint(1, 2)):  # at least once
        told.note("sink", "received", endpoint=ENDPOINT, status=204, **sent)
    for _ in range(10):
        told.note("sink", "refused", endpoint=LOST, status=500, **sent)
    facts = {"endpoint": LOST, "event": event, "state": "exhausted", "tries": 10}
    told.note("producer", "exhausted", **facts)
