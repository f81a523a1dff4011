"""Reviews: made once, judged by many, told at the end.

What reviewers see is read without the column that says who stands left: `sides` alone reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from models.reviews.votes import Said
from models.store import reading
from models.store.engine import now_s, one_at_a_time
from models.store.inserts import replace
from models.store.rows import storable
from models.tables import Judgement, Review, ReviewPair, table_of

reviews = table_of(Review)
pairs = table_of(ReviewPair)
judgements = table_of(Judgement)

INSERT_BATCH = 200
"""Pairs, of two long answers each."""


@dataclass(frozen=True, slots=True)
class Blinded:
    """A pair as a reviewer may see it."""

    no: int
    asked: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A review and how far it is: pairs judged, by reviewer."""

    review: Review
    judged: Mapping[str, int]


def create(connection: Connection, review: Review, made: Sequence[ReviewPair]) -> Review:
    """Stores the review with its pairs, unless one of this id is there; answers what is there."""
    values = review.model_dump(exclude={"created_at", "pairs_total"})
    words = {name: storable(text) for name, text in values.items() if isinstance(text, str)}
    one_at_a_time(connection, review.id)
    if known := get(connection, review.id):
        return known
    connection.execute(
        insert(reviews).values(**{**values, **words}, pairs_total=len(made), created_at=now_s())
    )
    lines = [_pair(review.id, one) for one in made]
    for start in range(0, len(lines), INSERT_BATCH):
        connection.execute(insert(pairs), lines[start : start + INSERT_BATCH])
    stored = get(connection, review.id)
    assert stored is not None
    return stored


def get(connection: Connection, review_id: str) -> Review | None:
    """The review of this id, or None."""
    return reading.one(connection, select(reviews).where(reviews.c.id == review_id), Review)


def like(connection: Connection, beginning: str) -> list[str]:
    """Ids that begin so, two at most."""
    begins = reviews.c.id.startswith(beginning, autoescape=True)
    return list(connection.scalars(select(reviews.c.id).where(begins).limit(2)))


def newest(connection: Connection, *, job_id: str = "", limit: int = 50) -> list[Listed]:
    """The newest reviews first, with how far each is."""
    query = select(reviews).order_by(reviews.c.created_at.desc(), reviews.c.id).limit(limit)
    if job_id:
        query = query.where(reviews.c.job_id == job_id)
    found = reading.all_of(connection, query, Review)
    judged = progress(connection, [one.id for one in found])
    return [Listed(one, judged.get(one.id, {})) for one in found]


def progress(connection: Connection, review_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Pairs judged, by review and reviewer."""
    query = (
        select(judgements.c.review_id, judgements.c.reviewer, func.count())
        .where(judgements.c.review_id.in_(review_ids))
        .group_by(judgements.c.review_id, judgements.c.reviewer)
        .order_by(judgements.c.review_id, judgements.c.reviewer)
    )
    found: dict[str, dict[str, int]] = {}
    for review_id, reviewer, count in connection.execute(query):
        found.setdefault(review_id, {})[reviewer] = count
    return found


def blinded(connection: Connection, review_id: str, no: int | None = None) -> list[Blinded]:
    """One pair, or all in the order of their numbers, without a word of who stands where."""
    query = select(pairs.c.no, pairs.c.asked, pairs.c.left, pairs.c.right)
    query = query.where(pairs.c.review_id == review_id).order_by(pairs.c.no)
    if no is not None:
        query = query.where(pairs.c.no == no)
    return [Blinded(*one) for one in connection.execute(query)]


def sides(connection: Connection, review_id: str) -> dict[int, bool]:
    """By pair whether the review's first model stands left: for results alone."""
    query = select(pairs.c.no, pairs.c.left_is_first).where(pairs.c.review_id == review_id)
    return {no: bool(left_is_first) for no, left_is_first in connection.execute(query)}


def row_ids(connection: Connection, review_id: str) -> dict[int, str]:
    """By pair the row that it is about."""
    query = select(pairs.c.no, pairs.c.row_id).where(pairs.c.review_id == review_id)
    return {one.no: one.row_id for one in connection.execute(query)}


def said(connection: Connection, review_id: str, reviewer: str | None = None) -> list[Said]:
    """What was judged, by everybody or by one, in the order of pairs and names."""
    query = (
        select(judgements.c.no, judgements.c.reviewer, judgements.c.choice, judgements.c.comment)
        .where(judgements.c.review_id == review_id)
        .order_by(judgements.c.no, judgements.c.reviewer)
    )
    if reviewer is not None:
        query = query.where(judgements.c.reviewer == reviewer)
    return [Said(*one) for one in connection.execute(query)]


def judge(connection: Connection, review_id: str, found: Sequence[Said]) -> bool:
    """Notes what was said, over what the same reviewer said of the same pair before.

    False, and nothing is noted, if one of the pairs is none of this review's.
    """
    known = set(connection.scalars(select(pairs.c.no).where(pairs.c.review_id == review_id)))
    if not all(one.no in known for one in found):
        return False
    for one in sorted(found, key=lambda said: (said.no, said.reviewer)):
        key = {"review_id": review_id, "no": one.no, "reviewer": one.reviewer}
        values = {"choice": one.choice, "comment": storable(one.comment), "judged_at": now_s()}
        replace(connection, judgements, key, values)
    return True


def known_as(connection: Connection, review_id: str, reviewer: str) -> str:
    """The reviewer's name as it stands there already, small and capital letters aside."""
    query = select(judgements.c.reviewer).where(judgements.c.review_id == review_id).distinct()
    same = reviewer.casefold()
    alike = [name for name in connection.scalars(query) if name.casefold() == same]
    return reviewer if reviewer in alike or not alike else min(alike)


def forget(connection: Connection, review_id: str) -> bool:
    """Deletes the review with its pairs and all that was said of them."""
    connection.execute(delete(judgements).where(judgements.c.review_id == review_id))
    connection.execute(delete(pairs).where(pairs.c.review_id == review_id))
    return bool(connection.execute(delete(reviews).where(reviews.c.id == review_id)).rowcount)


def _pair(review_id: str, pair: ReviewPair) -> dict[str, object]:
    told = pair.model_dump()
    words = {name: storable(told[name]) for name in ("row_id", "asked", "left", "right")}
    return {**told, **words, "review_id": review_id}
