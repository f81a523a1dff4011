"""The invariants of money in a history, I3 and I5. Pure.

What was paid is what the simulator executed; what may be paid twice is told call by call: one
that was in flight at a kill, or of which no whole answer was sent. A call that was answered in
full may never be paid again, however many others are in doubt.

What stays loose: marks and prices are sums over all jobs, since nobody outside can say for which
of them a call was made. Where a fault may make the living hang up (a stop, a lost disk or
database), all are excused from it until some seconds after its healing. Who died by his own hand
is excused at each port that no living worker has: his own are not known.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf

from faults.findings import Finding, last_by_job, of, some
from faults.history import Line
from models.payloads import Usage
from models.prices import load_prices

ANSWERED_BUT_UNHEARD_S = 0.05
"""So shortly before a kill an answer may have been read by the victim, and not noted yet."""
READ_LATE_S = 1.0
"""So long after a kill was noted a busy simulator may first read what the victim had sent."""
HEALED_S = 10.0
"""So long after a fault was healed a worker may hang up for it: two leases of most worlds."""


def paid_twice(lines: Sequence[Line]) -> Iterator[Finding]:
    """I3: each call paid again has an excuse of its own, a mark and a price."""
    executed = of(lines, "simulator", "executed")
    yield from _asked(lines, executed)
    if not executed:
        return
    in_flight, unknown = in_flight_at_kills(lines), _unknown(lines)
    calls: dict[str, list[Line]] = defaultdict(list)
    for call in executed:
        calls[call["digest"]].append(call)
    twice = len(executed) - len(calls)
    heard = {d for d, c in calls.items() if {call["n"] for call in c[:-1]} - in_flight - unknown}
    ended = last_by_job(lines).values()
    doubts = sum(line["doubts"] for line in ended)
    unpriced = sum(line["doubts_unpriced"] for line in ended)
    yield Finding(
        "I3",
        not heard and twice <= doubts and not unpriced,
        f"{len(executed)} paid, {twice} twice; {len(in_flight)} in flight at kills, "
        f"{len(unknown)} unknown, {doubts} marked"
        + (f", {unpriced} unpriced" if unpriced else "")
        + some(" paid again though answered", heard),
    )
    yield from _reckoned(lines, executed)


def _asked(lines: Sequence[Line], executed: Sequence[Line]) -> Iterator[Finding]:
    """Rows that are done were asked for: without the simulator's log nothing could be said."""
    told = of(lines, "producer", "submitted")
    local = {line["job"] for line in told if not line.facts.get("asks", True)}
    done = {line["row"] for line in of(lines, "producer", "result") if line["job"] not in local}
    calls = len({call["digest"] for call in executed})
    if calls < len(done):
        yield Finding("I3", holds=False, words=f"{len(done)} rows done, and {calls} calls seen")


def _reckoned(lines: Sequence[Line], executed: Sequence[Line]) -> Iterator[Finding]:
    """What jobs say they paid, against what was executed; trainings have no tokens to reckon by."""
    ended = last_by_job(lines)
    jobs = {line["job"] for line in of(lines, "producer", "submitted")}
    trained = any(line["kind"] == "tuning" for line in of(lines, "simulator", "created"))
    if trained or not jobs or jobs - ended.keys():
        return
    spent = sum(map(_cost_nano, executed))
    told = sum(line["cost_nano"] for line in ended.values())
    doubted = sum(line["doubts_nano"] for line in ended.values())
    yield Finding(
        "I3",
        told <= spent <= told + doubted,
        f"{spent / 1e9:.6f} spent, {told / 1e9:.6f} told and {doubted / 1e9:.6f} in doubt",
    )


def in_flight_at_kills(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls over connections of a victim of which it had no answer, or one that it
    may not have noted.

    Of those unread or unanswered it is the last of a connection: nobody asks on before he has the
    answer. An answer just before the stop may have been read and not noted, whatever came after it:
    a connection is free for the next call at the end of a body, before who asked has got his turn.
    """
    arrived = of(lines, "simulator", "arrived")
    answered, left = (
        {line["n"]: line.at for line in of(lines, "simulator", what)}
        for what in ("answered", "left")
    )
    found = set()
    for kill in of(lines, "campaign", "killed"):
        until, ports = kill.at + READ_LATE_S, set(kill["ports"])
        calls = [call for call in arrived if call["peer"] in ports and call.at <= until]
        last = {call["peer"]: call["n"] for call in calls}
        since = kill.facts.get("stopped", kill.at) - ANSWERED_BUT_UNHEARD_S
        found |= {last[port] for port in kill.facts.get("unread", ()) if port in last}
        found |= {n for n in last.values() if n not in answered and left.get(n, inf) > since}
        found |= {call["n"] for call in calls if answered.get(call["n"], -inf) > since}
    return found


def _unknown(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls that ran and of which no whole answer was sent.

    The simulator has cut it off, or something was done for which workers may hang up: one that
    hangs up by itself, unhurt, has no excuse for paying again.
    """
    cut = {line["n"] for line in of(lines, "simulator", "arrived") if line["cuts"]}
    heard = {line["n"] for line in of(lines, "simulator", "answered") if line["whole"]}
    left = {line["n"]: line.at for line in of(lines, "simulator", "left")}
    executed = {line["n"] for line in of(lines, "simulator", "executed") if line["n"] is not None}
    troubles = list(_troubles(lines))
    hung_up = {n for n, at in left.items() if any(a <= at <= b for a, b in troubles)}
    return (executed - heard) & (cut | hung_up)


def _troubles(lines: Sequence[Line]) -> Iterator[tuple[float, float]]:
    """From each fault for which workers may hang up until shortly after it was healed."""
    healed = [line.at for line in of(lines, "campaign", "healed")]
    for fault in of(lines, "campaign", "fault"):
        if fault.facts.get("hangs_up"):
            later = [at for at in healed if at > fault.at]
            yield fault.at, min(later, default=float("inf")) + HEALED_S


def spent(lines: Sequence[Line]) -> Iterator[Finding]:
    """I5: until each next budget, spend <= this one + what was in flight at kills or unknown.

    Its `since` is when the first was given that is asked under it, where others were before it.
    """
    budgets, executed = of(lines, "campaign", "budget"), of(lines, "simulator", "executed")
    excused = in_flight_at_kills(lines) | _unknown(lines)
    ends = [*(budget.at for budget in budgets[1:]), float("inf")]
    for budget, end in zip(budgets, ends, strict=False):
        since = budget.facts.get("since", 0.0)
        under = [call for call in executed if since <= call.at <= end]
        sum_, margin = (
            sum(map(_cost_nano, calls))
            for calls in (under, [call for call in under if call["n"] in excused])
        )
        yield Finding(
            "I5",
            sum_ <= budget["nano"] + margin,
            f"{sum_ / 1e9:.6f} spent of {budget['nano'] / 1e9:.6f}, "
            f"at most {margin / 1e9:.6f} of it in flight at kills or unknown",
        )


def _cost_nano(call: Line) -> int:
    usage = Usage(call["tokens_in"], call["tokens_out"], call["cached"])
    cost = load_prices().cost_nano(call["model"], usage, batch="batch" in call.facts)
    assert cost is not None, f"{call['model']} has no price"
    return cost
