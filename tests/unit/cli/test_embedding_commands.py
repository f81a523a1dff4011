"""`maestrale embed`, `stores`, and the export of what was embedded, over a home of its own."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, claimed, done, failed, settled
from cli_builders import Ended

from models.embedding import Embedding
from models.errors import BadInputError
from models.payloads import JobSpec, Succeeded
from models.settings import Settings
from models.states import JobKind
from models.store.engine import Store
from models.vectors import describe, read_store, to_text
from producers import Maestrale
from producers.embedding import Embeddings, Wish, stores
from producers.embedding.embedding import embedding_of, store_name

Run = Callable[..., Ended]
TEXT = ("--text", "{{ row.text }}")


@pytest.fixture
def texts(tmp_path: Path) -> str:
    """130 rows and one without a text."""
    path = tmp_path / "My texts.jsonl"
    rows = [
        json.dumps({"id": f"r{number}", "text": "four words are here"}) for number in range(130)
    ]
    path.write_text("\n".join([*rows, '{"id": "empty"}']) + "\n")
    return str(path)


@pytest.fixture
def embedded(user_store: Store) -> str:
    """A finished job: two documents embedded, one failed."""
    told = Embedding(model="m", text="{{ row.id }}", store="docs")
    spec = JobSpec(embedding=told).model_dump_json()
    more = {"kind": JobKind.EMBED, "spec": spec, "estimate": "{}", "max_failed_share": 0.5}
    job_id = a_stored_job(user_store, rows_count=3, shard_size=3, name="docs", **more)
    held = claimed(user_store, job_id)
    outcomes = [failed(held, 1)]
    for seq in (0, 2):
        record = {"vector": to_text([float(seq), 1.0]), "dimensions": 2}
        outcomes.append(done(held, seq, outcome=Succeeded([record])))
    assert settled(user_store, held, outcomes)
    return job_id


@pytest.fixture
def client(home: Path) -> Iterator[Maestrale]:
    """The client of that home."""
    with Maestrale(Settings(_env_file=None)) as opened:
        opened.migrate()
        yield opened


def test_a_dry_run_tells_texts_tokens_cost_and_requests(run: Run, texts: str):
    """Calls are texts; that they travel together is said beside, and rejected rows are counted."""
    ended = run("embed", texts, *TEXT, "--dry-run")
    assert ended.code == 0
    assert "Nothing was submitted or paid" in ended.out
    assert "texts travel together: about 3 requests" in ended.out
    told = run("embed", texts, *TEXT, "--dry-run", "--json").facts
    assert told["estimate"]["calls"] == 130
    assert told["estimate"]["completion_tokens"] == 0
    assert 130 * 3 <= told["estimate"]["prompt_tokens"] <= 130 * 7
    assert told["estimate"]["cost_usd"] == told["estimate"]["prompt_tokens"] * 1e-7
    assert told["input"]["rejected"] == 1


def test_the_time_is_that_of_requests_not_of_texts(
    run: Run, texts: str, monkeypatch: pytest.MonkeyPatch
):
    """At 60 requests a minute, 130 short texts take two seconds and not two minutes."""
    monkeypatch.setenv("MAESTRALE_LIMITS", "*=60/min")
    told = run("embed", texts, *TEXT, "--dry-run", "--json").facts
    assert told["estimate"]["seconds"] == pytest.approx(130 / 64)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "say what is embedded of a row, once"),
        ((*TEXT, "--text-file", "t.txt"), "say what is embedded of a row, once"),
        (("--text-file", "nowhere.txt"), "cannot be read"),
        (("--text", "text"), "is the same for every row"),
        (("--text", "{{ text }}"), "'text' is not known here"),
        (("--text", "{{ row.text"), "the template of the text"),
        ((*TEXT, "--store", "../etc"), "is no name for a store"),
        ((*TEXT, "--out", "vectors.csv"), "a store is a Parquet file"),
        ((*TEXT, "--out", "no/such/folder/v.parquet"), "there is no folder"),
        ((*TEXT, "--on-timeout", "realtime"), "--on-timeout goes with"),
        ((*TEXT, "--model", " "), "name is empty"),
        (("--text", "{{ row.title }}"), "title"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_submitted(
    run: Run, texts: str, options: tuple[str, ...], words: str
):
    """Exit code 2, what is wrong and what to do."""
    ended = run("embed", texts, *options)
    assert ended.code == 2
    assert words in " ".join(ended.err.split())
    assert run("jobs", "--json").facts == []


def test_a_detached_job_says_how_to_get_its_store(run: Run, texts: str, tmp_path: Path):
    """The template may come from a file; the same again is refused, as every submission is."""
    template = tmp_path / "text.txt"
    template.write_text("title: {{ row.text }}\n")
    submit = ("embed", texts, "--text-file", str(template), "--detach")
    ended = run(*submit)
    (job,) = run("jobs", "--json").facts
    assert (job["kind"], job["name"], job["rows"]["total"]) == ("embed", "my-texts", 130)
    assert f"maestrale export {job['id']}" in ended.out
    assert "was submitted with this text and model before" in " ".join(run(*submit).err.split())
    ended = run("export", job["id"])
    assert (ended.code, "its store is written when it is over" in ended.err) == (2, True)


def test_a_store_is_written_registered_and_listed(run: Run, embedded: str, home: Path):
    """Of the done rows; what failed is said. Written again it is the same."""
    assert "There are no stores yet" in run("stores").out
    first = run("export", embedded, "--json")
    assert "1 of 3 rows failed" in first.err
    told = first.facts
    path = home / "stores" / "docs.parquet"
    assert (told["name"], told["documents"], told["dimensions"]) == ("docs", 2, 2)
    assert Path(told["path"]) == path.resolve()
    assert read_store(path).ids == ["r0", "r2"]
    assert read_store(path).doc(1) == {"id": "r2"}
    assert run("export", embedded, "--json").facts["hash"] == told["hash"]
    (listed,) = run("stores", "--json").facts
    assert listed["hash"] == told["hash"]
    assert "docs" in run("stores").out


def test_a_store_may_lie_elsewhere_and_vectors_be_read_as_json(
    run: Run, embedded: str, tmp_path: Path
):
    """Parquet is the store; JSON lines are for others; all else says what to choose."""
    out = tmp_path / "v.parquet"
    assert run("export", embedded, "--out", str(out), "--json").facts["path"] == str(out)
    assert describe(out).documents == 2
    assert run("export", embedded, "--out", str(out)).code == 2
    assert run("export", embedded, "--out", str(out), "--overwrite").code == 0
    lines = tmp_path / "v.jsonl"
    assert run("export", embedded, "--out", str(lines), "--json").facts["documents"] == 2
    assert json.loads(lines.read_text().splitlines()[1]) == {
        "id": "r2",
        "doc": {"id": "r2"},
        "vector": [2.0, 1.0],
    }
    ended = run("export", embedded, "--format", "csv")
    assert (ended.code, "choose parquet" in ended.err) == (2, True)


def test_watch_and_show_know_the_kind(run: Run, embedded: str):
    """They are as for any job, but for what to do next."""
    ended = run("watch", embedded)
    assert (ended.code, f"maestrale export {embedded}\n" in ended.out) == (0, True)
    assert run("show", embedded, "--json").facts["kind"] == "embed"


def test_a_store_is_found_by_its_name_or_its_file(client: Maestrale, embedded: str):
    """One whose file is another than its job wrote is refused, with how to mend it."""
    written = Embeddings(client).store(client.get(embedded))
    found = stores.find(client, "docs")
    assert (str(found.path), found.facts.hash) == (written.path, written.hash)
    assert stores.find(client, written.path) == found
    with pytest.raises(BadInputError, match="there is no store 'nothing'"):
        stores.find(client, "nothing")
    other = Path(written.path).with_name("other.parquet")
    stores.write_store(other, [stores.Embedded("x", "{}", [1.0, 2.0])], "m")
    other.replace(written.path)
    with pytest.raises(BadInputError, match=f"maestrale export {embedded}"):
        stores.find(client, "docs")


def test_names_follow_from_files():
    """Plain ones, whatever the file is called."""
    names = {
        "data/Papers 2026.jsonl.gz": "papers-2026",
        "-": "documents",
        "ÄÖ.csv": "documents",
        "a_b.parquet": "a-b",
    }
    assert {source: store_name(source) for source in names} == names


def test_what_is_embedded_where_is_part_of_the_hash():
    """Another model, text or store is another submission."""
    wish = Wish("f.jsonl", "{{ row.text }}")
    changes: list[dict[str, Any]] = [
        {},
        {"model": "other"},
        {"text": "{{ row.title }}"},
        {"store": "s"},
        {"path": Path("x.parquet")},
    ]
    hashes = [embedding_of(replace(wish, **change)).hash for change in changes]
    assert len(set(hashes)) == len(hashes)
