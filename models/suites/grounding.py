"""Faithfulness and answer relevancy as RAGAS defines them: what is asked, and the formulas. Pure.

Definitions: Es, James, Espinosa-Anke, Schockaert, "RAGAs: Automated Evaluation of Retrieval
Augmented Generation" (arXiv 2309.15217, EACL 2024 demos), section 3; docs.ragas.io, "Faithfulness"
and "Response Relevancy" (0.3), whose noncommittal answers count 0. The prompts are our own, so
figures compare between models of one suite, and not with those of other tools to the last digit.
"""

import math
from collections.abc import Sequence
from typing import Any

from models.recipes.schema import AnswerSchema, Asking, Parameters
from models.recipes.strict_json import Json
from models.suites.schema import Grounding

CLAIMS, SUPPORT, BACK = "claims", "support", "question_back"
"""The steps: an answer's claims; which of them the context supports; a question the answer fits."""
_DRAWS_APART = 0.3
"""Temperature at which the same prompt gives several questions that differ a little."""

_CLAIMS_SYSTEM = """\
You take answers apart into claims, so that each claim can be checked without the others.

- A claim is one short sentence that states one fact and names whatever it is about: no pronouns, \
no "the answer says".
- Take every fact that the answer states, and no fact that it does not state. The question only \
tells you what the answer refers to.
- Greetings, wishes, questions, and remarks about the answer itself claim nothing. An answer may \
claim nothing at all: the list is then empty.
- Write in the language of the answer.
"""
_CLAIMS_PROMPT = "Question:\n{{ question }}\n\nAnswer:\n{{ answer }}"

_SUPPORT_SYSTEM = """\
You check claims against a text. A claim is supported if a reader who knows nothing but the text \
would have to agree that it is true: the text states it, or it follows from what the text states.

A claim that may well be true and of which the text says nothing is not supported, nor is one \
that the text contradicts. Judge every claim by itself and in the order given: repeat it, give a \
reason in a few words, and then the verdict.
"""
_SUPPORT_PROMPT = """\
Text:
{{ context }}

Claims:
{% for claim in claims %}{{ loop.index }}. {{ claim }}
{% endfor %}"""

_BACK_SYSTEM = """\
You are shown an answer without its question. Write the one question that it answers best, as \
somebody would have asked it who did not know the answer, in the language of the answer.

Say besides whether the answer is noncommittal: it evades, says that it does not know, or could be \
said to any question. An answer that states something about the matter is not noncommittal.
"""
_BACK_PROMPT = "Answer:\n{{ answer }}"


def prompts(told: Grounding) -> dict[str, Asking]:
    """The steps that ground an answer, by name."""
    apart = _DRAWS_APART if told.questions > 1 else 0.0
    return {
        CLAIMS: _asking(
            CLAIMS,
            _CLAIMS_SYSTEM,
            _CLAIMS_PROMPT,
            {"claims": {"type": "array", "items": {"type": "string", "minLength": 1}}},
        ),
        SUPPORT: _asking(SUPPORT, _SUPPORT_SYSTEM, _SUPPORT_PROMPT, _SUPPORT_SCHEMA),
        BACK: _asking(
            BACK,
            _BACK_SYSTEM,
            _BACK_PROMPT,
            {"question": {"type": "string", "minLength": 1}, "noncommittal": {"type": "boolean"}},
            apart,
        ),
    }


_SUPPORT_SCHEMA: dict[str, Any] = {
    "verdicts": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "claim": {"type": "string"},
                "reason": {"type": "string"},
                "supported": {"type": "boolean"},
            },
            "required": ["claim", "supported"],
            "additionalProperties": False,
        },
    }
}


def _asking(
    name: str, system: str, prompt: str, properties: dict[str, Any], temperature: float = 0.0
) -> Asking:
    definition: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return Asking(
        system=system,
        prompt=prompt,
        parameters=Parameters(temperature=temperature),
        answer_schema=AnswerSchema(name=name, definition=definition),
    )


def complaint_about(verdicts: Json, claims: int) -> str:
    """What is wrong with the verdicts on so many claims; empty if there is one for each."""
    given = len(verdicts["verdicts"])
    if given == claims:
        return ""
    return f"there are {claims} claims and {given} verdicts: each claim needs exactly one"


def supported(verdicts: Json) -> int:
    """How many claims the context supports."""
    return sum(one["supported"] for one in verdicts["verdicts"])


def faithfulness(supported: int, claims: int) -> float | None:
    """|V| / |S|: the share of an answer's claims that the context supports; None without claims."""
    return supported / claims if claims else None


def relevancy(
    question: Sequence[float], back: Sequence[Sequence[float]], *, noncommittal: Sequence[bool]
) -> float | None:
    """The mean cosine between the question and those generated back; 0 if all draws call the
    answer noncommittal. None: a vector has no direction."""
    if noncommittal and all(noncommittal):
        return 0.0
    found = [cosine(question, one) for one in back]
    known = [one for one in found if one is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Of two vectors of one length; None if one is all zeros. `ValueError` for two lengths."""
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    length = math.hypot(*one) * math.hypot(*other)
    return product / length if length else None
