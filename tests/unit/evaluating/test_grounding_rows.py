"""Answers and what they stand on, over a server that a test makes up."""

from typing import Any

import pytest
from judged_builders import GROUNDING, MadeUp, Said, a_row, an_evaluation, prompt_of

from models.payloads import Failed
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.suites.outcomes import Answer, Grounds, to_outcomes, to_record
from worker.evaluating.grounding import NO_CLAIMS, NO_DIRECTION, grounded_answers, grounds

EVALUATION = an_evaluation("grounded", "a", grounding=GROUNDING)
CLAIMS = {"claims": ["It rains.", "It is cold."]}
HALF = {
    "verdicts": [
        {"claim": "It rains.", "reason": "stated", "supported": True},
        {"claim": "It is cold.", "reason": "not stated", "supported": False},
    ]
}
BACK = {"question": "What of the weather?", "noncommittal": False}
TEXT = "Rain from the west."


class Server:
    """Says `answers` by step, the last one for ever; the model under test says `said`."""

    def __init__(self, said: Said = "It rains and it is cold.", **answers: Said | list[Said]):
        self._said = said
        usual: dict[str, Said | list[Said]] = {
            "claims": CLAIMS,
            "support": HALF,
            "question_back": BACK,
        }
        self._answers = {**usual, **answers}

    def __call__(self, body: dict[str, Any]) -> Said:
        if body["model"] != "judge":
            return self._said
        answer = self._answers[step_of(body)]
        if not isinstance(answer, list):
            return answer
        return answer.pop(0) if len(answer) > 1 else answer[0]


def step_of(body: dict[str, Any]) -> str:
    return str(body["response_format"]["json_schema"]["name"])


async def ground(asker: MadeUp, **data: Any) -> Grounds:
    """What the one answer of a row stands on."""
    found = await grounded_answers(a_row(EVALUATION, asker, **{"text": TEXT, **data}))
    assert isinstance(found, list), found
    assert [type(one) for one in found] == [Answer, Grounds]
    assert list(to_outcomes(map(to_record, found))) == found
    return found[1]


async def test_an_answer_is_taken_apart_checked_and_asked_back() -> None:
    """One claim of two is supported; the questions back are as near as their vectors."""
    vectors = {"Why?": [1.0, 0.0], "What of the weather?": [3.0, 4.0]}
    asker = MadeUp(Server(), vectors.__getitem__)
    found = await ground(asker)
    assert (found.claims, found.supported, found.faithfulness) == (2, 1, 0.5)
    assert found.relevancy == pytest.approx(0.6)
    assert (found.problem, found.detail, found.noncommittal) == ("", "", False)
    assert found.paid.calls == 2 + 2 + 3  # claims and verdicts; questions back; their vectors
    steps = [step_of(body) for body in asker.to("judge")]
    assert sorted(steps) == ["claims", "question_back", "question_back", "support"]


async def test_the_context_and_the_claims_are_before_the_judge() -> None:
    """And the questions back are made of the answer alone: the question would give itself away."""
    asker = MadeUp(Server())
    await ground(asker)
    shown = {step_of(body): prompt_of(body) for body in asker.to("judge")}
    assert TEXT in shown["support"]
    assert "1. It rains.\n2. It is cold." in shown["support"]
    assert "It rains and it is cold." in shown["question_back"]
    assert "Why?" not in shown["question_back"]


async def test_questions_back_are_draws_of_one_prompt() -> None:
    """Attempts do not share them: the second attempt's begin where the first's end."""
    asker = MadeUp(Server())
    evaluation = an_evaluation("grounded", "a", grounding=GROUNDING, attempts=2)
    await grounded_answers(a_row(evaluation, asker, text=TEXT))
    judge = [(body, sample) for _, body, sample in asker.asked if body["model"] == "judge"]
    back = sorted(sample for body, sample in judge if step_of(body) == "question_back")
    assert back == ["", "1", "2", "3"]


async def test_an_answer_that_claims_nothing_has_no_faithfulness() -> None:
    """It says so; its relevancy is known all the same, and no verdict is paid for."""
    asker = MadeUp(Server(claims={"claims": []}))
    found = await ground(asker)
    assert (found.faithfulness, found.claims, found.detail) == (None, 0, NO_CLAIMS)
    assert found.relevancy is not None
    assert "support" not in {step_of(body) for body in asker.to("judge")}


async def test_an_evasive_answer_is_not_relevant() -> None:
    """Its questions back are not even embedded."""
    asker = MadeUp(Server(question_back={"question": "What?", "noncommittal": True}))
    found = await ground(asker)
    assert (found.relevancy, found.noncommittal) == (0.0, True)
    assert not [endpoint for endpoint, _, _ in asker.asked if endpoint == "embeddings"]


async def test_an_empty_answer_claims_nothing_and_is_relevant_to_nothing() -> None:
    """The judge is not asked; the problem is the answer's, and it is in the mean as 0."""
    asker = MadeUp(Server(said=""))
    found = await ground(asker)
    assert (found.faithfulness, found.relevancy, found.noncommittal) == (None, 0.0, True)
    assert found.problem == FailureCode.EMPTY_ANSWER
    assert not asker.to("judge")


async def test_verdicts_are_asked_for_once_more_where_claims_lack_one() -> None:
    """The complaint says how many there are."""
    one = {"verdicts": HALF["verdicts"][:1]}
    asker = MadeUp(Server(support=[one, HALF]))
    found = await ground(asker)
    assert found.faithfulness == 0.5
    again = [body for body in asker.to("judge") if step_of(body) == "support"][-1]
    assert "2 claims and 1 verdicts" in prompt_of(again)


async def test_verdicts_that_stay_invalid_are_counted() -> None:
    """Faithfulness is not to be had; what is known of the answer is kept."""
    found = await ground(MadeUp(Server(support="I cannot say.")))
    assert (found.faithfulness, found.claims) == (None, 2)
    assert found.problem == FailureCode.INVALID_ANSWER
    assert found.detail.startswith("the verdicts on its claims: ")
    assert found.relevancy is not None


async def test_questions_back_that_stay_invalid_are_counted() -> None:
    """A mean over fewer would not be the figure as it is defined."""
    found = await ground(MadeUp(Server(question_back=[BACK, "What?"])))
    assert (found.relevancy, found.problem) == (None, FailureCode.INVALID_ANSWER)
    assert found.faithfulness == 0.5


async def test_vectors_without_direction_are_said() -> None:
    """Some models embed what they do not know as zeros."""
    found = await ground(MadeUp(Server(), lambda text: [0.0, 0.0]))
    assert (found.relevancy, found.detail) == (None, NO_DIRECTION)


async def test_a_judge_that_is_down_fails_the_row() -> None:
    """By name: `retry` asks it again."""
    gone = Failed(FailureCode.SERVER_ERROR, "it is down")
    row = a_row(EVALUATION, MadeUp(Server(claims=gone)), text=TEXT)
    assert await grounded_answers(row) == gone


async def test_a_row_without_a_context_fails() -> None:
    """There is nothing to be faithful to, which is the row's fault."""
    with pytest.raises(RowProblem, match=r"grounding\.context: the text is empty"):
        await ground(MadeUp(Server()), text=" ")


async def test_where_documents_are_found_they_are_the_context() -> None:
    """Those that this answer was given; without any, no claim has support."""
    grounding = {name: told for name, told in GROUNDING.items() if name != "context"}
    evaluation = an_evaluation("grounded", "a", grounding=grounding)
    asker = MadeUp(Server())
    row = a_row(evaluation, asker)
    row.shown["a", 1] = ["First document.", "Second document."]
    answer = Answer("a", 1, value="It rains and it is cold.")
    assert isinstance(await grounds(row, "Why?", answer), Grounds)
    support = next(body for body in asker.to("judge") if step_of(body) == "support")
    assert "First document.\n\nSecond document." in prompt_of(support)
    found = await grounds(a_row(evaluation, MadeUp(Server())), "Why?", answer)
    assert isinstance(found, Grounds)
    assert found.faithfulness == 0.0
