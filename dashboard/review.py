"""Reviews: one pair of answers at a time, judged without knowing whose they are; the result apart.

What a reviewer is shown comes from `reviews.blinded`, which never reads who stands left, and goes
by places in the reviewer's own order: neither numbers, names nor rows of a review leave the server
before somebody asks for the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection
from tornado.escape import url_escape, url_unescape
from tornado.ioloop import IOLoop
from tornado.web import HTTPError

from dashboard.frame import Action, View
from models.errors import BadInputError
from models.reviews import MOST_COMMENT, choice_of, comment_of, own_order, reviewer_of
from models.reviews import words as result_words
from models.reviews.results import About, Result, result_of
from models.reviews.votes import Said
from models.store import reviews
from models.store.engine import read_now
from models.store.reviews import Blinded
from models.tables import Review

UNKNOWN = "there is no such review: the page Reviews lists them"
REMEMBERED = "maestrale_reviewer"
"""The cookie with the reviewer's name: for a year, so that nobody types it twice."""
NEWEST = 200
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Judging:
    """How far a reviewer is, and the pair at `place` (from 1); `pair` None: all are judged."""

    review: Review
    reviewer: str
    judged: int
    place: int
    pair: Blinded | None
    said: Said | None
    """What this reviewer said of the pair before."""


class ReviewsView(View):
    """`/reviews?job=`: which there are, and how far."""

    tab = "jobs"

    async def get(self) -> None:
        """The list, the newest first."""
        job_id = self.query("job", limit=100)
        found = await self.database.read(reviews.newest, job_id=job_id, limit=NEWEST)
        now = await self.database.read(read_now)
        self.show("maestrale/reviews.html", title="Reviews", found=found, now=now, job_id=job_id)


class _OfReview(View):
    """A page of one review."""

    tab = "jobs"

    def remembered(self) -> str:
        """The reviewer's name from the cookie; empty: there is none that can be used."""
        try:
            return reviewer_of(url_unescape(self.get_cookie(REMEMBERED) or "", plus=False))
        except (BadInputError, ValueError):
            return ""

    def number(self, name: str) -> int:
        """A place from the query string; 0: none, or none that makes sense."""
        digits = self.query(name, limit=_DIGITS)
        return int(digits) if digits.isascii() and digits.isdecimal() else 0


class ReviewView(_OfReview):
    """`/review/ID`: what is asked, and who judges."""

    async def get(self, review_id: str) -> None:
        """The page; 404 in the same look for an id that is none."""
        review, judged = await self.database.read(_standing, _id(review_id))
        self.show(
            "maestrale/review.html",
            title=f"Review {review.name}",
            review=review,
            judged=judged,
            reviewer=self.remembered(),
        )


class BeginAction(_OfReview, Action):
    """`POST /review/ID/begin`: remembers the reviewer's name."""

    async def act(self, review_id: str) -> str:
        """Goes on to the first pair that is not judged."""
        try:
            name = reviewer_of(str(self.get_body_argument("reviewer", "")))
        except BadInputError as problem:
            self.tell(f"{problem}.")
            return self.address("review", review_id)
        self.set_cookie(
            REMEMBERED,
            url_escape(name, plus=False),
            expires_days=365,
            path=self._root(),
            httponly=True,
            samesite="Lax",
        )
        return self.address("review-pair", review_id)


class PairView(_OfReview):
    """`/review/ID/pair?place=&after=`: a pair, by default the first that is not judged."""

    async def get(self, review_id: str) -> None:
        """The pair, or thanks where all are judged; back to the beginning where nobody judges."""
        reviewer = self.remembered()
        if not reviewer or not self.may_act:
            self.redirect(self.address("review", review_id))
            return
        place, after = self.number("place"), self.number("after")
        found = await self.database.read(
            look, _id(review_id), reviewer=reviewer, place=place, after=after
        )
        template = "maestrale/review_pair.html" if found.pair else "maestrale/review_done.html"
        title = f"Pair {found.place}" if found.pair else "Thank you"
        self.show(template, title=title, judging=found, most_comment=MOST_COMMENT)


class JudgeAction(_OfReview, Action):
    """`POST /review/ID/judge`: notes one judgement at once."""

    async def act(self, review_id: str) -> str:
        """Goes on to the next pair that is not judged. 400 for what no page of ours sends."""
        choice = choice_of(str(self.get_body_argument("choice", "")))
        digits = str(self.get_body_argument("place", ""))[:_DIGITS]
        try:
            reviewer = reviewer_of(str(self.get_body_argument("reviewer", "")))
        except BadInputError as problem:
            raise HTTPError(400, str(problem)) from problem
        if choice is None or not (digits.isascii() and digits.isdecimal()):
            raise HTTPError(400, "a judgement is left, right or tie, of a pair")
        comment = comment_of(str(self.get_body_argument("comment", "", strip=False)))
        said = Said(int(digits), reviewer, choice, comment)
        await self.database.write(note, _id(review_id), said)
        return self.address("review-pair", review_id, after=int(digits))


class ResultView(_OfReview):
    """`/review/ID/result?show=1`: the blinds taken off, for who asked for it in so many words."""

    async def get(self, review_id: str) -> None:
        """The result; without `show`, or before the first judgement, back to the review."""
        review, judged = await self.database.read(_standing, _id(review_id))
        if self.query("show", limit=1) != "1" or not judged:
            self.redirect(self.address("review", review.id))
            return
        said, sides = await self.database.read(_told, review.id)
        try:  # not on the database's threads: the libraries take seconds to import
            found = await IOLoop.current().run_in_executor(None, _result, review, said, sides)
        except BadInputError as problem:
            raise HTTPError(409, str(problem)) from problem
        self.show(
            "maestrale/review_result.html",
            title=f"Result of {review.name}",
            review=review,
            result=found,
            told_as=result_words,
        )


def look(
    connection: Connection, review_id: str, *, reviewer: str, place: int, after: int
) -> Judging:
    """The pair at `place`, else the next one after `after` that the reviewer has not judged."""
    review = _found(connection, review_id)
    reviewer = reviews.known_as(connection, review.id, reviewer)
    said = {one.no: one for one in reviews.said(connection, review.id, reviewer)}
    order = own_order(review.id, reviewer, review.pairs_total)
    if not 1 <= place <= len(order):
        open_places = [at for at, no in enumerate(order, 1) if no not in said]
        later = [at for at in open_places if at > after]
        place = next(iter(later or open_places), 0)
    if not place:
        return Judging(review, reviewer, len(said), len(order) + 1, None, None)
    no = order[place - 1]
    (pair,) = reviews.blinded(connection, review.id, no)
    return Judging(review, reviewer, len(said), place, pair, said.get(no))


def note(connection: Connection, review_id: str, said: Said) -> None:
    """Notes what was said of the pair at a place (`said.no`) of the reviewer's own order."""
    review = _found(connection, review_id)
    reviewer = reviews.known_as(connection, review.id, said.reviewer)
    order = own_order(review.id, reviewer, review.pairs_total)
    if not 1 <= said.no <= len(order):
        raise HTTPError(400, "there is no such pair")
    judged = Said(order[said.no - 1], reviewer, said.choice, said.comment)
    reviews.judge(connection, review.id, [judged])


def _found(connection: Connection, review_id: str) -> Review:
    review = reviews.get(connection, review_id)
    if review is None:
        raise HTTPError(404, UNKNOWN)
    return review


def _standing(connection: Connection, review_id: str) -> tuple[Review, Mapping[str, int]]:
    review = _found(connection, review_id)
    return review, reviews.progress(connection, [review.id]).get(review.id, {})


def _told(connection: Connection, review_id: str) -> tuple[list[Said], dict[int, bool]]:
    return reviews.said(connection, review_id), reviews.sides(connection, review_id)


def _result(review: Review, said: list[Said], sides: Mapping[int, bool]) -> Result:
    told = review.model_dump()
    return result_of(
        About(**{name: told[name] for name in About.__dataclass_fields__}), said, sides
    )


def _id(text: str) -> str:
    return text[:100].replace("\0", "")
