"""The checker of histories: what is valid holds, and whatever breaks an invariant is found."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from histories import AGAIN, COST, JOB, LOST, MODEL, TOKENS, Told, a_history, tell

from faults.checker import check
from faults.history import Line
from faults.payments import in_flight_at_kills, paid_twice, spent

Lines = list[Line]
Breaks = Callable[[Lines, Random], Lines]
SEEDS = range(60)


def broken(lines: Lines) -> set[str]:
    """Names of the invariants that do not hold."""
    return {finding.name for finding in check(lines) if not finding.holds}


# -- how to break a history ------------------------------------------------------------------------


def one(lines: Lines, random: Random, what: str, **facts: Any) -> Line:
    """Some line of this kind with these facts."""
    found = [
        line
        for line in lines
        if line.what == what and all(line.facts.get(name) == fact for name, fact in facts.items())
    ]
    return random.choice(found)


def without(what: str, **facts: Any) -> Breaks:
    """One line of this kind was never written."""

    def breaks(lines: Lines, random: Random) -> Lines:
        victim = one(lines, random, what, **facts)
        return [line for line in lines if line is not victim]

    return breaks


def changed(what: str, change: dict[str, Any], **facts: Any) -> Breaks:
    """One line of this kind says something else; a function changes what it said."""

    def breaks(lines: Lines, random: Random) -> Lines:
        victim = one(lines, random, what, **facts)
        new = {k: v(victim[k]) if callable(v) else v for k, v in change.items()}
        other = replace(victim, facts={**victim.facts, **new})
        return [other if line is victim else line for line in lines]

    return breaks


def more(by: str, what: str, **facts: Any) -> Breaks:
    """A line that should not be there, at the end."""
    return lambda lines, _: [*lines, Line(lines[-1].at, by, what, facts)]


def missed(lines: Lines, random: Random) -> Lines:
    """An event that never arrived at an endpoint, whoever sent it how often."""
    event = one(lines, random, "received")["event"]
    return [line for line in lines if (line.what, line.facts.get("event")) != ("received", event)]


def paid_again(lines: Lines, random: Random) -> Lines:
    """A call that was answered in full is paid once more, marked and priced though it is."""
    told = Told(random)
    told.now = one(lines, random, "ended", job=JOB).at - 0.5
    told._numbers = 1000
    told.well(one(lines, random, "result", job=JOB)["row"])
    doubted = {"doubts": lambda n: n + 1, "doubts_nano": lambda nano: nano + COST}
    found = changed("ended", doubted, job=JOB)([*lines, *told.lines], random)
    richer = changed("budget", {"nano": lambda nano: 10 * nano})
    return sorted(richer(found, random), key=lambda line: line.at)


def hung_up(lines: Lines, random: Random) -> Lines:
    """A worker that nobody hurt leaves a call in mid-air and pays for it again."""
    told = Told(random)
    told.now = one(lines, random, "ended", job=JOB).at - 0.5
    told._numbers = 1000
    row = one(lines, random, "result", job=JOB)["row"]
    digest = one(lines, random, "executed", digest=f"digest of {row}")["digest"]
    kept = [line for line in lines if line.facts.get("digest") != digest]
    n = told.arrives(2)
    told.runs(n, row)
    told.note("simulator", "left", n=n)
    told.well(row)
    return sorted([*kept, *told.lines], key=lambda line: line.at)


def asked_anew(lines: Lines, random: Random) -> Lines:
    """What was handed in again costs a call, for another row."""
    until = one(lines, random, "again").at
    call = Line(until - 0.0001, "simulator", "arrived", {"n": 999, "peer": 3, "cuts": False})
    return sorted([*lines, call], key=lambda line: line.at)


def batched_anew(lines: Lines, random: Random) -> Lines:
    """The same by a batch, whose calls arrive nowhere."""
    at = one(lines, random, "again").at - 0.0001
    facts = {"n": None, "batch": "b1", "digest": "digest of r0", "model": MODEL, **TOKENS}
    return sorted([*lines, Line(at, "simulator", "executed", facts)], key=lambda line: line.at)


def without_simulator(lines: Lines, _: Random) -> Lines:
    """Nobody saw a call."""
    return [line for line in lines if line.by != "simulator"]


def ran_unseen(lines: Lines, _: Random) -> Lines:
    """A job's event says another move, and so does what was delivered of it."""
    other = {"type": "job.progressed"}
    return [
        replace(line, facts={**line.facts, **other})
        if line.facts.get("event") == f"{JOB}:2" and "type" in line.facts
        else line
        for line in lines
    ]


def never_resumed(lines: Lines, random: Random) -> Lines:
    """A pause is told, to all, and that it runs again, but no way out of it."""
    return paused(lines, random, "job.running")


def paused(lines: Lines, random: Random, *then: str) -> Lines:
    """Told of a job: it was paused, and these moves after it, before it ended once more."""
    told = Told(random)
    told.now = lines[-1].at
    for seq, kind in enumerate(("job.paused", *then, "job.succeeded"), start=4):
        tell(told, JOB, seq, kind)
    return [*lines, *told.lines]


def failed_for_nothing(lines: Lines, random: Random) -> Lines:
    """All rows of a job are done, and it has failed all the same, in all its words."""
    failed = one(lines, random, "failed", job=JOB)
    done = Line(failed.at, "producer", "result", {**RESULT, "row": failed["row"]})
    end = one(lines, random, "ended", job=JOB)
    counts = {"rows_done": end["rows_total"], "rows_failed": 0, "state": "failed"}
    kept = [done if line is failed else line for line in lines]
    other = replace(end, facts={**end.facts, **counts})
    return [other if line is end else line for line in kept]


RESULT = {"job": JOB, "digest": "x", "own": True}
BROKEN: dict[str, tuple[str, Breaks]] = {
    "a lost row": ("I1", without("result", job=JOB)),
    "a row never handed in": ("I1", more("producer", "result", row="r99", **RESULT)),
    "done and failed": ("I1", more("producer", "failed", job=JOB, row="r0", code="internal")),
    "failed without a reason": ("I1", changed("failed", {"code": ""}, job=JOB)),
    "more failed than may": ("I1", changed("ended", {"may_fail": 0})),
    "counters that lie": ("I1", changed("ended", {"rows_done": lambda n: n - 1})),
    "failed with all rows done": ("I1", failed_for_nothing),
    "a job without end": ("I1", without("ended", job=JOB)),
    "a row done twice": ("I2", more("producer", "result", row="r0", **RESULT)),
    "another row's answer": ("I2", changed("result", {"own": False}, job=JOB)),
    "a changed result": ("I2", changed("result", {"digest": "other"}, job=AGAIN)),
    "asked again for the same": ("I2", asked_anew),
    "asked again by a batch": ("I2", batched_anew),
    "paid twice without a kill": ("I3", paid_again),
    "no log of the simulator": ("I3", without_simulator),
    "hung up by itself": ("I3", hung_up),
    "an unmarked doubt": ("I3", changed("ended", {"doubts": lambda n: n - 1}, job=JOB)),
    "an unpriced doubt": ("I3", changed("ended", {"doubts_unpriced": 1}, job=JOB)),
    "a cost kept back": ("I3", changed("ended", {"cost_nano": lambda c: c - COST}, job=JOB)),
    "a cost made up": ("I3", changed("ended", {"cost_nano": lambda c: 9 * c}, job=JOB)),
    "a missed event": ("I4", missed),
    "a move without event": ("I4", without("event", type="job.succeeded")),
    "a gap in the events": ("I4", without("event", type="job.running")),
    "a job that ran unseen": ("I4", ran_unseen),
    "a pause that nobody ended": ("I4", never_resumed),
    "a forged signature": ("I4", changed("received", {"verified": False})),
    "a forged attempt": ("I4", changed("refused", {"verified": False}, endpoint=LOST)),
    "another id when tried again": ("I4", changed("refused", {"id": "x"}, endpoint=LOST)),
    "another event's type": ("I4", changed("received", {"type": "job.failed"})),
    "given up after nine": ("I4", without("refused", endpoint=LOST)),
    "given up and not listed": ("I4", without("exhausted")),
    "disabled without 410": ("I4", changed("exhausted", {"state": "disabled"})),
    "overspent": ("I5", changed("budget", {"nano": lambda nano: nano - COST})),
    "a leaked key": ("I6", changed("looked", {"found": ["key"]})),
    "nobody looked at Redis": ("I6", without("looked", place="Redis")),
    "an empty AOF": ("I6", changed("looked", {"size": 0}, place="AOF: its file")),
    "an empty database": ("I6", changed("looked", {"size": 0}, place="database: rows")),
    "not as expected": ("also", changed("expected", {"holds": False})),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_valid_histories_hold(seed: int) -> None:
    """Whatever befell the calls: kills, cut and unread answers, refusals; endpoints that refuse."""
    assert broken(a_history(seed)) == set()


def test_all_six_are_judged() -> None:
    """A whole history says something of each invariant."""
    found = {finding.name for finding in check(a_history())}
    assert found == {"I1", "I2", "I3", "I4", "I5", "I6", "also"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_twin_is_found(name: str) -> None:
    """Each way to break an invariant, at three places: the finding names that invariant."""
    invariant, breaks = BROKEN[name]
    for seed in range(3):
        assert invariant in broken(breaks(a_history(seed), Random(seed))), seed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_mutation_of_a_random_history_is_found(seed: int) -> None:
    """Any history, any of the ways, anywhere in it."""
    random = Random(1000 + seed)
    invariant, breaks = BROKEN[random.choice(list(BROKEN))]
    assert invariant in broken(breaks(a_history(1000 + seed), random))


@pytest.mark.parametrize(
    ("then", "is_told"),
    [
        ((), True),
        (("job.queued", "job.running"), True),
        (("job.queued", "job.running", "job.paused"), True),
        (("job.running",), False),
        (("job.progressed", "job.running"), False),
        (("job.queued", "job.running", "job.paused", "job.running"), False),
    ],
)
def test_a_paused_job_may_end_and_runs_only_when_it_was_queued_again(
    then: tuple[str, ...], is_told: bool
) -> None:
    """Its last rows were in flight; or each pause has its own way out, however many there are."""
    assert (broken(paused(a_history(), Random(0), *then)) == set()) is is_told


def test_a_history_that_says_nothing_proves_nothing() -> None:
    """An empty one is a finding."""
    assert broken([]) == {"seen"}


# -- what may be ---------------------------------------------------------------------------------


def test_an_answer_just_before_a_kill_may_be_unheard_and_one_long_before_not() -> None:
    """Its worker was killed a moment after the simulator answered; or seconds after."""
    for lag_s, wanted in ((0.01, set()), (0.5, {"I3"})):
        told = Told(Random(1))
        n = told.arrives(4000)
        told.runs(n, "r0")
        told.leaves(n)
        killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": []}
        told.note("campaign", "killed", stopped=told.now + lag_s, **killed)
        told.now += lag_s
        doubts = told.well("r0") + 1
        told.note("producer", "ended", job=JOB, doubts=doubts, doubts_unpriced=0)
        assert {f.name for f in paid_twice(told.lines) if not f.holds} == wanted


@pytest.mark.parametrize(("lag_s", "is_excused"), [(0.01, True), (0.5, False)])
def test_the_next_call_may_be_sent_before_an_answer_is_noted(
    lag_s: float, is_excused: bool
) -> None:
    """A connection is free at the end of an answer's body: its worker was killed just then, or
    after it had noted the answer of half a second ago."""
    told = Told(Random(1))
    n = told.arrives(4000)
    told.runs(n, "r0")
    told.leaves(n)
    told.runs(told.arrives(4000), "r1")
    told.now += lag_s
    killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": []}
    told.note("campaign", "killed", stopped=told.now, **killed)
    assert paid_after(told, "r0") is is_excused


def test_an_answer_long_before_a_kill_is_heard_though_the_next_call_is_in_flight() -> None:
    """Of the two calls over one connection the later is in flight, and the earlier is not."""
    told = Told(Random(1))
    heard = told.arrives(4000)
    told.leaves(heard)
    told.now += 1
    later = told.arrives(4000)
    killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": []}
    told.note("campaign", "killed", stopped=told.now, **killed)
    assert in_flight_at_kills(told.lines) == {later}


def test_who_hangs_up_after_a_fault_is_excused() -> None:
    """Whose disk is full may leave calls whose outcome is unknown."""
    told = Told(Random(1))
    told.note("campaign", "fault", kind="disk full", hangs_up=True)
    n = told.arrives(4000)
    told.runs(n, "r0")
    told.note("simulator", "left", n=n)
    told.well("r0")
    told.note("producer", "ended", job=JOB, doubts=1, doubts_unpriced=0)
    assert all(finding.holds for finding in paid_twice(told.lines))


def paid_after(told: Told, row: str) -> bool:
    """Whether the row may be paid once more, with a mark."""
    told.well(row)
    told.note("producer", "ended", job=JOB, doubts=1, doubts_unpriced=0)
    return all(finding.holds for finding in paid_twice(told.lines))


@pytest.mark.parametrize(("later_s", "is_excused"), [(1, True), (60, False)])
def test_some_time_after_its_healing_a_fault_excuses_nobody(
    later_s: float, is_excused: bool
) -> None:
    """A worker that hangs up a minute after all is well again has done it by itself."""
    told = Told(Random(1))
    told.note("campaign", "fault", kind="disk full", hangs_up=True)
    told.note("campaign", "healed", kind="the disk is well again")
    n = told.arrives(4000)
    told.runs(n, "r0")
    told.now += later_s
    told.note("simulator", "left", n=n)
    assert paid_after(told, "r0") is is_excused


def test_a_fault_that_breaks_no_connection_excuses_nobody() -> None:
    """Messages that are lost: who hangs up on a call meanwhile has done it by himself."""
    told = Told(Random(1))
    told.note("campaign", "fault", kind="messages deleted")
    n = told.arrives(4000)
    told.runs(n, "r0")
    told.note("simulator", "left", n=n)
    assert not paid_after(told, "r0")


@pytest.mark.parametrize(("row", "is_excused"), [("r0", False), ("r1", True)])
def test_of_an_unread_connection_only_the_last_answer_was_unread(
    row: str, is_excused: bool
) -> None:
    """Who asked on over it had heard the answer before, and may not pay for that again."""
    told = Told(Random(1))
    for asked in ("r0", "r1"):
        n = told.arrives(4000)
        told.runs(n, asked)
        told.leaves(n)
    told.now += 2
    killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": [4000]}
    told.note("campaign", "killed", stopped=told.now, **killed)
    told.well(row)
    told.note("producer", "ended", job=JOB, doubts=1, doubts_unpriced=0)
    assert all(finding.holds for finding in paid_twice(told.lines)) is is_excused


def test_a_call_that_was_left_long_before_a_kill_was_not_in_flight_at_it() -> None:
    """Its worker hung up by itself, and was killed a second later."""
    told = Told(Random(1))
    n = told.arrives(4000)
    told.runs(n, "r0")
    told.note("simulator", "left", n=n)
    told.now += 1
    killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": []}
    told.note("campaign", "killed", stopped=told.now, **killed)
    assert not paid_after(told, "r0")


def test_what_our_own_machine_does_is_asked_for_nowhere() -> None:
    """A training has no call; a job whose rows need one each has too few without."""
    for asks, wanted in ((False, set()), (True, {"I3"})):
        told = Told(Random(1))
        told.note("producer", "submitted", job=JOB, rows=["slow"], asks=asks)
        told.note("producer", "result", job=JOB, row="slow", digest="x", own=True)
        assert {f.name for f in paid_twice(told.lines) if not f.holds} == wanted


@pytest.mark.parametrize(("read_s", "is_excused"), [(-0.1, True), (0.5, True), (2, False)])
def test_what_arrives_soon_after_a_stop_was_sent_before(read_s: float, is_excused: bool) -> None:
    """A busy server reads it before the kill is noted, or late; then its port may be another's."""
    told = Told(Random(1))
    killed = {"pid": 1, "name": "worker1", "ports": [4000], "unread": [], "stopped": told.now}
    if read_s > 0:
        told.note("campaign", "killed", **killed)
        told.now += read_s
    n = told.arrives(4000)
    told.runs(n, "r0")
    if read_s < 0:
        told.note("campaign", "killed", **killed)
    told.note("simulator", "left", n=n)
    told.well("r0")
    told.note("producer", "ended", job=JOB, doubts=1, doubts_unpriced=0)
    assert next(finding.holds for finding in paid_twice(told.lines)) is is_excused


def test_a_second_budget_counts_from_where_it_was_given() -> None:
    """Spending under the first is held against the first alone."""
    told = Told(Random(1))
    told.note("campaign", "budget", nano=2 * COST)
    for row in ("r0", "r1"):
        told.well(row)
    told.note("campaign", "budget", nano=3 * COST)
    told.well("r2")
    assert [finding.holds for finding in spent(told.lines)] == [True, True]
    told.well("r3")
    assert [finding.holds for finding in spent(told.lines)] == [True, False]


def test_a_budget_may_begin_after_others_have_spent() -> None:
    """What was asked before its `since` is not held against it; what came later is."""
    told = Told(Random(1))
    told.well("r0")
    since = told.lines[-1].at + 1e-6
    told.note("campaign", "budget", nano=COST, since=since)
    told.well("r1")
    assert [finding.holds for finding in spent(told.lines)] == [True]
    told.well("r2")
    assert [finding.holds for finding in spent(told.lines)] == [False]


def test_after_its_410_an_endpoint_is_owed_nothing() -> None:
    """Listed as disabled because it said so itself."""
    lines = a_history()
    event = one(lines, Random(0), "exhausted")["event"]
    gone = changed("refused", {"status": 410}, endpoint=LOST, event=event)(lines, Random(0))
    told = changed("exhausted", {"state": "disabled"}, event=event)(gone, Random(0))
    assert broken(told) == set()


def test_where_no_connection_came_about_our_own_count_of_attempts_decides() -> None:
    """An endpoint that nobody heard at: ten tries as listed, and nine are too few."""
    lines = [
        line for line in a_history() if line.facts.get("endpoint") != LOST or line.by != "sink"
    ]
    assert broken(lines) == set()
    assert broken(changed("exhausted", {"tries": 9})(lines, Random(0))) == {"I4"}
