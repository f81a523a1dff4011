"""The result of a review against figures worked by hand, and against what others published."""

import tracemalloc

import numpy as np
import pytest

from models.errors import BadInputError
from models.reviews import agreement
from models.reviews.results import About, Result, pairs_needed, result_of, share
from models.reviews.votes import Preferred, Said, Tally, Vote, majority, unblinded
from models.reviews.words import agreement_words, leaning_words, share_words

ABOUT = About("rev_1", "tone", "Which?", "tuned", "base", 50, 60, 3)


def result(said: list[Said], sides: dict[int, bool] | None = None) -> Result:
    """Of fifty pairs, on which the first model stands left in odd ones unless told otherwise."""
    return result_of(ABOUT, said, sides or {no: no % 2 == 1 for no in range(1, 51)})


def says(preferred: str, no: int, reviewer: str = "ada", comment: str = "") -> Said:
    """A judgement for a model, seen through the sides of `result`."""
    first_stands_left = no % 2 == 1
    if preferred == "tie":
        return Said(no, reviewer, "tie", comment)
    left = (preferred == "first") == first_stands_left
    return Said(no, reviewer, "left" if left else "right", comment)


def planted(won: int, tied: int, lost: int, reviewer: str = "ada") -> list[Said]:
    """So many pairs of each, in this order."""
    words = ["first"] * won + ["tie"] * tied + ["second"] * lost
    return [says(word, no, reviewer) for no, word in enumerate(words, 1)]


def test_the_headline_of_eurlex_worked_by_hand():
    """38 won, 9 tied, 3 lost: Wilson's interval of 38/50 is [62.6%, 85.7%] with z = 1.96.

    (38 + 1.9207) / 53.8415 = 0.74145; 1.96 sqrt(38*12/50 + 0.9604) / 53.8415 = 0.11557. The sign
    test of 38 to 3: 2 (C(41,0) + C(41,1) + C(41,2) + C(41,3)) / 2^41 = 2 * 11,522 / 2^41.
    """
    found = result(planted(38, 9, 3))
    counted = found.counted
    assert (counted.won.count, counted.tied.count, counted.lost.count) == (38, 9, 3)
    assert counted.won.low == pytest.approx(0.74145 - 0.11557, abs=2e-4)
    assert counted.won.high == pytest.approx(0.74145 + 0.11557, abs=2e-4)
    assert counted.p == pytest.approx(2 * 11_522 / 2**41)
    assert counted.won_of_decided.value == pytest.approx(38 / 41)
    assert share_words(counted.won) == "76.0% [62.6, 85.7] n=50"
    assert found.verdict == "38 won, 9 tied, 3 lost: tuned is preferred (p < 0.001, sign test)."


def test_who_wins_is_said_of_models_and_not_of_sides():
    """A reviewer who always points left prefers nobody where sides are balanced, and leans."""
    found = result([Said(no, "ada", "left") for no in range(1, 51)])
    assert (found.counted.won.count, found.counted.lost.count) == (25, 25)
    (ada,) = found.reviewers
    assert (ada.left.count, ada.left.n) == (50, 50)
    assert leaning_words(ada).endswith("(leans to one side)")
    assert "no preference can be told from chance" in found.verdict
    assert pairs_needed(found.counted) is None


def test_the_other_model_can_win():
    """Then it is the one that is named."""
    assert "base is preferred" in result(planted(3, 0, 20)).verdict


@pytest.mark.parametrize(("won", "tied", "lost"), [(5, 3, 0), (3, 40, 2), (0, 0, 1)])
def test_too_few_is_said_in_words(won: int, tied: int, lost: int):
    """Five heads in a row are nothing: 2/2^5 > 5%; ties do not count."""
    assert "too few to tell" in result(planted(won, tied, lost)).verdict


def test_six_in_a_row_are_enough():
    """2/2^6 = 3.1%."""
    assert "tuned is preferred (p = 0.031" in result(planted(6, 0, 0)).verdict


def test_all_ties_is_no_preference():
    """And no division by zero."""
    found = result(planted(0, 8, 0))
    assert found.counted.p is None
    assert "every pair is a tie" in found.verdict
    assert share_words(found.counted.won_of_decided) == "– n=0"


def test_how_many_pairs_would_tell():
    """6 of 10 decided: ((1.96/2 + 0.8416 sqrt(0.24)) / 0.1)^2 = 193.9, so 194 pairs without ties,
    and twice as many where every second pair is one."""
    assert pairs_needed(result(planted(6, 0, 4)).counted) == 194
    assert pairs_needed(result(planted(6, 10, 4)).counted) == 388


def test_nothing_judged_is_no_result():
    """Said, not divided by."""
    with pytest.raises(BadInputError, match="nobody has judged"):
        result([])


def test_several_reviewers_count_by_most_of_them():
    """Each pair once: two of three carry it, a draw is a tie, and is told."""
    said = [
        *[says("first", 1, name) for name in ("ada", "ben")],
        says("tie", 1, "cyd"),
        *[says("tie", 2, name) for name in ("ada", "ben")],
        says("first", 2, "cyd"),
        says("first", 3, "ada"),
        says("second", 3, "ben"),
        says("first", 4, "ada"),
    ]
    found = result(said)
    assert [pair.preferred for pair in found.pairs] == ["first", "tie", "tie", "first"]
    assert (found.pairs_judged, found.pairs_by_several, found.pairs_split) == (4, 3, 1)
    assert [one.judged for one in found.reviewers] == [4, 3, 2]
    assert "Reviewers are split on 1 pair," in " ".join(found.notes)
    assert "4 of 50 pairs are judged so far." in found.notes


def test_one_of_two_who_say_tie_makes_no_winner():
    """More than half is what it takes."""
    votes = unblinded([Said(1, "ada", "left"), Said(1, "ben", "tie")], {1: True})
    assert majority(votes) == Preferred.TIE


def test_rows_with_the_same_answer_twice_are_told():
    """They are in no share."""
    assert any("3 have the same answer twice" in note for note in result(planted(1, 0, 0)).notes)


def test_comments_come_with_their_pair():
    """And with whom the reviewer preferred."""
    found = result([says("second", 7, comment="too long")])
    (vote,) = found.comments
    assert (vote.no, vote.preferred, vote.comment) == (7, "second", "too long")


def votes_of(table: dict[str, str]) -> dict[int, list[Vote]]:
    """Votes by pair, of reviewers given as rows of letters: f, s, t, or . for none."""
    words = {"f": Preferred.FIRST, "s": Preferred.SECOND, "t": Preferred.TIE}
    found: dict[int, list[Vote]] = {}
    for reviewer, letters in table.items():
        for no, letter in enumerate(letters, 1):
            if letter != ".":
                vote = Vote(no, reviewer, "left", words[letter])
                found.setdefault(no, []).append(vote)
    return found


def test_two_reviewers_have_cohens_kappa():
    """20 of 25 and 15 of 25 the same, chance 0.5: kappa (0.7 - 0.5) / (1 - 0.5) = 0.4."""
    ada = "f" * 25 + "s" * 25
    ben = "f" * 20 + "s" * 5 + "f" * 10 + "s" * 15
    found = agreement.agreement(votes_of({"ada": ada, "ben": ben}))
    assert found.method == "Cohen's kappa"
    assert found.value == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert (found.pairs, found.same) == (50, 35)


def test_three_reviewers_have_krippendorffs_alpha_also_where_some_are_missing():
    """Worked by hand. Pair 1: f f s, pair 2: s s, pair 3: t t t, pair 4 by one alone.

    Coincidences: ff 1, fs 1, sf 1, ss 2, tt 3; n = 8, of f 2, s 3, t 3. Differing 2; expected
    64 - 22 = 42; alpha = 1 - 7 * 2 / 42 = 2/3.
    """
    table = {"ada": "fstf", "ben": "fst.", "cyd": "s.t."}
    found = agreement.agreement(votes_of(table))
    assert found.method == "Krippendorff's alpha"
    assert found.value == pytest.approx(2 / 3)
    assert (found.low, found.high) == (None, None)
    assert (found.pairs, found.same) == (3, 2)


def test_alpha_is_the_published_one():
    """Krippendorff 2011, section C: four observers, twelve units, gaps: nominal alpha 0.743."""
    observers = (
        "1  2  3  3  2  1  4  1  2  .  .  .",
        "1  2  3  3  2  2  4  1  2  5  .  3",
        ".  3  3  3  2  3  4  2  2  5  1  .",
        "1  2  3  3  2  4  4  1  2  5  1  .",
    )
    columns = zip(*(line.split() for line in observers), strict=True)
    units = [[word for word in column if word != "."] for column in columns]
    sums = agreement.coincidences([unit for unit in units if len(unit) > 1], list("12345")).sum(0)
    assert float(agreement.alpha(sums)) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_many_has_an_interval():
    """The bootstrap's, always the same one."""
    table = {"ada": "fst" * 10, "ben": "fst" * 9 + "tsf", "cyd": "fst" * 8 + "sfttsf"}
    found = agreement.agreement(votes_of(table))
    again = agreement.agreement(votes_of(table))
    assert found == again
    assert found.low < found.value < found.high


def test_the_interval_of_many_pairs_takes_little_memory():
    """It is worked out in the dashboard's process: 2,000 draws of 600 pairs are not held at once
    (they were 86 MB), and it is still the percentiles of alpha over pairs drawn again."""
    table = {"ada": "fst" * 200, "ben": "fst" * 180 + "tsf" * 20, "cyd": "fst" * 150 + "sft" * 50}
    votes = votes_of(table)
    tracemalloc.start()
    found = agreement.agreement(votes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    units = [[vote.preferred for vote in pair] for pair in votes.values()]
    tables = agreement.coincidences(units, list(Preferred))
    draws = np.random.default_rng(1).integers(0, len(tables), (2_000, len(tables)))
    of_draws = agreement.alpha(np.array([tables[draw].sum(axis=0) for draw in draws]))
    expected = np.quantile(of_draws, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(expected, abs=0.01)


def test_reviewers_who_never_differ_in_their_word_cannot_be_measured():
    """And it is said, not NaN."""
    found = agreement.agreement(votes_of({"ada": "ffffff", "ben": "ffffff"}))
    assert found.value is None
    assert "cannot be had" in agreement_words(result(planted(6, 0, 0) + planted(6, 0, 0, "ben")))[0]


def test_one_reviewer_agrees_with_nobody():
    """There is nothing to tell."""
    assert agreement.agreement(votes_of({"ada": "fst"})) is None


def test_wilson_is_statsmodels():
    """0 of 6: [0, 39.0%], as tables have it."""
    found = share(0, 6)
    assert found.low == pytest.approx(0.0, abs=1e-12)
    assert found.high == pytest.approx(0.3903, abs=1e-4)


def test_a_tally_counts():
    """Won, tied, lost; ties decide nothing."""
    assert (Tally(3, 2, 1).n, Tally(3, 2, 1).decided) == (6, 4)
