"""Rows before judges, over a server that a test makes up."""

from typing import Any

import pytest
from judged_builders import JUDGE, MadeUp, Said, a_row, an_evaluation, prompt_of

from models.payloads import Failed, Snoozed
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.suites.outcomes import Answer, Outcome, Verdict, to_outcomes, to_record
from worker.evaluating.judging import judged_answers, judges_compared

GOOD = {"right": 1, "full": 1, "plain": 1}
BAD = {"right": 0, "full": 0, "plain": 0}
PAIR = an_evaluation("pairwise", "a", "b", judge=JUDGE)


def says(body: dict[str, Any]) -> Said:
    """Models say their names; the judge likes what stands first, and b's answer a little."""
    if body["model"] != "judge":
        return f"I am {body['model']}"
    first_is_b = "1: I am b" in prompt_of(body)
    second = BAD | ({} if first_is_b else {"plain": 1})
    return {"reason": "so it is", "first": GOOD, "second": second}


def verdicts(found: object) -> list[Verdict]:
    assert isinstance(found, list), found
    return [one for one in found if isinstance(one, Verdict)]


def points(found: list[Verdict], model: str) -> list[int]:
    """Of a model, in all verdicts."""
    sides = [
        told
        for one in found
        for name, told in ((one.first, one.first_points), (one.second, one.second_points))
        if name == model
    ]
    return [sum((side or {}).values()) for side in sides]


async def test_each_pair_is_judged_in_both_orders() -> None:
    """The judge's liking for the first place cancels out; what is left is what it thinks of b."""
    asker = MadeUp(says)
    found = verdicts(await judged_answers(a_row(PAIR, asker)))
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("b", "a")]
    assert points(found, "a") == [3, 0]
    assert points(found, "b") == [1, 3]
    shown = [prompt_of(body) for body in asker.to("judge")]
    assert shown[0] == "Why?\n1: I am a\n2: I am b\n3"
    assert shown[1] == "Why?\n1: I am b\n2: I am a\n3"


async def test_every_attempt_has_its_own_answers_and_its_own_draw_of_the_judge() -> None:
    """The first draw is shared with other jobs; the second is a sample of its own."""
    asker = MadeUp(says)
    evaluation = an_evaluation("pairwise", "a", "b", judge=JUDGE, attempts=2)
    found = verdicts(await judged_answers(a_row(evaluation, asker)))
    assert [one.attempt for one in found] == [1, 1, 2, 2]
    assert [sample for _, body, sample in asker.asked if body["model"] == "judge"] == [
        "",
        "",
        "1",
        "1",
    ]


async def test_an_invalid_verdict_is_asked_for_once_more() -> None:
    """With what was wrong about it; what both calls took is counted."""
    answers = iter(["no JSON", {"first": GOOD, "second": {**BAD, "right": 2}}])

    def judge(body: dict[str, Any]) -> Said:
        if body["model"] != "judge":
            return says(body)
        return next(answers, {"first": GOOD, "second": BAD})

    asker = MadeUp(judge)
    found = verdicts(await judged_answers(a_row(PAIR, asker)))
    assert len(asker.to("judge")) == 4
    assert "Not accepted" in prompt_of(asker.to("judge")[-1])
    assert not any(one.problem for one in found)
    assert [one.paid.calls for one in found] == [2, 2]
    assert found[0].paid.cost_nano == 20


async def test_a_verdict_that_stays_invalid_is_counted_as_one() -> None:
    """It has no points, and its row is done all the same."""

    def judge(body: dict[str, Any]) -> Said:
        return {"first": GOOD} if body["model"] == "judge" else says(body)

    found = verdicts(await judged_answers(a_row(PAIR, MadeUp(judge))))
    assert [one.problem for one in found] == [FailureCode.INVALID_ANSWER] * 2
    assert "'second' is a required property" in found[0].detail
    assert (found[0].first_points, found[0].second_points) == (None, None)


async def test_an_answer_of_no_use_gets_nothing_without_asking_the_judge() -> None:
    """The judge is spared; the record says so, and that the other's points mean a win alone."""

    def silent_b(body: dict[str, Any]) -> Said:
        return "" if body["model"] == "b" else says(body)

    asker = MadeUp(silent_b)
    found = verdicts(await judged_answers(a_row(PAIR, asker)))
    assert not asker.to("judge")
    assert all(one.unasked for one in found)
    assert (points(found, "a"), points(found, "b")) == ([3, 3], [0, 0])
    assert found[0].detail == ("the judge was not asked: b gave no usable answer (empty_answer)")


async def test_two_answers_of_no_use_tie_without_points() -> None:
    """Nobody wins by saying nothing."""
    found = verdicts(await judged_answers(a_row(PAIR, MadeUp(lambda body: ""))))
    assert (points(found, "a"), points(found, "b")) == ([0, 0], [0, 0])


async def test_a_judge_that_cannot_be_asked_fails_the_row() -> None:
    """By name: `retry` asks it again, and pays for no answer twice."""

    def no_judge(body: dict[str, Any]) -> Said:
        gone = Failed(FailureCode.SERVER_ERROR, "it is down")
        return gone if body["model"] == "judge" else says(body)

    found = await judged_answers(a_row(PAIR, MadeUp(no_judge)))
    assert found == Failed(FailureCode.SERVER_ERROR, "it is down")


async def test_a_stopped_row_asks_no_judge() -> None:
    """It stays open as it is."""
    asker = MadeUp(lambda body: Snoozed("paused"))
    assert await judged_answers(a_row(PAIR, asker)) == Snoozed("paused")
    assert not asker.to("judge")


async def test_judges_are_compared_on_the_rows_own_answers() -> None:
    """Every judge in both orders, beside what the expert said; no model answers anything."""
    evaluation = an_evaluation("judges", judge=JUDGE, judges=["judge", "other"])
    asker = MadeUp(lambda body: {"first": GOOD, "second": BAD})
    row = a_row(evaluation, asker, first="Yes.", second="No.", preference="second")
    found = verdicts(await judges_compared(row))
    assert [(one.judge, one.first) for one in found] == [
        ("judge", "first"),
        ("judge", "second"),
        ("other", "first"),
        ("other", "second"),
    ]
    assert {one.expert for one in found} == {-1.0}
    assert "1: Yes.\n2: No." in prompt_of(asker.to("other")[0])
    assert "1: No.\n2: Yes." in prompt_of(asker.to("other")[1])
    assert len(asker.asked) == 4


async def test_a_row_without_a_preference_asks_nobody() -> None:
    """It fails by name before anything is paid."""
    evaluation = an_evaluation("judges", judge=JUDGE)
    asker = MadeUp(says)
    with pytest.raises(RowProblem, match="preference"):
        await judges_compared(a_row(evaluation, asker, first="Yes.", second="No."))
    assert not asker.asked


async def test_verdicts_and_answers_survive_their_records() -> None:
    """What is stored is what is read, walkovers and all."""
    found = await judged_answers(a_row(PAIR, MadeUp(says)))
    assert isinstance(found, list)
    told: list[Outcome] = list(to_outcomes(to_record(one) for one in found))
    assert told == found
    assert {type(one) for one in told} == {Answer, Verdict}
