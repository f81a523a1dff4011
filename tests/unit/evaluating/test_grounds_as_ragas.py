"""Our faithfulness and answer relevancy against the library `ragas`, on the same recorded answers.

`ragas` is no dependency of ours and pulls in a lot: the test skips without it. Last run by hand
with ragas 0.4.3.
"""

import json
import math
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from judged_builders import MadeUp, Said, a_row, an_evaluation

from models.suites.outcomes import Grounds
from worker.evaluating.grounding import grounded_answers


@dataclass(frozen=True)
class Recorded:
    """An answer, and what a judge said of it: claims with verdicts, questions with flags."""

    question: str
    answer: str
    context: str
    claims: tuple[tuple[str, bool], ...]
    back: tuple[tuple[str, bool], ...]


RECORDED = [
    Recorded(
        "Peut-on se faire assister devant le conseil de prud'hommes ?",
        "Oui, par un avocat ou un défenseur syndical, et c'est toujours gratuit.",
        "Les parties peuvent se faire assister par un avocat ou un défenseur syndical.",
        (
            ("On peut se faire assister par un avocat.", True),
            ("On peut se faire assister par un défenseur syndical.", True),
            ("L'assistance est toujours gratuite.", False),
        ),
        (
            ("Qui peut assister une partie aux prud'hommes ?", False),
            ("Peut-on être assisté aux prud'hommes ?", False),
            ("L'assistance est-elle gratuite ?", False),
        ),
    ),
    Recorded(
        "Quel est le délai ?",
        "Je ne sais pas.",
        "Le délai est de deux mois.",
        (),
        (("Que savez-vous ?", True), ("Quel est le délai ?", True), ("Qui sait ?", True)),
    ),
    Recorded(
        "Quel est le délai ?",
        "Trois mois, peut-être.",
        "Le délai est de deux mois.",
        (("Le délai est de trois mois.", False),),
        (("Quel est le délai ?", True), ("Combien de mois ?", False), ("Quel délai ?", False)),
    ),
    Recorded(
        "Quel est le délai ?",
        "Deux mois.",
        "Le délai est de deux mois.",
        (("Le délai est de deux mois.", True),),
        (("Quel est le délai ?", False),) * 3,
    ),
]


def vector(text: str) -> list[float]:
    """Letters counted: near texts have near vectors."""
    return [float(text.casefold().count(letter)) for letter in "aeioudlmnpqrst?"]


def said(one: Recorded, wanted: str, draws: list[int]) -> Said:
    """What the judge said, in our form."""
    if wanted == "claims":
        return {"claims": [claim for claim, _ in one.claims]}
    if wanted == "support":
        return {"verdicts": [{"claim": text, "supported": ok} for text, ok in one.claims]}
    draws.append(len(draws))
    question, noncommittal = one.back[draws[-1]]
    return {"question": question, "noncommittal": noncommittal}


async def by_us(one: Recorded) -> Grounds:
    """As a row of an evaluation."""
    draws: list[int] = []

    def says(body: dict[str, Any]) -> Said:
        if body["model"] != "judge":
            return one.answer
        return said(one, body["response_format"]["json_schema"]["name"], draws)

    grounding = {"model": "judge", "question": "{{ row.question }}", "context": "{{ row.text }}"}
    evaluation = an_evaluation("grounded", "a", grounding=grounding)
    row = a_row(evaluation, MadeUp(says, vector), question=one.question, text=one.context)
    found = await grounded_answers(row)
    assert isinstance(found, list), found
    assert isinstance(found[1], Grounds)
    return found[1]


async def by_ragas(one: Recorded) -> tuple[float, float]:
    """The same answers of the judge, in the library's forms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = pytest.importorskip("ragas.metrics", exc_type=ImportError)
        from langchain_core.outputs import Generation, LLMResult  # noqa: PLC0415 # as ragas
        from ragas import SingleTurnSample  # noqa: PLC0415 # it may be missing
        from ragas.llms.base import BaseRagasLLM  # noqa: PLC0415 # as above

    class Judge(BaseRagasLLM):  # type: ignore[misc] # untyped
        def generate_text(self, prompt: Any, n: int = 1, **_: Any) -> Any:
            texts = theirs(one, prompt.to_string())
            return LLMResult(generations=[[Generation(text=text) for text in texts[:n]]])

        async def agenerate_text(self, prompt: Any, n: int = 1, **_: Any) -> Any:
            return self.generate_text(prompt, n)

        def is_finished(self, response: Any) -> bool:
            return True

    class Vectors:
        def embed_query(self, text: str) -> list[float]:
            return vector(text)

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vector(text) for text in texts]

    sample = SingleTurnSample(
        user_input=one.question, response=one.answer, retrieved_contexts=[one.context]
    )
    faithful = metrics.Faithfulness(llm=Judge())
    relevant = metrics.ResponseRelevancy(llm=Judge(), embeddings=Vectors(), strictness=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            float(await faithful.single_turn_ascore(sample)),
            float(await relevant.single_turn_ascore(sample)),
        )


def theirs(one: Recorded, prompt: str) -> list[str]:
    """By what the prompt asks for, as JSON; one text per draw."""
    if "noncommittal" in prompt:
        told: list[Any] = [{"question": text, "noncommittal": int(no)} for text, no in one.back]
    elif "verdict" in prompt:
        verdicts = [
            {"statement": text, "reason": "-", "verdict": int(ok)} for text, ok in one.claims
        ]
        told = [{"statements": verdicts}]
    else:
        told = [{"statements": [text for text, _ in one.claims]}]
    return [json.dumps(answer) for answer in told]


@pytest.mark.parametrize("one", RECORDED, ids=lambda one: one.answer)
async def test_figures_are_those_of_ragas(one: Recorded) -> None:
    """To the last digit but float32's: both have the judge's same words to go by."""
    faithfulness, relevancy = await by_ragas(one)
    ours = await by_us(one)
    if math.isnan(faithfulness):
        assert ours.faithfulness is None
    else:
        assert ours.faithfulness == pytest.approx(faithfulness)
    assert ours.relevancy == pytest.approx(relevancy, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "faithfulness"), list(zip(RECORDED, (2 / 3, None, 0.0, 1.0), strict=True))
)
async def test_our_figures_of_the_recorded_answers(
    one: Recorded, faithfulness: float | None
) -> None:
    """Where `ragas` is missing, at least these hold; the evasive answer alone is not relevant."""
    ours = await by_us(one)
    assert ours.faithfulness == faithfulness
    assert (ours.relevancy == 0.0) is (one.answer == "Je ne sais pas.")
