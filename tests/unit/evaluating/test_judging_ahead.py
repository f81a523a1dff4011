"""What judges will be asked, counted before and after."""

from typing import Any

import pytest
from judged_builders import GROUNDING, JUDGE, MadeUp, Said, a_row, an_evaluation

from models.recipes.problems import RowProblem
from models.suites import Evaluation
from producers.evaluating.previewing import Previewer
from worker.evaluating.grounding import grounded_answers
from worker.evaluating.judging import judged_answers, judges_compared

POINTS = {"right": 1, "full": 1, "plain": 1}
ROW = {"text": "Rain.", "first": "Yes.", "second": "No.", "preference": "tie"}
RUNS = {
    "pairwise": judged_answers,
    "judges": judges_compared,
    "grounded": grounded_answers,
}


def says(body: dict[str, Any]) -> Said:
    """Whatever fits."""
    wanted = body.get("response_format", {}).get("json_schema", {}).get("name")
    answers: dict[str, Said] = {
        "verdict": {"first": POINTS, "second": POINTS},
        "claims": {"claims": ["It rains."]},
        "support": {"verdicts": [{"claim": "It rains.", "supported": True}]},
        "question_back": {"question": "What?", "noncommittal": False},
    }
    return answers.get(wanted, "It rains.")


@pytest.mark.parametrize(
    "evaluation",
    [
        an_evaluation("pairwise", "a", "b", judge=JUDGE, attempts=2),
        an_evaluation("pairwise", "a", "b", "c", "d", judge=JUDGE),
        an_evaluation("judges", judge=JUDGE, judges=["a", "b"], attempts=2),
        an_evaluation("grounded", "a", "b", grounding=GROUNDING, attempts=2),
    ],
    ids=lambda evaluation: str(evaluation.suite.kind),
)
async def test_what_is_foreseen_is_what_is_asked(evaluation: Evaluation) -> None:
    """As many calls of each model; an embedding that several need is one call in the ledger."""
    asker = MadeUp(says)
    kind = str(evaluation.suite.kind)
    await RUNS[kind](a_row(evaluation, asker, **ROW))
    texts = {str(body.get("input", number)) for number, (_, body, _) in enumerate(asker.asked)}
    foreseen: dict[str, int] = {}
    for one in Previewer(evaluation).requests({"id": "r0", "question": "Why?", **ROW}):
        model = str(one.body["model"])
        foreseen[model] = foreseen.get(model, 0) + one.count
    embeddings = foreseen.pop("mistral-embed", 0)
    asked = {model: len(asker.to(model)) for model in evaluation.models if model in foreseen}
    assert foreseen == asked
    if kind == "grounded":
        assert embeddings == 1 + 2 * 2 * 2  # the question; a question back each
        assert len(texts) < len(asker.asked)


def test_successive_rounds_are_counted() -> None:
    """Verdicts follow answers; verdicts on claims follow the claims."""
    assert Previewer(an_evaluation("pairwise", "a", "b", judge=JUDGE)).rounds == 2
    assert Previewer(an_evaluation("judges", judge=JUDGE)).rounds == 1
    assert Previewer(an_evaluation("grounded", "a", grounding=GROUNDING)).rounds == 3


def test_what_a_row_must_have_is_known_before() -> None:
    """A file that lacks the answers is refused while nothing is paid."""
    fields = Previewer(an_evaluation("judges", judge=JUDGE)).required_fields
    assert fields == {"question", "first", "second", "preference"}
    grounded = Previewer(an_evaluation("grounded", "a", grounding=GROUNDING)).required_fields
    assert grounded == {"question", "text"}
    assert Previewer(an_evaluation("perplexity", "a", prompts={})).required_fields == {"messages"}


def test_a_row_that_no_judge_can_be_asked_about_is_said() -> None:
    """The estimate counts it as one that cannot be asked."""
    previewer = Previewer(an_evaluation("judges", judge=JUDGE))
    with pytest.raises(RowProblem):
        list(previewer.requests({"question": "Why?", **ROW, "preference": "perhaps"}))


@pytest.mark.parametrize("field", ["first", "second"])
def test_a_row_with_a_blank_answer_is_rejected(field: str) -> None:
    """Before anything is enqueued: there is nothing to judge."""
    previewer = Previewer(an_evaluation("judges", judge=JUDGE))
    previewer.check({"question": "Why?", **ROW})
    with pytest.raises(RowProblem, match=f"{field} is missing or empty"):
        previewer.check({"question": "Why?", **ROW, field: "  "})


def test_reading_rows_to_models_asks_nobody() -> None:
    """Nothing is paid for, so nothing is estimated."""
    previewer = Previewer(an_evaluation("perplexity", "a", prompts={}))
    assert list(previewer.requests({"messages": []})) == []
