"""What a stage names by word counts by its content: datasets, stores, jobs."""

from pathlib import Path

import pytest
from builders import a_stored_job
from sqlalchemy import update

from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.store import jobs, vectors
from models.store.engine import Store
from models.tables import VectorStore
from producers import Maestrale
from producers.datasets.making import Wish, make
from producers.pipelines.given import asked_of, digest_of
from proving.pipelines_stage import edit, write_recipe

OUTPUTS = {
    "pairs": {"hash": "p", "job": "job_p", "records": "there.jsonl", "count": 1},
    "data": {"hash": "d", "name": "small-data"},
    "tuned": {"hash": "t", "model": "ft:x"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe's."""
    return write_recipe(tmp_path / "small")


def digest(maestrale: Maestrale, folder: Path, name: str) -> str:
    """What the stage is known by now."""
    told = RunSpec(pipeline=load_pipeline(str(folder)))
    return digest_of(maestrale, told, name, asked_of(told, name, OUTPUTS), OUTPUTS)


def a_dataset(maestrale: Maestrale, tmp_path: Path, answer: str) -> None:
    """`mine`, of one row; in place of the one before."""
    row = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "%s"}]}'
    source = tmp_path / "source.jsonl"
    source.write_text(row % answer + "\n")
    make(maestrale, "mine", Wish([str(source)], count_tokens=False, overwrite=True))


def a_store(store: Store, digest: str) -> None:
    """`papers`, embedded; in place of the one before."""
    usual = {"path": "/x", "model": "e", "dimensions": 2, "documents": 1, "job_id": "job_e"}
    with store.write() as connection:
        vectors.put(connection, VectorStore(name="papers", hash=digest, created_at=0.0, **usual))


def test_a_dataset_named_by_word(maestrale: Maestrale, folder: Path, tmp_path: Path) -> None:
    """One of another content under the same name is trained on."""
    edit(folder, "pipeline.toml", "{{ data.name }}", "mine")
    missing = digest(maestrale, folder, "tuned")
    a_dataset(maestrale, tmp_path, "one")
    before = digest(maestrale, folder, "tuned")
    assert before != missing
    assert digest(maestrale, folder, "tuned") == before
    a_dataset(maestrale, tmp_path, "two")
    assert digest(maestrale, folder, "tuned") != before


EXAM = 'kind = "evaluate"\nstore = "papers"'
RANKING = 'rank_by = "suite.toml:accuracy"\nranking = { store = "papers" }\nsweep = { lr = [1e-4] }'


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("exam", 'kind = "evaluate"', EXAM), ("tuned", 'steps = "{{ vars.steps }}"', RANKING)],
)
def test_a_store_named_by_word(
    maestrale: Maestrale, folder: Path, name: str, old: str, new: str
) -> None:
    """One of another content under the same name is searched, by exams and by rankings."""
    edit(folder, "pipeline.toml", old, new)
    a_store(maestrale.store, "a")
    before = digest(maestrale, folder, name)
    a_store(maestrale.store, "b")
    assert digest(maestrale, folder, name) != before


def test_a_store_that_the_suite_names(maestrale: Maestrale, folder: Path) -> None:
    """Counts as if the stage named it."""
    told = RunSpec(pipeline=load_pipeline(str(folder)))
    exam = told.pipeline.stage("exam")
    named = exam.model_copy(update={"suite": {**exam.suite, "retrieval": {"store": "papers"}}})
    told = RunSpec(pipeline=told.pipeline.model_copy(update={"stages": [named]}))
    asked = asked_of(told, "exam", OUTPUTS)
    a_store(maestrale.store, "a")
    before = digest_of(maestrale, told, "exam", asked, OUTPUTS)
    a_store(maestrale.store, "b")
    assert digest_of(maestrale, told, "exam", asked, OUTPUTS) != before


def test_a_job_named_by_word(maestrale: Maestrale, folder: Path) -> None:
    """One that has more done rows since makes another dataset."""
    job_id = a_stored_job(maestrale.store)
    edit(folder, "pipeline.toml", "{{ pairs.records }}", job_id)
    before = digest(maestrale, folder, "data")
    assert digest(maestrale, folder, "data") == before
    with maestrale.store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(rows_done=1))
    assert digest(maestrale, folder, "data") != before
