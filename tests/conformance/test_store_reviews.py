"""Reviews on both databases: stored once, judged by many at once, kept when jobs go."""

from builders import a_stored_job, at_once
from review_builders import a_review, judged, some_pairs
from sqlalchemy import event, update

from models.reviews.votes import Said
from models.store import jobs, reviews
from models.store.engine import Store
from producers.keeping import Pruner


def said(store: Store, review_id: str, reviewer: str | None = None) -> list[Said]:
    """What the store knows."""
    with store.read() as connection:
        return reviews.said(connection, review_id, reviewer)


def test_a_review_is_stored_with_its_pairs_once(store: Store) -> None:
    """Of the same id it stands as it stood, also when two make it at the same moment."""
    made = at_once(*[lambda: a_review(store, 3)] * 4)
    assert all(one == made[0] for one in made)
    assert (made[0].pairs_total, made[0].seed) == (3, 4_611_686_018)
    assert made[0].created_at > 1e9
    assert a_review(store, 7, name="another") == made[0]
    with store.read() as connection:
        pairs = reviews.blinded(connection, made[0].id)
        assert [pair.no for pair in pairs] == [1, 2, 3]
        assert reviews.blinded(connection, made[0].id, 2) == [pairs[1]]
        assert reviews.blinded(connection, made[0].id, 9) == []
        assert reviews.sides(connection, made[0].id) == {1: True, 2: False, 3: True}
        assert reviews.row_ids(connection, made[0].id)[3] == "row-of-the-data-3"


def test_a_large_seed_and_odd_letters_survive(store: Store) -> None:
    """53 bits; NUL and half letters, which one of the databases refuses, do not break it."""
    (pair,) = some_pairs(1)
    pair.left = "a\0b\ud800c  \n\n d"
    review = a_review(store, pairs=[pair], seed=2**53 - 1, name="nul\0")
    with store.read() as connection:
        (found,) = reviews.blinded(connection, review.id)
    assert review.seed == 2**53 - 1
    assert found.left == "a\ufffdb?c  \n\n d"


def test_the_later_word_counts(store: Store) -> None:
    """One judgement for a reviewer and a pair; those of others stay."""
    review = a_review(store)
    assert judged(store, review, Said(2, "ada", "left", "good"), Said(1, "ada", "tie"))
    assert judged(store, review, Said(2, "ada", "right"), Said(2, "ben", "tie", "hm\0m"))
    assert said(store, review.id) == [
        Said(1, "ada", "tie", ""),
        Said(2, "ada", "right", ""),
        Said(2, "ben", "tie", "hm\ufffdm"),
    ]
    assert [one.no for one in said(store, review.id, "ben")] == [2]


def test_a_pair_that_is_none_takes_all_of_them_with_it(store: Store) -> None:
    """Nothing half noted."""
    review = a_review(store, 4)
    assert not judged(store, review, Said(1, "ada", "left"), Said(5, "ada", "left"))
    assert said(store, review.id) == []


def test_several_reviewers_judge_at_once(store: Store) -> None:
    """Each all pairs, some twice: nothing is lost, nothing is mixed."""
    review = a_review(store, 12)
    names = ["ada", "ben", "cyd", "dag"]

    def judge(name: str, backwards: bool):
        def run() -> None:
            for no in sorted(range(1, 13), reverse=backwards):
                judged(store, review, Said(no, name, "left" if name < "c" else "right", name))

        return run

    at_once(*[judge(name, way) for name in names for way in (False, True)])
    found = said(store, review.id)
    assert len(found) == 48
    assert all(one.comment == one.reviewer for one in found)
    with store.read() as connection:
        assert reviews.progress(connection, [review.id]) == {
            review.id: dict.fromkeys(names, 12),
        }


def test_sheets_and_pages_may_judge_the_same_pairs_at_once(store: Store) -> None:
    """Many judgements in one transaction, in whatever order: nobody waits for ever."""
    review = a_review(store, 40)
    forth = [Said(no, "ada", "left") for no in range(1, 41)]
    back = [Said(no, "ada", "right") for no in range(40, 0, -1)]
    assert all(
        at_once(*[lambda: judged(store, review, *forth), lambda: judged(store, review, *back)] * 3)
    )
    assert len({one.choice for one in said(store, review.id)}) == 1


def test_a_name_is_one_whatever_its_capitals(store: Store) -> None:
    """As it was written first."""
    review = a_review(store)
    judged(store, review, Said(1, "Ada", "left"))
    with store.read() as connection:
        assert reviews.known_as(connection, review.id, "ADA") == "Ada"
        assert reviews.known_as(connection, review.id, "Ben") == "Ben"
        assert reviews.known_as(connection, "rev_other", "ADA") == "ADA"


def test_the_list_says_how_far_each_is(store: Store) -> None:
    """The newest first, or those of one job."""
    old, new = a_review(store), a_review(store, id="rev_9", job_id="job_b")
    judged(store, old, Said(1, "ada", "left"), Said(2, "ada", "left"), Said(1, "ben", "tie"))
    with store.read() as connection:
        found = reviews.newest(connection)
        assert [one.review.id for one in found] == [new.id, old.id]
        assert [dict(one.judged) for one in found] == [{}, {"ada": 2, "ben": 1}]
        assert [one.review.id for one in reviews.newest(connection, job_id="job_b")] == [new.id]
        assert reviews.newest(connection, job_id="job_c") == []
        assert reviews.like(connection, "rev_0") == [old.id]
        assert reviews.like(connection, "rev_%") == []


def test_what_reviewers_are_shown_is_read_without_the_sides(store: Store) -> None:
    """No statement behind a page of judging names the column; the one for results does."""
    review = a_review(store)
    told: list[str] = []
    listen = lambda _c, _u, statement, *_: told.append(statement)  # noqa: E731
    event.listen(store.engine, "before_cursor_execute", listen)
    try:
        with store.write() as connection:
            reviews.get(connection, review.id)
            reviews.blinded(connection, review.id)
            reviews.judge(connection, review.id, [Said(1, "ada", "left")])
            reviews.said(connection, review.id)
            reviews.newest(connection)
            reviews.known_as(connection, review.id, "ada")
            shown = len(told)
            reviews.sides(connection, review.id)
    finally:
        event.remove(store.engine, "before_cursor_execute", listen)
    assert not any("left_is_first" in statement for statement in told[:shown])
    assert "left_is_first" in told[-1]


def test_prune_forgets_the_job_and_keeps_the_judgements(store: Store) -> None:
    """People's work is not made again by asking for it; the pairs hold all that was judged."""
    job_id = a_stored_job(store, state="succeeded")
    review = a_review(store, job_id=job_id)
    judged(store, review, Said(1, "ada", "left", "clear"))
    with store.write() as connection:
        connection.execute(update(jobs.jobs).values(finished_at=1.0))
        connection.exec_driver_sql("UPDATE events SET relayed_at = 1")
    assert Pruner(store, 60.0).run().jobs == 1
    with store.read() as connection:
        assert jobs.get(connection, job_id) is None
        assert reviews.get(connection, review.id) == review
        assert len(reviews.blinded(connection, review.id)) == 4
    assert said(store, review.id) == [Said(1, "ada", "left", "clear")]


def test_forgotten_is_all_of_it(store: Store) -> None:
    """Pairs and judgements with the review; another review stays."""
    review, other = a_review(store), a_review(store, id="rev_9")
    judged(store, review, Said(1, "ada", "left"))
    judged(store, other, Said(1, "ada", "left"))
    with store.write() as connection:
        assert reviews.forget(connection, review.id)
        assert not reviews.forget(connection, review.id)
        assert reviews.blinded(connection, review.id) == []
        assert reviews.get(connection, other.id) == other
    assert said(store, review.id) == []
    assert len(said(store, other.id)) == 1
