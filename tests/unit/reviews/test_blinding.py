"""Sides and orders: balanced, drawn, and of no use to who wants to guess."""

import pytest

from models.errors import BadInputError
from models.reviews import balanced_sides, choice_of, comment_of, own_order, reviewer_of
from producers.reviewing.choosing import Candidate, choose

SEEDS = range(400)


def candidates(count: int, *, alike: int = 0) -> list[Candidate]:
    """Rows of which the first few have the same answer twice."""
    return [
        Candidate(f"r{no}", f"q{no}", f"a{no}", f"a{no} " if no < alike else f"b{no}")
        for no in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 50, 51])
def test_each_model_stands_left_in_half_of_the_pairs(count: int):
    """Of an odd number one more or one less, and which of the two is drawn."""
    lefts = {sum(balanced_sides(count, seed)) for seed in SEEDS}
    assert lefts == {count // 2, (count + 1) // 2}


def test_a_pairs_number_does_not_tell_who_stands_left():
    """At every place both sides come up as often as coins do; neighbours tell nothing either."""
    drawn = [balanced_sides(10, seed) for seed in SEEDS]
    for place in range(10):
        assert 150 < sum(sides[place] for sides in drawn) < 250
        assert 150 < sum(sides[place] == sides[place - 1] for sides in drawn) < 250 or place == 0
    assert len({tuple(sides) for sides in drawn}) > 100


def test_the_same_seed_makes_the_same_review():
    """In whatever order rows come; another seed makes another one."""
    rows = candidates(200)
    first, _ = choose(rows, 50, 7)
    again, _ = choose(reversed(rows), 50, 7)
    other, _ = choose(rows, 50, 8)
    assert first == again
    assert {pair.row_id for pair in first} != {pair.row_id for pair in other}
    assert [pair.no for pair in first] == list(range(1, 51))
    assert len({pair.row_id for pair in first}) == 50


def test_answers_stand_where_the_pair_says():
    """The first model's answer is left where `left_is_first` says so, and right elsewhere."""
    chosen, _ = choose(candidates(9), 9, 3)
    for pair in chosen:
        number = pair.row_id[1:]
        left, right = (pair.left, pair.right) if pair.left_is_first else (pair.right, pair.left)
        assert (left, right, pair.asked) == (f"a{number}", f"b{number}", f"q{number}")


def test_rows_with_the_same_answer_twice_are_left_out_and_counted():
    """Space around it makes no difference; fewer pairs than wished for is no error."""
    chosen, seen = choose(candidates(10, alike=4), 50, 0)
    assert (len(chosen), seen.both, seen.alike) == (6, 10, 4)
    assert not {pair.row_id for pair in chosen} & {"r0", "r1", "r2", "r3"}


def test_every_reviewer_has_an_order_of_their_own():
    """It is always the same one, by whatever letters the name is written, and has all pairs."""
    ada, ben = own_order("rev_1", "Ada", 50), own_order("rev_1", "Ben", 50)
    assert sorted(ada) == sorted(ben) == list(range(1, 51))
    assert ada != ben
    assert own_order("rev_1", "ADA", 50) == ada
    assert own_order("rev_2", "Ada", 50) != ada


def test_the_places_that_pages_know_say_nothing_of_sides():
    """Any pair may stand at any place of some reviewer's order, and the seed has no part in it."""
    orders = [own_order("rev_1", f"reviewer {no}", 8) for no in range(200)]
    for place in range(8):
        assert {order[place] for order in orders} == set(range(1, 9))


def test_words_for_choices():
    """As people write them into a sheet; anything else is none."""
    assert [choice_of(word) for word in ("Left", " r ", "TIE", "1", "0", "t")] == [
        "left",
        "right",
        "tie",
        "left",
        "tie",
        "tie",
    ]
    assert [choice_of(word) for word in ("", "first", "3", "leftright")] == [None] * 4


def test_a_reviewers_name_is_kept_in_one_way():
    """Spaces made single, letters composed; empty, endless or hidden ones are refused."""
    assert reviewer_of("  Ada   Lovelace ") == "Ada Lovelace"
    assert reviewer_of("Zoe\u0308") == "Zoë"
    for name in ("", "  ", "x" * 61, "a\x00b", "a\u202eb"):
        with pytest.raises(BadInputError):
            reviewer_of(name)


def test_a_comment_is_kept_as_lines():
    """Without what no database takes, and not without end."""
    assert comment_of(" a\r\nb\rc\0\ud800 ") == "a\nb\nc?"
    assert len(comment_of("x" * 9_999)) == 5_000
