"""Multiple choice with retrieval, end to end: 0 calls when repeated, killed and resumed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from builders import eventually

from models.states import JobState
from models.suites import load_suite
from models.suites.outcomes import Answer
from models.tables import Job
from models.vectors import Embedded, write_store
from producers.evaluating import Evaluating, Wish
from proving.stage import Stage
from simulator.content.embeddings import vector

OnStage = Callable[..., Stage]
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recipes" / "amira" / "sample.jsonl"
SMALL, LARGE = "mistral-small-latest", "mistral-large-latest"
DISEASES = ("Lymphoma", "Liver Neoplasms", "Atrial Fibrillation", "Glioblastoma", "Asthma")


def papers() -> list[dict[str, Any]]:
    return [json.loads(line) for line in islice(SAMPLE.read_text().splitlines(), 187)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The abstracts of the recipe's sample, embedded as the simulator would."""
    path = tmp_path / "papers.parquet"
    rows = (
        Embedded(doc["id"], json.dumps(doc), vector(f"{doc['title']}\n{doc['abstract']}"))
        for doc in papers()
    )
    write_store(path, rows, "mistral-embed")
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """40 questions on molecules that the abstracts name."""
    path = tmp_path / "questions.jsonl"
    named = [doc["molecules"][0] for doc in papers() if doc["molecules"]]
    with path.open("w") as out:
        for no, name in enumerate(named[:40]):
            options = {letter: DISEASES[(no + at) % 5] for at, letter in enumerate("ABCD")}
            question = f"Which of the following diseases is associated with {name}?"
            row = {
                "id": f"q{no}",
                "question": question,
                "options": options,
                "answer": "ABCD"[no % 4],
            }
            out.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def wish(store: Path, questions: Path) -> Wish:
    models = (SMALL, f"{LARGE}@lookup")
    return Wish("amira", models, data=str(questions), attempts=3, store=str(store))


def submitted(on: Stage, wish: Wish) -> Job:
    with (evaluating := Evaluating(on.client)).plan(wish) as plan:
        return evaluating.submit(plan, again=True)


def answers(on: Stage, job: Job) -> list[Answer]:
    rows = Evaluating(on.client).found(job)
    return [one for row in rows for one in row.outcomes if isinstance(one, Answer)]


def keyed(said: list[Answer]) -> list[tuple[object, ...]]:
    """What figures are made of, and the calls behind it."""
    return [(a.model, a.attempt, a.value, a.gold, a.order, a.retrieved, a.paid.keys) for a in said]


def test_an_exam_with_documents_is_answered_and_repeated_for_nothing(
    on_stage: OnStage, wish: Wish
) -> None:
    """Every answer has its letter, its order, its documents and its look-ups; asked again, nothing
    is called; one more model pays for itself alone."""
    on = on_stage(workers=2)
    job = on.client.wait(submitted(on, wish).id)
    assert (job.state, job.rows_done, job.rows_failed) == (JobState.SUCCEEDED, 40, 0)
    said = answers(on, job)
    assert len(said) == 40 * 2 * 3
    assert all(one.value in "ABCD" and not one.problem for one in said)
    shown = [one for one in said if one.model == SMALL]
    looked = [one for one in said if one.model != SMALL]
    assert all(0 < len(one.retrieved) <= 12 for one in said)
    assert all(one.retrieved[0]["why"] == "entity" and one.paid.calls == 1 for one in shown)
    assert all(one.paid.calls == 2 and len(one.lookups) == 1 for one in looked)
    assert [one.order for one in shown] == [one.order for one in looked]

    executed = on.stats()["executed"]
    again = on.client.wait(submitted(on, wish).id)
    assert (again.calls_made, on.stats()["executed"]) == (0, executed)
    assert keyed(answers(on, again)) == keyed(said)

    models = (*wish.models, f"{SMALL}@lookup")
    wider = Wish("amira", models, data=wish.data, attempts=3, store=wish.store)
    more = on.client.wait(submitted(on, wider).id)
    assert more.rows_done == 40
    by_model = {one: on.stats()["models"][one]["executed"] for one in (SMALL, LARGE)}
    assert by_model[LARGE] == 40 * 3 * 2
    assert by_model[SMALL] == 40 * 3 + 40 * 3 * 2


def test_a_killed_exam_resumes_and_pays_twice_only_what_was_in_flight(
    on_stage: OnStage, wish: Wish
) -> None:
    """kill -9 between look-ups: conversations begun are gone through again from the ledger."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=1500", workers=1)
    job = submitted(on, wish)
    eventually(lambda: on.stats()["executed"] > 60, "conversations have begun")
    on.kill("worker1")
    on.restart_workers()
    job = on.client.wait(job.id)
    assert (job.state, job.rows_done) == (JobState.SUCCEEDED, 40)
    assert all(one.value in "ABCD" for one in answers(on, job))
    distinct = {key for one in answers(on, job) for key in one.paid.keys}
    vectors = on.stats()["models"]["mistral-embed"]["executed"]
    assert on.stats()["executed"] - vectors <= len(distinct) + job.calls_doubtful


def test_a_changed_store_pauses_the_exam_and_its_return_resumes_it(
    on_stage: OnStage, wish: Wish, store: Path
) -> None:
    """Another content under the same path is never searched, and nothing is paid for it."""
    on = on_stage(workers=1)
    with submitted_while_away(store):
        job = None
        with (evaluating := Evaluating(on.client)).plan(wish) as plan:
            store.write_bytes(another(store))
            job = evaluating.submit(plan)
        eventually(lambda: on.client.get(job.id).state == JobState.PAUSED, "paused")
        paused = on.client.get(job.id)
        assert paused.state_reason.startswith("store: ")
        assert "another content" in paused.state_reason
        assert on.stats()["executed"] == 0
    on.client.resume(job.id)
    assert on.client.wait(job.id).rows_done == 40


@contextmanager
def submitted_while_away(store: Path) -> Iterator[None]:
    """Puts the store's content back at the end."""
    content = store.read_bytes()
    yield
    store.write_bytes(content)


def another(store: Path) -> bytes:
    """A store of one document."""
    beside = store.with_name("another.parquet")
    write_store(beside, [Embedded("x", "{}", [0.5] * 1024)], "mistral-embed")
    return beside.read_bytes()


def test_the_suite_that_is_shipped_offers_both_ways() -> None:
    """Documents at hand, or looked up by the model."""
    suite, rows = load_suite("amira")
    assert list(suite.prompts) == ["exam", "lookup"]
    assert suite.retrieval is not None
    assert suite.retrieval.tool is not None
    assert suite.retrieval.tool.prompts == ["lookup"]
    assert rows is not None
    assert rows.exists()
