"""Stages of kind `review`: pairs of answers laid out for people to judge. Made at once."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

from models.pipelines.schema import MakeReview
from models.store import reviews
from models.tables import Job, Review
from producers.client import Maestrale
from producers.pipelines.ahead import LATER, Ahead
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Later, Lost, Made, Outcome
from producers.reviewing import make


def begin(hand: Hand) -> Outcome:
    """Makes the review, once; with `wait` it is done when every pair was judged by somebody."""
    asked = cast("MakeReview", hand.asked)
    review = make(
        hand.maestrale,
        asked.evaluation,
        asked.models or (),
        asked.pairs,
        asked.seed,
        asked.question,
        hand.name,
        key=hand.key(),
    )
    judged = _judged(hand.maestrale, review)
    if asked.wait and judged < review.pairs_total:
        return Later(f"{judged} of {review.pairs_total} pairs of {review.id} are judged")
    digest = hashlib.sha256(review.id.encode()).hexdigest()
    return Made({"review": review.id, "pairs": review.pairs_total, "hash": digest})


def collect(hand: Hand, job: Job) -> Outcome:
    """No job makes reviews."""
    return Lost(f"{hand.stage.name} makes a review, which no job does, and {job.id} is one")


def expect(hand: Hand, _ahead: Ahead) -> Expected:
    """Nothing is paid for it."""
    pairs = cast("MakeReview", hand.asked).pairs
    output = {"review": LATER, "pairs": pairs, "hash": LATER}
    return Expected(f"at most {pairs:,} pairs for people to judge; nothing is paid", output=output)


def is_there(maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether nobody deleted it."""
    with maestrale.store.read() as connection:
        return reviews.get(connection, output["review"]) is not None


def _judged(maestrale: Maestrale, review: Review) -> int:
    with maestrale.store.read() as connection:
        return len({one.no for one in reviews.said(connection, review.id)})
