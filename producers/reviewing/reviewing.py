"""The door for reviews: make, list, sheets out and in, the result."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.crashing import crash_point
from models.errors import BadInputError, NotFoundError
from models.reviews import own_order, rank, reviewer_of
from models.reviews.results import About, Result, require_libraries, result_of
from models.states import SETTLED
from models.store import reviews
from models.store.reviews import Listed
from models.tables import Review
from models.words import printable
from producers.client import Maestrale
from producers.evaluating.evaluating import Evaluating
from producers.reviewing import answered, elsewhere, sheets, written
from producers.reviewing.choosing import Candidate, choose

QUESTION = "Which answer is better?"
PAIRS = 50
MOST_PAIRS = 5_000
MOST_QUESTION = 1_000
SEED_BITS = 53
"""A drawn seed is nobody's to guess, and a number that every reader of JSON holds exactly."""
_ID_LETTERS = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """How a review is to be made. `seed` None: drawn, and told by the result alone. `key`: asked
    for again with the same one, the same review is answered and none made."""

    pairs: int = PAIRS
    seed: int | None = None
    question: str = ""
    name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a sheet brought."""

    reviewer: str
    judged: int
    changed: int
    """Judged otherwise before by the same reviewer."""
    blank: int


def make(
    maestrale: Maestrale,
    job_id: str,
    models: Sequence[str] = (),
    pairs: int = PAIRS,
    seed: int | None = None,
    question: str = "",
    name: str = "",
    *,
    key: str = "",
) -> Review:
    """A review of an evaluation's answers; `models` may be left out where there are two.

    Raises `BadInputError` or `NotFoundError` where it cannot be made.
    """
    wish = Wish(pairs, seed, question, name, key)
    return Reviewing(maestrale).make(job_id, models, wish)


class Reviewing:
    """Reviews, through a client."""

    def __init__(self, maestrale: Maestrale) -> None:
        self._maestrale = maestrale

    def make(self, job_id: str, models: Sequence[str] = (), wish: Wish | None = None) -> Review:
        """Blinded pairs of two models' answers; rows where both said the same are left out."""
        wish = wish or Wish()
        job = self._maestrale.get(job_id)
        if known := self._made(wish):
            return known
        evaluating = Evaluating(self._maestrale)
        evaluation = evaluating.evaluation(job)
        if job.state not in SETTLED:
            raise BadInputError(
                f"{job.id} is {job.state}: review it when it is over (maestrale watch {job.id})"
            )
        pair = answered.two_of(evaluation, models)
        found = answered.candidates(evaluation, pair, evaluating.found(job))
        names = (pair[0].label, pair[1].label)
        return self._store(found, names, wish, job_id=job.id, usual=job.name)

    def make_from_files(
        self,
        left: str | Path,
        right: str | Path,
        models: Sequence[str] = (),
        wish: Wish | None = None,
    ) -> Review:
        """Blinded pairs of answers from two files. The files' names say nothing of sides."""
        wish = wish or Wish()
        if len(models) not in (0, 2) or len(set(models)) != len(models):
            raise BadInputError("name both files' models, or neither (--models A,B)")
        first, second = models or elsewhere.names_of(left, right)
        if known := self._made(wish):
            return known
        found = elsewhere.candidates(left, right, self._maestrale.settings.home / "staging")
        return self._store(found, (first, second), wish, job_id="", usual="review")

    def get(self, review_id: str) -> Review:
        """The review; any unique beginning of its id will do. Or `NotFoundError`."""
        with self._maestrale.store.read() as connection:
            found = reviews.get(connection, review_id)
            if found is None and review_id:
                full = review_id if review_id.startswith("rev_") else f"rev_{review_id}"
                alike = reviews.like(connection, full)
                found = reviews.get(connection, alike[0]) if len(alike) == 1 else None
        if found is None:
            raise NotFoundError(
                f"there is no review {printable(review_id)!r}: `maestrale review list` lists them"
            )
        return found

    def newest(self, *, job_id: str = "", limit: int = 50) -> list[Listed]:
        """The newest reviews first, with how far each is."""
        with self._maestrale.store.read() as connection:
            return reviews.newest(connection, job_id=job_id, limit=limit)

    def telling(self, review: Review) -> int:
        """Pairs in which an answer names one of the two models: reviewers may guess by that."""
        models = [name.partition("@")[0].casefold() for name in (review.first, review.second)]
        with self._maestrale.store.read() as connection:
            pairs = reviews.blinded(connection, review.id)
        texts = [f"{pair.left}\n{pair.right}".casefold() for pair in pairs]
        return sum(any(len(name) > 3 and name in text for name in models) for text in texts)

    def export(
        self, review_id: str, path: str | Path, *, reviewer: str = "", overwrite: bool = False
    ) -> Path:
        """Writes the sheet; with a reviewer's name in their order, with what they said so far."""
        review = self.get(review_id)
        with self._maestrale.store.read() as connection:
            pairs = reviews.blinded(connection, review.id)
            name = (
                reviews.known_as(connection, review.id, reviewer_of(reviewer)) if reviewer else ""
            )
            said = reviews.said(connection, review.id, name)
        if name:
            places = {no: place for place, no in enumerate(own_order(review.id, name, len(pairs)))}
            pairs = sorted(pairs, key=lambda pair: places[pair.no])
        told = {one.no: one for one in said}
        return sheets.write(path, review.id, pairs, told, overwrite=overwrite)

    def take_in(self, review_id: str, path: str | Path, reviewer: str) -> Imported:
        """Takes a filled sheet in, all of it or nothing; a later word replaces an earlier one."""
        review, name = self.get(review_id), reviewer_of(reviewer)
        staging = self._maestrale.settings.home / "staging"
        with self._maestrale.store.read() as connection:
            name = reviews.known_as(connection, review.id, name)
        sheet = sheets.read_filled(path, review.id, review.pairs_total, name, staging)
        with self._maestrale.store.write() as connection:
            before = {one.no: one.choice for one in reviews.said(connection, review.id, name)}
            if not reviews.judge(connection, review.id, sheet.said):
                raise NotFoundError(f"{review.id} was deleted meanwhile: nothing was taken in")
            crash_point("review.written")
        changed = sum(before.get(one.no, one.choice) != one.choice for one in sheet.said)
        return Imported(name, len(sheet.said), changed, sheet.blank)

    def result(self, review_id: str) -> Result:
        """Takes the blinds off. `BadInputError` before the first judgement."""
        require_libraries()
        review = self.get(review_id)
        with self._maestrale.store.read() as connection:
            said = reviews.said(connection, review.id)
            sides = reviews.sides(connection, review.id)
        return result_of(about(review), said, sides)

    def write_result(self, result: Result, folder: Path, *, overwrite: bool = False) -> list[str]:
        """Writes the result and every pair with its names; answers the files' names."""
        with self._maestrale.store.read() as connection:
            pairs = reviews.blinded(connection, result.review_id)
            sides = reviews.sides(connection, result.review_id)
            rows = reviews.row_ids(connection, result.review_id)
        return written.write(result, pairs, sides, rows, folder, overwrite=overwrite)

    def forget(self, review_id: str) -> Review:
        """Deletes a review with all that was said."""
        review = self.get(review_id)
        with self._maestrale.store.write() as connection:
            reviews.forget(connection, review.id)
        return review

    def _made(self, wish: Wish) -> Review | None:
        """What was made under the wish's key before."""
        _check(wish)
        if not wish.key:
            return None
        with self._maestrale.store.read() as connection:
            return reviews.get(connection, _id_of(wish))

    def _store(
        self,
        found: Iterable[Candidate],
        names: tuple[str, str],
        wish: Wish,
        *,
        job_id: str,
        usual: str,
    ) -> Review:
        seed = secrets.randbits(SEED_BITS) if wish.seed is None else wish.seed
        pairs, seen = choose(found, wish.pairs, seed)
        if not pairs:
            raise BadInputError(_nothing(names, seen.both))
        review = Review(
            id=_id_of(wish),
            name=" ".join(wish.name.split()) or usual,
            job_id=job_id,
            question=" ".join(wish.question.split()) or QUESTION,
            first=names[0],
            second=names[1],
            seed=seed,
            rows_both=seen.both,
            rows_alike=seen.alike,
            created_at=0.0,
        )
        with self._maestrale.store.write() as connection:
            return reviews.create(connection, review, pairs)


def about(review: Review) -> About:
    """What a result tells of its review."""
    told = review.model_dump()
    return About(**{name: told[name] for name in About.__dataclass_fields__})


def _id_of(wish: Wish) -> str:
    drawn = rank("review", wish.key) if wish.key else secrets.token_hex(_ID_LETTERS)
    return f"rev_{drawn[:_ID_LETTERS]}"


def _nothing(names: tuple[str, str], both: int) -> str:
    told = f"{names[0]} and {names[1]}"
    if not both:
        return f"there is no row that both {told} answered: there is nothing to judge"
    return f"{told} say the same in all {both:,} rows that both answered: there is nothing to judge"


def _check(wish: Wish) -> None:
    if not 1 <= wish.pairs <= MOST_PAIRS:
        raise BadInputError(f"a review has 1 to {MOST_PAIRS:,} pairs, not {wish.pairs}")
    if wish.seed is not None and not 0 <= wish.seed < 2**SEED_BITS:
        raise BadInputError(f"a seed is 0 to 2^{SEED_BITS} - 1, not {wish.seed}")
    if len(wish.question) > MOST_QUESTION or len(wish.name) > 100:
        raise BadInputError(f"a question has at most {MOST_QUESTION:,} letters, a name at most 100")
