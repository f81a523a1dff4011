"""Reviews made of evaluations and of files: which rows, what is shown, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from review_builders import ALPHA, OMEGA, a_samples_evaluation, an_evaluation

from models.errors import BadInputError, NotFoundError
from models.store import reviews
from models.tables import Review
from producers.client import Maestrale
from producers.reviewing import Reviewing, make
from producers.reviewing.reviewing import Wish


def pairs_of(maestrale: Maestrale, review: Review) -> dict[str, tuple[str, str, str]]:
    """By row: what was asked, and the answers of the first and the second model."""
    with maestrale.store.read() as connection:
        shown = reviews.blinded(connection, review.id)
        sides = reviews.sides(connection, review.id)
        ids = reviews.row_ids(connection, review.id)
    return {
        ids[one.no]: (
            one.asked,
            *((one.left, one.right) if sides[one.no] else (one.right, one.left)),
        )
        for one in shown
    }


def test_rows_that_both_answered_differently_are_judged(maestrale: Maestrale):
    """Those with an unusable answer are not, nor those with the same answer twice."""
    job_id = an_evaluation(
        maestrale.store,
        [
            {ALPHA: "warm 0", OMEGA: "cold 0"},
            {ALPHA: "same", OMEGA: "same\n"},
            {ALPHA: None, OMEGA: "cold 2"},
            {ALPHA: "warm 3"},
            {ALPHA: " ", OMEGA: "cold 4"},
            {ALPHA: "warm 5", OMEGA: "cold 5"},
        ],
    )
    review = make(maestrale, job_id, [ALPHA, OMEGA], 50, 3, "Which is\nwarmer?\n", "tone of voice")
    assert (review.pairs_total, review.rows_both, review.rows_alike) == (2, 3, 1)
    assert (review.question, review.name, review.job_id) == (
        "Which is warmer?",
        "tone of voice",
        job_id,
    )
    assert (review.first, review.second, review.seed) == (ALPHA, OMEGA, 3)
    found = pairs_of(maestrale, review)
    assert {row: texts[1:] for row, texts in found.items()} == {
        "r0": ("warm 0", "cold 0"),
        "r5": ("warm 5", "cold 5"),
    }


def test_the_first_attempt_at_which_both_answered_is_judged(maestrale: Maestrale):
    """A model may fail at one and not at the next."""
    rows = [{ALPHA: [None, "warm, again"], OMEGA: ["cold", "cold, again"]}]
    review = make(maestrale, an_evaluation(maestrale.store, rows))
    assert pairs_of(maestrale, review)["r0"][1:] == ("warm, again", "cold, again")


def test_what_both_were_asked_is_shown(maestrale: Maestrale):
    """Of a model with guidelines and one without: what is common to both, and no guidelines."""
    names = ("base@guided", "tuned@terse")
    rows = [{names[0]: "a", names[1]: "b"}]
    told = a_samples_evaluation(names)
    review = make(maestrale, an_evaluation(maestrale.store, rows, evaluation=told))
    assert pairs_of(maestrale, review)["r0"][0] == "dry text 0"
    assert (review.first, review.second) == names


def test_a_row_is_shown_by_its_fields_where_prompts_have_nothing_in_common(maestrale: Maestrale):
    """But for the conversation in it, which holds the answer that was hoped for."""
    prompts = {"one": {"prompt": "A {{ row.text }}"}, "two": {"prompt": "B {{ row.text }}"}}
    told = a_samples_evaluation(("m@one", "m@two"), prompts=prompts)
    job_id = an_evaluation(maestrale.store, [{"m@one": "a", "m@two": "b"}], evaluation=told)
    assert pairs_of(maestrale, make(maestrale, job_id))["r0"][0] == "text: dry text 0"


def test_the_name_is_the_suites_and_the_seed_is_drawn(maestrale: Maestrale):
    """Another time it is another seed; the first two models are taken where there are only two."""
    job_id = an_evaluation(maestrale.store, [{ALPHA: "a", OMEGA: "b"}])
    one, other = make(maestrale, job_id), make(maestrale, job_id)
    assert one.name == "tone"
    assert one.id != other.id
    assert one.seed != other.seed
    assert (one.first, one.second) == (ALPHA, OMEGA)


def test_a_stage_that_is_repeated_makes_one_review(maestrale: Maestrale):
    """The same key, the same review, whatever else is asked."""
    job_id = an_evaluation(maestrale.store, [{ALPHA: "a", OMEGA: "b"}])
    one = make(maestrale, job_id, key="job_run/review")
    assert make(maestrale, job_id, pairs=2, key="job_run/review") == one
    assert make(maestrale, job_id, key="job_run/other").id != one.id


def test_two_of_three_models_have_to_be_named(maestrale: Maestrale):
    """And no other; nobody is compared with themselves."""
    told = a_samples_evaluation((ALPHA, OMEGA, "third"))
    job_id = an_evaluation(maestrale.store, [{ALPHA: "a", "third": "c"}], evaluation=told)
    assert make(maestrale, job_id, ["third", ALPHA]).first == "third"
    for named, said in (((), "name two of"), (("fourth", ALPHA), "did not ask 'fourth'")):
        with pytest.raises(BadInputError, match=said):
            make(maestrale, job_id, named)
    with pytest.raises(BadInputError, match="between two models"):
        make(maestrale, job_id, [ALPHA, ALPHA])


@pytest.mark.parametrize(
    ("rows", "state", "said"),
    [
        ([{ALPHA: "a", OMEGA: "a"}], "succeeded", "say the same in all 1 rows"),
        ([{ALPHA: "a", OMEGA: None}], "succeeded", "there is no row that both"),
        ([{ALPHA: "a", OMEGA: "b"}], "running", "is running: review it when it is over"),
    ],
)
def test_where_there_is_nothing_to_judge_it_is_said(
    maestrale: Maestrale, rows: Any, state: str, said: str
):
    """And no review is made."""
    job_id = an_evaluation(maestrale.store, rows, state=state)
    with pytest.raises(BadInputError, match=said):
        make(maestrale, job_id)
    assert Reviewing(maestrale).newest() == []


def test_numbers_that_make_no_sense_are_refused(maestrale: Maestrale):
    """Before anything is read."""
    job_id = an_evaluation(maestrale.store, [{ALPHA: "a", OMEGA: "b"}])
    for wish in (Wish(pairs=0), Wish(pairs=9_999), Wish(seed=-1), Wish(seed=2**53)):
        with pytest.raises(BadInputError):
            Reviewing(maestrale).make(job_id, (), wish)
    with pytest.raises(BadInputError, match="at most 1,000 letters"):
        Reviewing(maestrale).make(job_id, (), Wish(question="?" * 1_001))


def test_answers_that_name_a_model_are_told(maestrale: Maestrale):
    """In small letters too: reviewers may guess by them."""
    rows = [{ALPHA: "I am MODEL-ALPHA-7B.", OMEGA: "b"}, {ALPHA: "a", OMEGA: "c"}]
    reviewing = Reviewing(maestrale)
    assert reviewing.telling(make(maestrale, an_evaluation(maestrale.store, rows))) == 1


def test_a_review_is_found_by_any_beginning_of_its_id(maestrale: Maestrale):
    """That is unique; with `rev_` or without."""
    job_id = an_evaluation(maestrale.store, [{ALPHA: "a", OMEGA: "b"}])
    review, reviewing = make(maestrale, job_id), Reviewing(maestrale)
    assert reviewing.get(review.id[:9]) == reviewing.get(review.id[4:9]) == review
    make(maestrale, job_id)
    for unknown in ("rev_", "", "rev_zz", "job_1"):
        with pytest.raises(NotFoundError):
            reviewing.get(unknown)


# -- from elsewhere --------------------------------------------------------------------------------


def a_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_two_files_with_the_same_ids_make_a_review(maestrale: Maestrale, tmp_path: Path):
    """Rows of one alone are passed over; the left file's model is the first, whichever side."""
    left = a_file(
        tmp_path / "old.jsonl",
        [{"id": no, "question": f"q{no}", "answer": f"old {no}"} for no in range(8)],
    )
    right = a_file(
        tmp_path / "new.jsonl", [{"id": str(no), "text": f"new {no}"} for no in range(2, 12)]
    )
    review = Reviewing(maestrale).make_from_files(left, right, wish=Wish(seed=1))
    assert (review.first, review.second, review.job_id, review.name) == ("old", "new", "", "review")
    found = pairs_of(maestrale, review)
    assert found == {str(no): (f"q{no}", f"old {no}", f"new {no}") for no in range(2, 8)}
    with maestrale.store.read() as connection:
        assert set(reviews.sides(connection, review.id).values()) == {True, False}


def test_conversations_may_be_compared(maestrale: Maestrale, tmp_path: Path):
    """What the user said is the question, the last answer the answer."""

    def talk(answer: str) -> list[dict[str, Any]]:
        said = [("system", "be kind"), ("user", "Hm?"), ("assistant", answer)]
        return [{"id": "a", "messages": [{"role": r, "content": c} for r, c in said]}]

    left, right = a_file(tmp_path / "x.jsonl", talk("A")), a_file(tmp_path / "y.jsonl", talk("B"))
    review = Reviewing(maestrale).make_from_files(left, right, ["base", "tuned"])
    assert pairs_of(maestrale, review) == {"a": ("Hm?", "A", "B")}
    assert (review.first, review.second) == ("base", "tuned")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"answer": "x"}], "the field `id` is missing"),
        ([{"id": 1, "answer": ""}], "line 1: the row has no answer"),
        ([{"id": 1, "answer": "x"}, {"id": 1, "answer": "y"}], "in lines 1 and 2"),
        ([{"id": 9, "answer": "x"}], "there is no row that both"),
    ],
)
def test_files_that_cannot_be_compared_are_refused(
    maestrale: Maestrale, tmp_path: Path, rows: list[dict[str, Any]], said: str
):
    """By line, and nothing is made."""
    good = a_file(tmp_path / "good.jsonl", [{"id": 1, "answer": "z"}])
    bad = a_file(tmp_path / "bad.jsonl", rows)
    for left, right in ((good, bad), (bad, good)):
        with pytest.raises(BadInputError, match=said):
            Reviewing(maestrale).make_from_files(left, right)
    with pytest.raises(BadInputError, match="compared with itself"):
        Reviewing(maestrale).make_from_files(good, good)
    assert Reviewing(maestrale).newest() == []
