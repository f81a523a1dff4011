"""The invariants I1 to I6 of a history. Pure: lines in, findings out; no table of ours is read.

Of our own code it knows the price list alone: what a call cost is reckoned from the simulator's
tokens.

I1  accepted rows = done + failed (each with a reason, no more than the fault may cost), none open
I2  a row has one result, its own, and handing the same in again gives the same results for no call
I3  what is done was asked for; what is paid twice was in flight at a kill, or its outcome unknown;
    each marked and priced
I4  queued, running, the end, and between a pause and the next run the way out of it have their
    events; each event reaches each endpoint, signed, or is listed after ten attempts
I5  where there is a budget: spend <= budget + calls in flight
I6  no canary (key, secret, prompt) in any place that was looked at

That the ledger holds one answer a call key is a matter of tables: what is judged of it is I2.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from faults.findings import Finding, last_by_job, of, some
from faults.history import Line
from faults.payments import paid_twice, spent

__all__ = ["ATTEMPTS", "Finding", "check"]

ATTEMPTS = 10
"""Of a delivery, before it may be given up."""
GONE = 410
CLOCKS_S = 0.05
"""The database's clock may read so much earlier than ours: milliseconds, and a commit's time."""
RELAYED_S = 2.0
"""An event is relayed within this time, to the endpoints that hear then."""
PLACES = {"Redis", "AOF", "logs", "database", "home"}
"""Where canaries are looked for; none may be left out."""
FULL = {"AOF", "database", "home"}
"""Those of them that cannot be empty after any work; logs may have nothing to say."""


def check(lines: Sequence[Line]) -> list[Finding]:
    """Findings for all invariants that the history says anything of, and for what was expected.

    A history that says nothing proves nothing: that is a finding too.
    """
    judges = (_rows, _results, _again, paid_twice, _told, _events, spent, _secrets, _expected)
    found = [finding for judge in judges for finding in judge(lines)]
    return found or [Finding("seen", holds=False, words="nothing was seen that could be checked")]


# --------------------------------------------------------------------------- I1 and I2


def _rows(lines: Sequence[Line]) -> Iterator[Finding]:
    done, failed, ended = _by_job(lines, "result"), _by_job(lines, "failed"), last_by_job(lines)
    for job in of(lines, "producer", "submitted"):
        rows, mine, lost = set(job["rows"]), set(done[job["job"]]), set(failed[job["job"]])
        unlike = _unlike(ended.get(job["job"]), len(rows), len(mine), len(lost))
        missing, strangers, both = rows - mine - lost, (mine | lost) - rows, mine & lost
        reasons = {f["row"]: f["code"] for f in _of_job(lines, "failed", job["job"])}
        reasonless = {row for row, code in reasons.items() if not code}
        yield Finding(
            "I1",
            not (missing or strangers or both or reasonless or unlike),
            f"{len(rows)} rows = {len(mine)} done + {len(lost)} failed"
            + some(" missing", missing)
            + some(" never handed in", strangers)
            + some(" both done and failed", both)
            + some(" failed without a reason", reasonless)
            + unlike,
        )


def _unlike(end: Line | None, rows: int, done: int, failed: int) -> str:
    """How the job's own words differ from what was given back."""
    if end is None:
        return "; nobody saw its end"
    counted = (end["rows_total"], end["rows_done"], end["rows_failed"])
    if counted != (rows, done, failed):
        return "; the job says {} = {} + {}".format(*counted)
    most, state = end["may_fail"], end["state"]
    if failed > most:
        return f"; only {most} may fail"
    return f"; all are done, and it has {state}" if not failed and state != "succeeded" else ""


def _of_job(lines: Sequence[Line], what: str, job: str) -> list[Line]:
    return [line for line in of(lines, "producer", what) if line["job"] == job]


def _by_job(lines: Sequence[Line], what: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in of(lines, "producer", what):
        found[line["job"]][line["row"]] += 1
    return found


def _results(lines: Sequence[Line]) -> Iterator[Finding]:
    results = of(lines, "producer", "result")
    if not results:
        return
    twice = {row for rows in _by_job(lines, "result").values() for row, n in rows.items() if n > 1}
    foreign = {line["row"] for line in results if not line["own"]}
    yield Finding(
        "I2",
        not twice and not foreign,
        "one result a row"
        + some(" with several", twice)
        + some(" with none, or with another row's", foreign),
    )


def _again(lines: Sequence[Line]) -> Iterator[Finding]:
    """Of a second run: what was done before is done again, alike, for no more calls than told."""
    for again in of(lines, "producer", "again"):
        first, second = (
            {line["row"]: line["digest"] for line in _of_job(lines, "result", job)}
            for job in (again["of"], again["job"])
        )
        changed = {row for row, digest in first.items() if second.get(row) != digest}
        asked = [*of(lines, "simulator", "arrived"), *_by_batch(lines)]
        calls = sum(again["began"] <= call.at <= again.at for call in asked)
        yield Finding(
            "I2",
            not changed and calls <= again["calls"],
            f"handed in again: {calls} calls, {len(first)} results the same"
            + some(" changed", changed),
        )


def _by_batch(lines: Sequence[Line]) -> list[Line]:
    return [call for call in of(lines, "simulator", "executed") if call["n"] is None]


# --------------------------------------------------------------------------- I4


def _told(lines: Sequence[Line]) -> Iterator[Finding]:
    """Each job has its events: numbered without a gap, from the first to that of its end; it ran
    if rows of it are done, and between a pause and the next run it was queued again."""
    for job, end in last_by_job(lines).items():
        types = {e["event"]: e["type"] for e in _of_job(lines, "event", job)}
        gaps = {f"{job}:{no}" for no in range(1, len(types) + 1)} - types.keys()
        moves = [types[name] for name in sorted(types, key=_number)]
        silent = {"job.queued", f"job.{end['state']}"} - set(moves)
        if end["rows_done"] and "job.running" not in moves:
            silent.add("job.running")
        if _goes_on_unqueued(moves):
            silent.add("job.queued after a pause")
        if gaps or silent:
            words = f"{len(types)} events of {job}"
            words += some(" numbers without one", gaps) + some(" moves without one", silent)
            yield Finding("I4", holds=False, words=words)


def _number(event: str) -> int:
    return int(event.rpartition(":")[2])


def _goes_on_unqueued(moves: Iterable[str]) -> bool:
    """Whether it runs after a pause that nothing has ended. A paused job may end as it is: what was
    in flight may have been the last of it."""
    is_paused = False
    for move in moves:
        if move == "job.running" and is_paused:
            return True
        is_paused = move == "job.paused" or (is_paused and move != "job.queued")
    return False


def _events(lines: Sequence[Line]) -> Iterator[Finding]:
    written = {e["event"]: e for e in of(lines, "producer", "event")}
    for endpoint in of(lines, "producer", "subscribed"):
        path = endpoint["endpoint"]
        due = {name for name, e in written.items() if _is_due(e, endpoint, _gone_at(lines, path))}
        received = {e["event"] for e in _at(lines, path, "received")}
        listed = {
            e["event"]: e for e in of(lines, "producer", "exhausted") if e["endpoint"] == path
        }
        missed = due - received - listed.keys()
        hasty = {name for name, e in listed.items() if not _is_exhausted(lines, e)}
        wrong = _wrong(_at(lines, path, "received", "refused"), written)
        yield Finding(
            "I4",
            not (missed or hasty or wrong),
            f"{len(due)} events to {path}"
            + (f", {len(listed)} exhausted" if listed else "")
            + some(" never arrived", missed)
            + some(" given up too early", hasty)
            + some(" not signed by us, or not as written", wrong),
        )


def _is_due(event: Line, endpoint: Line, until: float) -> bool:
    """Written while it heard; nobody is told of his own end."""
    is_own = event["job"] == endpoint["id"]
    return not is_own and endpoint.at - CLOCKS_S <= event["created"] < until


def _gone_at(lines: Sequence[Line], path: str) -> float:
    """Until when events are due at an endpoint: what is relayed after its 410 goes elsewhere."""
    gone = [line.at for line in _at(lines, path, "refused") if line["status"] == GONE]
    return min(gone, default=float("inf")) - RELAYED_S


def _at(lines: Sequence[Line], path: str, *whats: str) -> list[Line]:
    return [line for line in of(lines, "sink", *whats) if line["endpoint"] == path]


def _is_exhausted(lines: Sequence[Line], listed: Line) -> bool:
    """Ten attempts were seen at the endpoint, or it said 410. Where nobody could see any (no
    connection came about), our own count has to do."""
    seen = _at(lines, listed["endpoint"], "received", "refused")
    if listed["state"] == "disabled":
        return GONE in {line["status"] for line in seen}
    tries = sum(line["event"] == listed["event"] for line in seen)
    return bool((tries if seen else listed["tries"]) >= ATTEMPTS)


def _wrong(attempts: Iterable[Line], written: dict[str, Line]) -> set[str]:
    """Events with a forged signature, with several ids, or that say another type than written."""
    ids: dict[str, set[str]] = defaultdict(set)
    wrong = set()
    for line in attempts:
        name = line["event"]
        ids[name].add(line["id"])
        told = written.get(name)
        if not line["verified"] or (told is not None and told["type"] != line["type"]):
            wrong.add(name)
    return wrong | {name for name, several in ids.items() if len(several) > 1}


# --------------------------------------------------------------------------- I6, and the rest


def _secrets(lines: Sequence[Line]) -> Iterator[Finding]:
    looked = of(lines, "campaign", "looked")
    if looked:
        leaks = {f"{name} in {line['place']}" for line in looked for name in line["found"]}
        sizes: Counter[str] = Counter()
        for line in looked:
            sizes[line["place"].split(" ")[0].rstrip(":")] += line["size"]
        unseen = {place for place in PLACES if place not in sizes}
        unseen |= {place for place in FULL if not sizes[place]}
        size = sum(line["size"] for line in looked)
        yield Finding(
            "I6",
            not leaks and not unseen,
            f"{len(looked)} places, {size:,} bytes"
            + some(" leaks", leaks)
            + some(" where nothing was looked at", unseen),
        )


def _expected(lines: Sequence[Line]) -> Iterator[Finding]:
    for line in of(lines, "campaign", "expected"):
        yield Finding("also", line["holds"], line["words"])
