"""Sheets: blinded on the way out, harmless in a spreadsheet, checked on the way in."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from review_builders import ALPHA, OMEGA, a_review, judged, some_pairs

from models.errors import BadInputError, MaestraleError, NotFoundError
from models.reviews import own_order
from models.reviews.votes import Said
from models.store import reviews
from models.tables import Review
from producers.client import Maestrale
from producers.reviewing import Reviewing

BOM = "\ufeff"


@pytest.fixture
def review(maestrale: Maestrale) -> Review:
    """Five pairs."""
    return a_review(maestrale.store, 5)


@pytest.fixture
def exported(
    maestrale: Maestrale, review: Review, tmp_path: Path
) -> Callable[..., list[list[str]]]:
    """Exports the review's sheet; its cells."""

    def export(**how: str) -> list[list[str]]:
        path = Reviewing(maestrale).export(review.id, tmp_path / "sheet.csv", overwrite=True, **how)
        text = path.read_text("utf-8")
        assert text.startswith(BOM)
        return list(csv.reader(io.StringIO(text.removeprefix(BOM), newline="")))

    return export


def said(maestrale: Maestrale, review: Review) -> list[Said]:
    """What the store knows."""
    with maestrale.store.read() as connection:
        return reviews.said(connection, review.id)


def a_sheet(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    """A filled sheet, as some program saved it."""
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def test_a_sheet_tells_nothing_of_models(exported: Callable[..., list[list[str]]], review: Review):
    """Neither names, nor rows, nor who stands left."""
    header, *lines = exported()
    assert header == ["id", "question", "left", "right", "choice", "comment"]
    assert [line[0] for line in lines] == [f"{review.id}-{no}" for no in range(1, 6)]
    text = str([header, *lines]).lower()
    for word in (ALPHA, OMEGA, "row-of", "first", "true", "false", str(review.seed), review.job_id):
        assert word not in text


def test_a_reviewers_sheet_is_in_their_order_with_what_they_said(
    maestrale: Maestrale, exported: Callable[..., list[list[str]]], review: Review
):
    """And with nobody else's word."""
    judged(maestrale.store, review, Said(3, "Ada", "tie", "=1+1"), Said(4, "ben", "left"))
    _, *lines = exported(reviewer="ada")
    order = own_order(review.id, "Ada", 5)
    assert [line[0] for line in lines] == [f"{review.id}-{no}" for no in order]
    assert [line[4:] for line in lines if any(line[4:])] == [["tie", "'=1+1"]]
    assert all(line[4] == "" for line in exported()[1:])


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", "\n=1"]
)
def test_no_answer_is_run_by_a_spreadsheet(maestrale: Maestrale, tmp_path: Path, text: str):
    """What could begin a formula has an apostrophe before it; lines and quotes stay."""
    (pair,) = some_pairs(1)
    pair.asked, pair.left, pair.right = text, f'"{text}";{text}\nnext, line', text
    review = a_review(maestrale.store, pairs=[pair])
    path = Reviewing(maestrale).export(review.id, tmp_path / "sheet.csv")
    _, line = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    assert line[1] == line[3] == "'" + text
    assert line[2] == f'"{text}";{text}\nnext, line'


def test_a_filled_sheet_comes_back(maestrale: Maestrale, exported, review: Review, tmp_path: Path):
    """Blank lines are not judged; a comment that was disarmed is as it was."""
    header, *lines = exported()
    for line, choice, comment in zip(
        lines, ("left", "Right ", "", "T", "2"), ("'=bad", "zwei\nZeilen", "", "", ""), strict=True
    ):
        line[4:] = [choice, comment]
    path = tmp_path / "filled.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    found = Reviewing(maestrale).take_in(review.id, path, " Ada  L ")
    assert (found.reviewer, found.judged, found.changed, found.blank) == ("Ada L", 4, 0, 1)
    assert said(maestrale, review) == [
        Said(1, "Ada L", "left", "=bad"),
        Said(2, "Ada L", "right", "zwei\nZeilen"),
        Said(4, "Ada L", "tie", ""),
        Said(5, "Ada L", "right", ""),
    ]
    again = Reviewing(maestrale).take_in(review.id, path, "ada l")
    assert (again.reviewer, again.judged, again.changed) == ("Ada L", 4, 0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", BOM])
def test_a_sheet_may_come_as_spreadsheets_save_it(
    maestrale: Maestrale, review: Review, tmp_path: Path, delimiter: str, end: str, start: str
):
    """With semicolons, Windows' line ends, a byte order mark; with columns left out or added."""
    rows = [["choice", "id", "mine"], ["left", f"{review.id}-2", "é"], ["", f"{review.id}-1", "x"]]
    lines = [delimiter.join(row) for row in rows]
    path = a_sheet(tmp_path / "s.csv", start + lines[0], *lines[1:], end=end)
    assert Reviewing(maestrale).take_in(review.id, path, "ada").judged == 1
    assert said(maestrale, review) == [Said(2, "ada", "left", "")]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["id,choice", "{0}-1,left", "{0}-6,left"], "line 3: .* is no pair of"),
        (["id,choice", "{0}-1,left", "rev_other-2,tie"], "line 3: 'rev_other-2' is no pair"),
        (["id,choice", "{0}-1,left", "{0}-2,both"], "line 3: 'both' is no choice: write left"),
        (["id,choice", "{0}-1,left", "{0}-1,tie"], "lines 2 and 3"),
        (["id,choice", "{0}-1,left", "{0}-01,tie"], "judges pair 1 twice"),
        (["id,choice", "{0}-1,left", ",tie"], "line 3"),
        (["id,choice", "{0}-1,left", "{0}-2"], "line 3"),
        (["id,word", "{0}-1,left", "{0}-2,left"], "no column `choice`"),
        (["no,choice", "{0}-1,left", "{0}-2,left"], "the field `id` is missing"),
        (["id,id,choice", "{0}-1,{0}-1,left"], "names `id` twice"),
    ],
)
def test_a_wrong_line_takes_the_whole_sheet_with_it(
    maestrale: Maestrale, review: Review, tmp_path: Path, lines: list[str], told: str
):
    """It is named, and nothing is taken in."""
    path = a_sheet(tmp_path / "s.csv", *(line.format(review.id) for line in lines))
    with pytest.raises(BadInputError, match=told) as refused:
        Reviewing(maestrale).take_in(review.id, path, "ada")
    assert refused.value.exit_code == 2
    assert said(maestrale, review) == []


def test_a_line_that_is_there_twice_is_told_with_what_helps(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """An import has no `on_duplicate`."""
    lines = ("id,choice", f"{review.id}-1,left", f"{review.id}-1,tie")
    with pytest.raises(BadInputError, match="leave one line of each") as refused:
        Reviewing(maestrale).take_in(review.id, a_sheet(tmp_path / "s.csv", *lines), "ada")
    assert "on_duplicate" not in str(refused.value)


def test_every_wrong_line_is_named_but_not_without_end(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """Ten of them, and how many more."""
    lines = [f"{review.id}-{no},left" for no in range(6, 20)]
    with pytest.raises(BadInputError, match=r"line 11: .*; and 4 more lines"):
        Reviewing(maestrale).take_in(
            review.id, a_sheet(tmp_path / "s.csv", "id,choice", *lines), "a"
        )


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_another_encoding_is_refused_in_words(
    maestrale: Maestrale, review: Review, tmp_path: Path, encoding: str
):
    """With what converts it."""
    lines = ("id,choice,comment", f"{review.id}-1,left,schön", f"{review.id}-2,left,à")
    path = a_sheet(tmp_path / "s.csv", *lines, encoding=encoding)
    with pytest.raises(BadInputError, match="iconv"):
        Reviewing(maestrale).take_in(review.id, path, "ada")
    assert said(maestrale, review) == []


def test_what_cannot_be_named_is_refused(maestrale: Maestrale, review: Review, tmp_path: Path):
    """A reviewer without a name, a review or a file that is not there, a file that is."""
    reviewing = Reviewing(maestrale)
    path = a_sheet(tmp_path / "s.csv", "id,choice", f"{review.id}-1,left")
    for refused, kind in (
        (lambda: reviewing.take_in(review.id, path, " "), BadInputError),
        (lambda: reviewing.take_in("rev_x", path, "ada"), NotFoundError),
        (lambda: reviewing.take_in(review.id, tmp_path / "none.csv", "ada"), NotFoundError),
        (lambda: reviewing.export(review.id, path), BadInputError),
        (lambda: reviewing.export(review.id, tmp_path / "no" / "s.csv"), MaestraleError),
    ):
        with pytest.raises(kind):
            refused()
    assert path.read_text().startswith("id,choice")


@pytest.mark.parametrize("marks", [1, 2])
def test_a_sheet_that_was_read_and_written_with_plain_csv_is_taken_in(
    maestrale: Maestrale, review: Review, tmp_path: Path, marks: int
):
    """The byte order mark is then a part of the first name, and its quotes are, too."""
    path = Reviewing(maestrale).export(review.id, tmp_path / "out.csv")
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert header[0] == f'{BOM}"id"'
    for line in lines:
        line[4] = "tie"
    with (tmp_path / "back.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(BOM * (marks - 1))
        csv.writer(file).writerows([header, *lines])
    imported = Reviewing(maestrale).take_in(review.id, tmp_path / "back.csv", "ada")
    assert (imported.judged, imported.blank) == (5, 0)


def test_doubled_marks_before_a_sheet_do_not_matter(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """Programs add one to what has one."""
    path = a_sheet(tmp_path / "s.csv", f'{BOM}{BOM}"id","choice"', f'"{review.id}-1","left"')
    assert Reviewing(maestrale).take_in(review.id, path, "ada").judged == 1


def test_a_refused_sheet_is_not_said_to_have_enqueued_nothing(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """A review has no queue."""
    for lines in (("number,choice", "1,left"), ("id,choice", "1,left", "1,left")):
        with pytest.raises(BadInputError, match=r"No line of it was taken in\.$"):
            Reviewing(maestrale).take_in(review.id, a_sheet(tmp_path / "s.csv", *lines), "ada")


def test_a_sheet_of_another_review_is_called_so(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """Once, and not line by line."""
    other = a_review(maestrale.store, 4, id="rev_bbbbbbbbbb")
    path = Reviewing(maestrale).export(other.id, tmp_path / "other.csv")
    with pytest.raises(
        BadInputError, match=f"is a sheet of {other.id}, not of {review.id}"
    ) as told:
        Reviewing(maestrale).take_in(review.id, path, "ada")
    assert "no pair" not in str(told.value)


def test_a_sheet_that_is_there_is_kept_and_the_option_is_named(
    maestrale: Maestrale, review: Review, tmp_path: Path
):
    """What replaces it is `--overwrite`."""
    path = a_sheet(tmp_path / "s.csv", "mine")
    with pytest.raises(BadInputError, match="--overwrite"):
        Reviewing(maestrale).export(review.id, path)
