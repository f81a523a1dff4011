"""The invariants of money in a history, I3 and I5. Pure.

What was paid is what the simulator executed; what may be paid twice is told call by call: one
that was in flight at a kill, or of which no whole answer was sent. A call that was answered in
full may never be paid again, however many others are in doubt.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from faults.findings import Finding, last_by_job, of, some
from faults.history import Line
from models.payloads import Usage
from models.prices import load_prices

ANSWERED_BUT_UNHEARD_S = 0.05
"""So shortly before a kill an answer may have been read by the victim, and not noted yet."""


def paid_twice(lines: Sequence[Line]) -> Iterator[Finding]:
    """I3: each call paid again has an excuse of its own, a mark and a price."""
    executed = of(lines, "simulator", "executed")
    if not executed:
        return
    in_flight, unknown = _in_flight_at_kills(lines), _unknown(lines)
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


def _in_flight_at_kills(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls over connections of a victim that had not been heard whole."""
    arrived = of(lines, "simulator", "arrived")
    answered = {line["n"]: line.at for line in of(lines, "simulator", "answered")}
    return {
        call["n"]
        for kill in of(lines, "campaign", "killed")
        for call in arrived
        if _is_in_flight(call, answered.get(call["n"]), kill)
    }


def _is_in_flight(call: Line, answered_at: float | None, kill: Line) -> bool:
    """`stopped`: when the victim stopped; `unread`: ports over which it had not read an answer.
    Of one that died by its own hand only when it was found dead is known. What arrives over its
    ports between its stop and its death was sent before: nobody else can have them yet."""
    port, stopped = call["peer"], kill.facts.get("stopped", kill.at)
    if call.at > kill.at or port not in kill["ports"]:
        return False
    if answered_at is None or answered_at > stopped - ANSWERED_BUT_UNHEARD_S:
        return True
    return port in kill.facts.get("unread", ())


def _unknown(lines: Sequence[Line]) -> set[int]:
    """Numbers of the calls that ran and of which no whole answer was sent.

    The simulator has cut it off, or something was done that breaks connections: a worker that
    hangs up by itself, unhurt, has no excuse for paying again.
    """
    cut = {line["n"] for line in of(lines, "simulator", "arrived") if line["cuts"]}
    heard = {line["n"] for line in of(lines, "simulator", "answered") if line["whole"]}
    left = {line["n"]: line.at for line in of(lines, "simulator", "left")}
    hurt = min((line.at for line in of(lines, "campaign", "fault")), default=float("inf"))
    executed = {line["n"] for line in of(lines, "simulator", "executed") if line["n"] is not None}
    return {n for n in executed - heard if n in cut or left.get(n, float("inf")) >= hurt}


def spent(lines: Sequence[Line]) -> Iterator[Finding]:
    """I5: until each next budget, spend <= this one + what was in flight at kills or unknown.

    Its `since` is when the first was given that is asked under it, where others were before it.
    """
    budgets, executed = of(lines, "campaign", "budget"), of(lines, "simulator", "executed")
    excused = _in_flight_at_kills(lines) | _unknown(lines)
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
