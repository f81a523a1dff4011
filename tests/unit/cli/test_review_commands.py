"""`maestrale review ...` from making to the result, in this process."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended
from review_builders import ALPHA, OMEGA, a_review, an_evaluation, judged

from models.reviews.votes import Said
from models.store import reviews
from models.store.engine import Store

Run = Callable[..., Ended]


def planted(store: Store, count: int = 50) -> str:
    """An evaluation in which everything can be told apart."""
    return an_evaluation(store, [{ALPHA: f"good {no}", OMEGA: f"bad {no}"} for no in range(count)])


def fill(sheet: Path, choose: Callable[[str, str], str]) -> None:
    """Fills a sheet by what stands left and right."""
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        header, *lines = csv.reader(file)
    for line in lines:
        line[4] = choose(line[2], line[3])
    with sheet.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *lines])


def test_a_review_by_sheet_from_beginning_to_end(run: Run, user_store: Store, home: Path):
    """A reviewer who sees what is good: 50 of 50, [92.9%, 100%], p < 0.001; files beside it."""
    job_id = planted(user_store)
    made = run("review", "make", job_id, "--models", f"{ALPHA},{OMEGA}", "--question", "Which?")
    assert made.code == 0, made.err
    review_id = run("review", "list", "--json").facts[0]["id"]
    assert review_id in made.out
    assert "50 rows that both answered" in made.out
    assert run("review", "export", review_id, "--out", "s.csv").code == 0
    fill(Path("s.csv"), lambda left, _right: "left" if left.startswith("good") else "right")
    taken = run("review", "import", review_id, "s.csv", "--reviewer", "Ada")
    assert (taken.code, "50 pairs judged by Ada" in taken.out) == (0, True), taken.err
    result = run("review", "result", review_id, "--out", "found")
    assert result.code == 0, result.err
    flat = " ".join(result.out.split())
    assert f"50 won, 0 tied, 0 lost: {ALPHA} is preferred (p < 0.001, sign test)." in flat
    assert "100.0% [92.9, 100.0] n=50" in flat
    facts = json.loads(Path("found/result.json").read_text())
    assert facts["counted"]["won"]["count"] == 50
    assert f"against {OMEGA}" in Path("found/result.md").read_text()
    assert "row" in Path("found/pairs.csv").read_text("utf-8-sig").splitlines()[0]
    again = run("review", "result", review_id, "--out", "found")
    assert (again.code, "--overwrite" in again.err or "overwrite" in again.err) == (2, True)


def test_before_the_result_nothing_tells_the_sides(run: Run, user_store: Store):
    """Neither words nor facts hold the seed or a side."""
    job_id = planted(user_store, 8)
    facts = run("review", "make", job_id, "--seed", "4242", "--json").facts
    assert facts["pairs_total"] == 8
    told = json.dumps(facts) + run("review", "list", "--json").out + run("review", "list").out
    assert "4242" not in told
    assert "left_is_first" not in told
    assert facts["pairs_that_name_a_model"] == 0


def test_answers_from_elsewhere_are_reviewed_too(run: Run, user_store: Store):
    """Two files, named as the user says."""
    for name in ("a", "b"):
        rows = [{"id": no, "question": "?", "answer": f"{name} {no}"} for no in range(3)]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ("--left-file", "a.jsonl", "--right-file", "b.jsonl")
    facts = run("review", "make", *files, "--models", "base,tuned", "--json").facts
    assert (facts["first"], facts["second"], facts["pairs_total"]) == ("base", "tuned", 3)
    assert run("review", "make", *files, "--models", "base").code == 2


def test_the_seed_is_told_with_the_result(run: Run, user_store: Store):
    """So that the review can be made again."""
    review = a_review(user_store, 4)
    judged(user_store, review, Said(1, "ada", "left", "clear [bold]"), Said(2, "ben", "right"))
    found = run("review", "result", review.id, "--json").facts
    assert found["seed"] == review.seed
    assert [one["reviewer"] for one in found["reviewers"]] == ["ada", "ben"]
    told = run("review", "result", review.id[:8]).out
    assert "clear [bold]" in told
    assert "too few to tell" in told


def test_the_list_says_who_judged_how_many(run: Run, user_store: Store):
    """And how to make the first one."""
    assert "maestrale review make JOB" in run("review", "list").out
    review = a_review(user_store, 4)
    judged(user_store, review, Said(1, "ada", "left"), Said(2, "ada", "right"))
    told = run("review", "list").out
    assert review.id in told
    assert "ada 2" in told
    assert run("review", "list", "--json").facts[0]["judged"] == {"ada": 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make"], "give an evaluation's job"),
        (["make", "job_x", "--left-file", "a", "--right-file", "b"], "give an evaluation's job"),
        (["make", "--left-file", "a"], "give an evaluation's job"),
        (["make", "job_x"], "there is no job"),
        (["result", "rev_x"], "there is no review"),
        (["export", "rev_x", "--out", "s.csv"], "there is no review"),
        (["import", "rev_x", "s.csv", "--reviewer", "a"], "there is no review"),
        (["forget", "rev_x", "--yes"], "there is no review"),
    ],
)
def test_what_cannot_be_done_ends_with_two(
    run: Run, user_store: Store, arguments: list[str], said: str
):
    """And says why."""
    ended = run("review", *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_a_result_of_nothing_ends_with_two(run: Run, user_store: Store):
    """Nobody has judged yet."""
    ended = run("review", "result", a_review(user_store).id)
    assert (ended.code, "nobody has judged" in ended.err) == (2, True)


def test_without_the_libraries_it_says_what_to_install(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Exit code 2, and the extra's name."""
    review = a_review(user_store)
    judged(user_store, review, Said(1, "ada", "left"))
    monkeypatch.setattr("models.extras.missing", list)
    ended = run("review", "result", review.id)
    assert ended.code == 2
    assert "pip install 'maestrale[evaluate]'" in ended.err


def test_a_review_is_forgotten_only_when_it_is_meant(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Asked, or said by --yes."""
    review = a_review(user_store)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("review", "forget", review.id).code != 0
    with user_store.read() as connection:
        assert reviews.get(connection, review.id) is not None
    assert run("review", "forget", review.id, "--yes").code == 0
    assert run("review", "list", "--json").facts == []
