"""The invariants I1 to I6 of a history. Pure: lines in, findings out; no table of ours is read.

Of our own code it knows the price list alone: what a call cost is reckoned from the simulator's tokens.

I1  accepted rows = done + failed (each with a reason), and nothing is open once the fault is over
I2  a row has one result, and handing the same in again gives the same results for no call
I3  calls paid twice <= calls in flight at kills + calls whose outcome nobody could know; each marked and priced
I4  an event reaches each endpoint that is subscribed to it, or is listed as exhausted
I5  spend <= budget + calls in flight
I6  no canary (key, secret, prompt) in any place that was looked at
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from faults.history import Line
from models.payloads import Usage
from models.prices import load_prices

ANSWERED_BUT_UNHEARD_S = 1.0
"""An answer that the simulator sent so shortly before a kill may not have been read by the victim."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an invariant, or of something else that a scenario expects."""

    name: str
    holds: bool
    words: str


def check(lines: Sequence[Line]) -> list[Finding]:
    """Findings for all invariants that the history says anything of, and for what was expected."""
    found: list[Finding] = []
    for judge in (_rows, _results, _paid_twice, _events, _spent, _secrets, _expected):
        found += judge(lines)
    return found


def _of(lines: Iterable[Line], by: str, *whats: str) -> list[Line]:
    return [line for line in lines if line.by == by and line.what in whats]


# --------------------------------------------------------------------------- I1 and I2


def _rows(lines: Sequence[Line]) -> Iterator[Finding]:
    done, failed = _by_job(lines, "result"), _by_job(lines, "failed")
    for job in _of(lines, "producer", "submitted"):
        rows, mine, lost = set(job["rows"]), set(done[job["job"]]), set(failed[job["job"]])
        missing, strangers, both = rows - mine - lost, (mine | lost) - rows, mine & lost
        reasonless = [line for line in _of(lines, "producer", "failed") if not line["code"]]
        yield Finding(
            "I1",
            not (missing or strangers or both or reasonless),
            f"{len(rows)} rows = {len(mine)} done + {len(lost)} failed"
            + _some(" missing", missing)
            + _some(" never handed in", strangers)
            + _some(" both done and failed", both)
            + (f"; {len(reasonless)} failed without a reason" if reasonless else ""),
        )


def _by_job(lines: Sequence[Line], what: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in _of(lines, "producer", what):
        found[line["job"]][line["row"]] += 1
    return found


def _some(words: str, rows: Iterable[str]) -> str:
    named = sorted(rows)
    return f"; {len(named)}{words}: {', '.join(named[:5])}" if named else ""


def _results(lines: Sequence[Line]) -> Iterator[Finding]:
    twice = {row for rows in _by_job(lines, "result").values() for row, n in rows.items() if n > 1}
    if _of(lines, "producer", "result"):
        yield Finding("I2", not twice, "one result a row" + _some(" with several", twice))
    digests = {
        (line["job"], line["row"]): line["digest"] for line in _of(lines, "producer", "result")
    }
    for again in _of(lines, "producer", "again"):
        first, second = again["job"], again["of"]
        pairs = [
            (digests[first, row], digests.get((second, row)))
            for job, row in digests
            if job == first
        ]
        changed = sum(a != b for a, b in pairs)
        until = again.at
        calls = [c for c in _of(lines, "simulator", "executed") if again["began"] <= c.at <= until]
        yield Finding(
            "I2",
            not changed and len(calls) <= again.facts.get("calls", 0),
            f"handed in again: {len(calls)} calls, {changed} of {len(pairs)} results changed",
        )


# --------------------------------------------------------------------------- I3 and I5


def _paid_twice(lines: Sequence[Line]) -> Iterator[Finding]:
    executed = _of(lines, "simulator", "executed")
    if not executed:
        return
    twice = len(executed) - len({line["digest"] for line in executed})
    in_flight, unknown = _in_flight_at_kills(lines), _unknown(lines)
    ended = _of(lines, "producer", "ended")
    doubts = sum(line["doubts"] for line in ended)
    unpriced = sum(line["doubts_unpriced"] for line in ended)
    yield Finding(
        "I3",
        twice <= len(in_flight | unknown) and twice <= doubts and not unpriced,
        f"{len(executed)} paid, {twice} twice; {len(in_flight)} in flight at kills, "
        f"{len(unknown)} unknown, {doubts} marked" + (f", {unpriced} unpriced" if unpriced else ""),
    )


def _in_flight_at_kills(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls over connections of a victim that had not been heard whole."""
    arrived = {line["n"]: line for line in _of(lines, "simulator", "arrived")}
    answered = {line["n"]: line.at for line in _of(lines, "simulator", "answered")}
    found: set[int] = set()
    for kill in _of(lines, "campaign", "killed"):
        ports, heard = set(kill["ports"]), kill.at - ANSWERED_BUT_UNHEARD_S
        for n, call in arrived.items():
            if call.at <= kill.at and call["peer"] in ports and answered.get(n, kill.at) > heard:
                found.add(n)
    return found


def _unknown(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls that ran and of which no whole answer was sent."""
    heard = {line["n"] for line in _of(lines, "simulator", "answered") if line["whole"]}
    return {line["n"] for line in _of(lines, "simulator", "executed")} - heard


def _spent(lines: Sequence[Line]) -> Iterator[Finding]:
    budgets = _of(lines, "campaign", "budget")
    if not budgets:
        return
    (budget,) = budgets
    executed = _of(lines, "simulator", "executed")
    costs = [_cost_nano(line) for line in executed]
    spent, margin = sum(costs), _most_at_once(lines) * max(costs, default=0)
    yield Finding(
        "I5",
        spent <= budget["nano"] + margin,
        f"{spent / 1e9:.6f} spent of {budget['nano'] / 1e9:.6f}, at most {margin / 1e9:.6f} in flight",
    )


def _cost_nano(call: Line) -> int:
    usage = Usage(call["tokens_in"], call["tokens_out"], call["cached"])
    cost = load_prices().cost_nano(call["model"], usage, batch="batch" in call.facts)
    assert cost is not None, f"{call['model']} has no price"
    return cost


def _most_at_once(lines: Sequence[Line]) -> int:
    most = now = 0
    for line in _of(lines, "simulator", "arrived", "left"):
        now += 1 if line.what == "arrived" else -1
        most = max(most, now)
    return most


# --------------------------------------------------------------------------- I4, I6, and the rest


def _events(lines: Sequence[Line]) -> Iterator[Finding]:
    got = {(line["endpoint"], line["event"]) for line in _of(lines, "sink", "received")}
    got |= {(line["endpoint"], line["event"]) for line in _of(lines, "producer", "exhausted")}
    forged = [line for line in _of(lines, "sink", "received") if not line["verified"]]
    for endpoint in _of(lines, "producer", "subscribed"):
        due = [e["event"] for e in _of(lines, "producer", "event") if e.at >= endpoint.at]
        missed = {event for event in due if (endpoint["endpoint"], event) not in got}
        yield Finding(
            "I4",
            not missed and not forged,
            f"{len(due)} events to {endpoint['endpoint']}"
            + _some(" never arrived", missed)
            + (f"; {len(forged)} not signed by us" if forged else ""),
        )


def _secrets(lines: Sequence[Line]) -> Iterator[Finding]:
    looked = _of(lines, "campaign", "looked")
    if looked:
        leaks = {f"{name} in {line['place']}" for line in looked for name in line["found"]}
        size = sum(line["size"] for line in looked)
        yield Finding(
            "I6",
            not leaks and size > 0,
            f"{len(looked)} places, {size:,} bytes" + _some(" leaks", leaks),
        )


def _expected(lines: Sequence[Line]) -> Iterator[Finding]:
    for line in _of(lines, "campaign", "expected"):
        yield Finding("also", line["holds"], line["words"])
