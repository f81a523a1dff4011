"""What a row of an evaluation becomes: the records that workers write and figures are made of.

A record is a JSON object whose `what` says which of these it is; fields that are empty are left
out of it, but for the `value` of an answer of use. Labels (`model`, `first`, ...) are
`Contestant.label`; attempts count from 1.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from models.recipes.strict_json import Json


@dataclass(slots=True)
class Paid:
    """What some calls took. `cost_nano` None: the price is not known. Latency: their sum."""

    calls: int = 0
    latency_ms: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int | None = 0
    keys: list[str] = field(default_factory=list)
    """Ledger keys of the calls, in order."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contestant said to the row at one attempt; `value` None: it cannot be used."""

    WHAT: ClassVar[str] = "answer"
    model: str
    attempt: int
    text: str = ""
    value: Json = None
    """Classification: the label. Choice: the letter as the options stand in the row. Else text."""
    gold: Json = None
    problem: str = ""
    """A `FailureCode` where the answer cannot be used; such answers are counted, never dropped."""
    detail: str = ""
    paid: Paid = field(default_factory=Paid)
    order: str = ""
    """Choice: the row's letters in the order shown."""
    retrieved: list[dict[str, Json]] = field(default_factory=list)
    """Documents in the order shown: id, score (the cosine), why (entity, cosine or tool), for those
    that were looked up the turn; `left_out` is true of those for which there was no room."""
    lookups: list[dict[str, Json]] = field(default_factory=list)
    """What the model looked up itself: turn, query, entity, found (documents); or the error that it
    was told."""


FIRST, SECOND = "first", "second"
"""Kind judges: what verdicts call the row's two answers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge gave two answers in one order; points None: no valid verdict, asked twice.

    `first` and `second` name the answers as they were shown; the other order is another verdict.
    """

    WHAT: ClassVar[str] = "verdict"
    judge: str
    first: str
    second: str
    attempt: int = 1
    first_points: dict[str, int] | None = None
    second_points: dict[str, int] | None = None
    reason: str = ""
    problem: str = ""
    detail: str = ""
    expert: float | None = None
    """Kind judges: the expert's preference, above 0 for the row's first answer (the one called
    `FIRST`, whichever is shown first), 0 for a tie; the same in both orders."""
    unasked: bool = False
    """An answer could not be used, and the judge was not asked: that answer has no points, the
    other all of them (a win, but no measure of its worth), two such answers tie without points."""
    paid: Paid = field(default_factory=Paid)


@dataclass(frozen=True, slots=True)
class Grounds:
    """Faithfulness and answer relevancy of one answer; None: not to be had, as `detail` says.

    An answer that cannot be used (`problem` is the answer's) claims nothing and is relevant to
    nothing: faithfulness None, relevancy 0. Any other `problem` is the judge's.
    """

    WHAT: ClassVar[str] = "grounds"
    model: str
    attempt: int
    judge: str
    claims: int = 0
    supported: int = 0
    faithfulness: float | None = None
    relevancy: float | None = None
    noncommittal: bool = False
    problem: str = ""
    detail: str = ""
    paid: Paid = field(default_factory=Paid)


@dataclass(frozen=True, slots=True)
class Loss:
    """How surprised a local model was by the row: summed negative log-likelihood in nats."""

    WHAT: ClassVar[str] = "loss"
    model: str
    tokens: int
    nll: float
    problem: str = ""
    detail: str = ""


Outcome = Answer | Verdict | Grounds | Loss
_KINDS: Mapping[str, type[Any]] = {kind.WHAT: kind for kind in (Answer, Verdict, Grounds, Loss)}


def to_record(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON. What an answer of use says is in it, be it empty."""
    kept = () if outcome.problem else ("value",)
    told = {
        name: value
        for name, value in asdict(outcome).items()
        if name in kept or value not in ("", None, [])
    }
    return {"what": outcome.WHAT, **told}


def to_outcomes(records: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
    """The outcomes of a row's records; what another version wrote besides is passed over."""
    for record in records:
        kind = _KINDS.get(str(record.get("what")))
        if kind is not None:
            known = {told.name for told in fields(kind)}
            given = {name: value for name, value in record.items() if name in known}
            if "paid" in given:
                given["paid"] = Paid(**given["paid"])
            yield kind(**given)
