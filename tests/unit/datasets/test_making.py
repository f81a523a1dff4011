"""Making datasets: of files and jobs, shaped, filtered; whole or not at all."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, claimed, settled
from dataset_builders import a_chat, a_dataset, read_rows, some_chats, write_rows

from models.errors import BadInputError, NotFoundError, RejectedFileError, SetupError
from models.payloads import RowSettled, Succeeded
from models.settings import Settings
from producers import exports
from producers.client import Maestrale
from producers.datasets import Dataset, open_dataset
from producers.datasets.making import Wish, make
from producers.datasets.manifest import Filters, Shape

NEWS = Shape(prompt="News? {{ row.query }}", answer="{{ row.label }}")


@pytest.fixture
def maestrale(settings: Settings) -> Iterator[Maestrale]:
    """The client over the test's home."""
    settings.home.mkdir(parents=True)
    with Maestrale(settings) as client:
        yield client


@pytest.fixture
def finished(maestrale: Maestrale) -> str:
    """A job of two rows: one gave two conversations, the other one."""
    job_id = a_stored_job(maestrale.store, rows_count=2)
    held = claimed(maestrale.store, job_id)
    outcomes = [
        Succeeded([told("a"), told("b")], about([{"molecule": "miR-1"}, {"molecule": "miR-2"}])),
        Succeeded([told("c")], about([{"molecule": "miR-3"}])),
    ]
    rows = [RowSettled(*held, seq, outcome) for seq, outcome in enumerate(outcomes)]
    assert settled(maestrale.store, held, rows)
    return job_id


def told(answer: str) -> dict[str, Any]:
    """A record of a job: a conversation without an id."""
    return {"messages": a_chat("", f"the question of {answer}", answer)["messages"]}


def about(records: list[dict[str, Any]]) -> dict[str, Any]:
    """A row's provenance."""
    return {"recipe": "amira", "recipe_hash": "abc", "records": records, "calls": []}


def rejects_of(dataset: Dataset) -> dict[str, str]:
    """Code -> message of what was left out."""
    entries = read_rows(dataset.folder / "rejects.jsonl")
    return {entry["code"]: entry["message"] for entry in entries}


def test_a_job_becomes_rows_called_after_their_inputs(maestrale: Maestrale, finished: str) -> None:
    """With what its provenance tells of each record, to group by."""
    dataset = make(maestrale, "data", Wish(sources=[finished]))
    rows = list(dataset.rows("rows"))
    assert [row["id"] for row in rows] == ["r0#1", "r0#2", "r1"]
    assert rows[0]["meta"] == {"job": finished, "row": "r0", "molecule": "miR-1"}
    (origin,) = dataset.manifest.origin
    assert (origin.job, origin.recipe, origin.recipe_hash, origin.rows) == (
        finished,
        "amira",
        "abc",
        3,
    )


def test_an_export_tells_as_much_as_its_job(
    maestrale: Maestrale, finished: str, tmp_path: Path
) -> None:
    """The provenance file beside it names each line's input row."""
    path = tmp_path / "train.jsonl"
    exports.export(maestrale.results(finished), path, "chat")
    exports.write_provenance(maestrale.provenance(finished), path)
    rows = list(make(maestrale, "data", Wish(sources=[str(path)])).rows("rows"))
    assert [(row["id"], row["meta"]["row"]) for row in rows] == [
        ("r0#1", "r0"),
        ("r0#2", "r0"),
        ("r1", "r1"),
    ]
    assert rows[2]["meta"]["molecule"] == "miR-3"


def test_packed_files_are_read(maestrale: Maestrale, tmp_path: Path) -> None:
    """By their first bytes, as all inputs are."""
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(json.dumps(a_chat("a", "q", "a")).encode()))
    dataset = make(maestrale, "data", Wish(sources=[str(path)]))
    assert dataset.manifest.rows == 1
    assert len(dataset.manifest.origin[0].sha256) == 64


def test_the_same_id_in_two_files_is_two_rows_of_one_group(
    maestrale: Maestrale, tmp_path: Path
) -> None:
    """The second gets an id made of what it says, and still says which input it is of."""
    first = write_rows(tmp_path / "1.jsonl", [a_chat("p", "one question", "yes")])
    second = write_rows(tmp_path / "2.jsonl", [a_chat("p", "another thing", "no")])
    rows = list(make(maestrale, "data", Wish(sources=[first, second])).rows("rows"))
    assert rows[0]["id"] == "p"
    assert rows[1]["id"].startswith("p~")
    assert rows[1]["meta"]["row"] == "p"


def test_rows_without_ids_are_called_by_what_they_say(settings: Settings) -> None:
    """So that a row keeps its name, and its part, wherever it stands."""
    rows = [{k: row[k] for k in row if k != "id"} for row in some_chats(4)]
    ids = [row["id"] for row in a_dataset(settings, rows).rows("rows")]
    again = [row["id"] for row in a_dataset(settings, rows[::-1]).rows("rows")]
    assert again == ids[::-1]
    assert all(row_id.startswith("sha-") for row_id in ids)


def test_templates_make_conversations_and_keep_short_fields(settings: Settings) -> None:
    """What is long is in the prompt already."""
    rows = [{"id": "a", "query": "what is new " * 50, "label": "news", "year": 2026, "no": None}]
    (row,) = a_dataset(settings, rows, shape=NEWS).rows("rows")
    assert row == a_chat("a", f"News? {rows[0]['query']}", "news", label="news", year=2026)


def test_what_a_template_misses_is_named(settings: Settings) -> None:
    """Row by row, aside."""
    rows = [{"id": "a", "query": "?", "label": "x"}, {"id": "b", "query": "?"}]
    dataset = a_dataset(settings, rows, shape=NEWS)
    assert dataset.manifest.left_out == {"template": 1}
    told = "the field `label` is missing; the row has `id`, `query`"
    assert told in rejects_of(dataset)["template"]


def test_rows_keep_their_own_split(settings: Settings) -> None:
    """Under all the names that parts go by."""
    parts = ["train", "dev", "eval", "Test", "valid"]
    rows = [{**row, "split": part} for row, part in zip(some_chats(5), parts, strict=True)]
    dataset = a_dataset(settings, rows, shape=Shape(split_field="split"))
    counts = {part: about.rows for part, about in dataset.manifest.parts.items()}
    assert counts == {"train": 1, "validation": 3, "test": 1}
    rows[1]["split"] = "somewhere"
    with pytest.raises(BadInputError, match=r"`split` of the row r1 is 'somewhere'"):
        a_dataset(settings, rows, shape=Shape(split_field="split"))


def test_filters_count_by_reason(settings: Settings) -> None:
    """Each row is left out for the first rule that it breaks."""
    rows = [
        a_chat("good", "is this long enough?", "yes, it is", topic="t"),
        a_chat("short", "?", "!", topic="t"),
        a_chat("long", "q" * 500, "a", topic="t"),
        a_chat("bad", "is this long enough?", "As an AI model, I cannot", topic="t"),
        a_chat("bare", "is this long enough too?", "it is"),
        a_chat("tokens", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "yes", topic="t"),
    ]
    filters = Filters(
        min_chars=5, max_chars=200, max_tokens=30, forbid=["(?i)as an ai"], require_field=["topic"]
    )
    dataset = a_dataset(settings, rows, filters=filters)
    assert [row["id"] for row in dataset.rows("rows")] == ["good"]
    assert dataset.manifest.left_out == {
        "too_short": 1,
        "too_long": 1,
        "forbidden": 1,
        "missing_field": 1,
        "too_many_tokens": 1,
    }


def test_lines_that_cannot_be_read_are_aside_too(settings: Settings, tmp_path: Path) -> None:
    """With the readers' codes."""
    path = Path(write_rows(tmp_path / "x.jsonl", some_chats(40)))
    path.write_text(path.read_text() + "{broken\n")
    with Maestrale(settings) as maestrale:
        dataset = make(maestrale, "data", Wish(sources=[str(path)]))
    assert "broken_json" in rejects_of(dataset)
    assert dataset.manifest.origin[0].rejected == 1


@pytest.mark.parametrize(
    ("wish", "error", "told"),
    [
        ({"filters": Filters(forbid=["("])}, BadInputError, r"--forbid '\(' does not parse"),
        ({"filters": Filters(min_chars=10**6)}, BadInputError, "no row is left .* loosen"),
        ({"shape": Shape(prompt="{{")}, BadInputError, "go together"),
        ({"shape": Shape(prompt="{{", answer="x")}, BadInputError, "--prompt does not parse"),
        ({"threshold": 0.1}, BadInputError, "must be 0.5 to 1"),
        ({"sources": ["job_nope"]}, NotFoundError, "there is no job 'job_nope'"),
        ({"sources": ["nope"]}, NotFoundError, "no file and no job 'nope'"),
        ({"sources": ["nope.jsonl"]}, NotFoundError, "no file nope.jsonl"),
    ],
)
def test_a_wrong_wish_makes_nothing(
    settings: Settings, wish: dict[str, Any], error: type[Exception], told: str
) -> None:
    """And says what to do; no draft is left."""
    sources = [write_rows(settings.home.parent / "rows.jsonl", some_chats(3))]
    with Maestrale(settings) as maestrale, pytest.raises(error, match=told):
        make(maestrale, "data", Wish(**{"sources": sources, **wish}))
    home = settings.home / "datasets"
    assert not home.exists() or not list(home.iterdir())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        ('{"messages": "é"}'.encode("utf-16"), "UTF-16"),
        (b'[{"a": 1}]', "one JSON array"),
        (b'{"id": 1}\n{"id": 1}\n', "rows with the same id"),
        (b"{\n" * 30, "no row of"),
    ],
)
def test_bad_files_are_refused_as_all_inputs_are(
    settings: Settings, content: bytes, told: str
) -> None:
    """By the same readers."""
    path = settings.home.parent / "bad.jsonl"
    path.write_bytes(content)
    with Maestrale(settings) as maestrale, pytest.raises(RejectedFileError, match=told):
        make(maestrale, "data", Wish(sources=[str(path)]))


def test_rows_that_say_nothing_to_learn_are_named(settings: Settings) -> None:
    """Neither messages nor labels: the message lists what the row has."""
    dataset = a_dataset(settings, [a_chat("a", "q", "a"), {"id": "b", "title": "t"}])
    assert "`title`" in rejects_of(dataset)["shape"]


def test_two_kinds_of_rows_are_two_datasets(settings: Settings) -> None:
    """A model learns to talk, or to classify."""
    rows = [a_chat("a", "q", "a"), {"id": "b", "text": "t", "labels": {"x": "y"}}]
    with pytest.raises(BadInputError, match="make two datasets"):
        a_dataset(settings, rows)


def test_a_dataset_is_replaced_only_on_demand(settings: Settings) -> None:
    """And stays as it was where the new one fails."""
    before = a_dataset(settings, some_chats(3))
    with pytest.raises(BadInputError, match=r"is there already.*--overwrite"):
        a_dataset(settings, some_chats(9), overwrite=False)
    with pytest.raises(BadInputError, match="no row is left"):
        a_dataset(settings, [{"id": "a"}])
    assert open_dataset(settings, "data") == before
    assert a_dataset(settings, some_chats(9)).manifest.rows == 9


@pytest.mark.parametrize("name", ["", "../up", "Big", "a b", ".hidden", "x" * 65])
def test_names_are_plain(settings: Settings, name: str) -> None:
    """They become folders."""
    with Maestrale(settings) as maestrale, pytest.raises(BadInputError, match="cannot be called"):
        make(maestrale, name, Wish(sources=["x.jsonl"]))


def test_a_folder_of_other_things_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    """Even with --overwrite."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear diary")
    with Maestrale(settings) as maestrale, pytest.raises(BadInputError, match="holds no dataset"):
        make(maestrale, "data", Wish(sources=["x"], overwrite=True), tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").exists()


def test_a_disk_that_refuses_is_named(settings: Settings, tmp_path: Path) -> None:
    """As something to mend, not as a bug."""
    (tmp_path / "file").write_text("")
    source = write_rows(tmp_path / "rows.jsonl", some_chats(3))
    with Maestrale(settings) as maestrale, pytest.raises(SetupError, match="cannot be written"):
        make(maestrale, "data", Wish(sources=[source]), tmp_path / "file" / "below")


def test_a_dataset_is_found_by_name_and_by_path(settings: Settings, tmp_path: Path) -> None:
    """What is not there is told with what is."""
    dataset = a_dataset(settings, some_chats(3))
    assert open_dataset(settings, "data") == open_dataset(settings, dataset.folder) == dataset
    with pytest.raises(NotFoundError, match=r"no dataset 'other' \(there are: data\)"):
        open_dataset(settings, "other")
    (dataset.folder / "dataset.json").write_text("{}")
    with pytest.raises(BadInputError, match="is no manifest of a dataset"):
        open_dataset(settings, "data")
    with pytest.raises(BadInputError, match="has no part 'train'"):
        a_dataset(settings, some_chats(3)).ref()
