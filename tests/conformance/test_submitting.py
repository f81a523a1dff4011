"""Submitting, on SQLite and PostgreSQL: the same wish twice, at once and one after the other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from builders import a_submission

from models.errors import BadInputError, DuplicateJobError
from models.payloads import Estimate, JobSpec, Options
from models.recipes import load_recipe
from models.states import JobKind, JobState
from models.store import jobs
from models.store.engine import Store
from producers.readers import ReadOptions, ReadResult, read
from producers.submitting import Submission, shard_size, submit

NOTHING = Estimate(
    rows=0, calls=0, prompt_tokens=0, completion_tokens=0, cost_usd=None, seconds=None
)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[ReadResult]:
    """Thirty rows, read."""
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(f'{{"id": "r{n}", "text": "Text {n}."}}\n' for n in range(30)))
    with read(source, ReadOptions(), tmp_path / "staging") as result:
        yield result


def wish(**changes: object) -> Submission:
    """A submission of the recipe `translate`."""
    return a_submission(**{"recipe": load_recipe("translate"), "estimate": NOTHING, **changes})


def test_the_same_key_twice_is_one_job(store: Store, found: ReadResult) -> None:
    """An idempotency key names its job for ever; the second submit creates nothing."""
    first, is_new = submit(store, wish(idempotency_key="k"), found)
    again, is_new_again = submit(store, wish(idempotency_key="k"), found)
    assert (is_new, is_new_again, first.id) == (True, False, again.id)


def test_the_same_key_with_another_wish_is_an_error(store: Store, found: ReadResult) -> None:
    """A key cannot come to mean something else."""
    submit(store, wish(idempotency_key="k"), found)
    with pytest.raises(DuplicateJobError, match="another key"):
        submit(store, wish(idempotency_key="k", options=Options(fresh=True)), found)


def test_the_same_file_twice_names_the_first_job(store: Store, found: ReadResult) -> None:
    """Without --again the second submission says which job exists."""
    first, _ = submit(store, wish(), found)
    with pytest.raises(DuplicateJobError, match=first.id):
        submit(store, wish(), found)
    second, _ = submit(store, wish(again=True), found)
    assert second.id != first.id


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (JobKind.GENERATE, "this recipe"),
        (JobKind.EVALUATE, "this suite and these models"),
        (JobKind.EMBED, "this text and model"),
    ],
)
def test_what_was_submitted_before_is_called_by_its_name(
    store: Store, found: ReadResult, kind: JobKind, words: str
) -> None:
    """A recipe, a suite or a text: whatever the file was submitted with."""
    again = replace(wish(), kind=kind)
    submit(store, again, found)
    with pytest.raises(DuplicateJobError, match=f"with {words} before"):
        submit(store, again, found)


def test_the_way_of_its_calls_makes_no_other_submission(store: Store, found: ReadResult) -> None:
    """By batch or in real time, the answers are the same: nobody pays for them twice by a slip."""
    first, _ = submit(store, wish(), found)
    by_batch = Options(via="batch", on_timeout="realtime", batch_hours=3)
    with pytest.raises(DuplicateJobError, match=first.id):
        submit(store, wish(options=by_batch), found)
    again, _ = submit(store, wish(options=by_batch, again=True), found)
    assert JobSpec.model_validate_json(again.spec).options == by_batch


def test_options_that_change_answers_make_another_submission(
    store: Store, found: ReadResult
) -> None:
    """Asked anew is not the same as taken from the ledger."""
    first, _ = submit(store, wish(), found)
    other, _ = submit(store, wish(options=Options(fresh=True)), found)
    assert first.id != other.id


def test_a_cancelled_job_does_not_stand_in_the_way(store: Store, found: ReadResult) -> None:
    """What was given up may be submitted again without --again."""
    first, _ = submit(store, wish(), found)
    with store.write() as connection:
        assert jobs.cancel(connection, first.id)
    second, is_new = submit(store, wish(), found)
    assert is_new
    assert second.state == JobState.QUEUED


@pytest.mark.parametrize("key", [None, "k"])
def test_ten_equal_submissions_at_once_are_one_job(
    open_another: Callable[[], Store], found: ReadResult, key: str | None
) -> None:
    """Equal submissions wait for each other: one wins, the others hear of it."""
    stores = [open_another() for _ in range(10)]

    def attempt(store: Store) -> str | None:
        try:
            return submit(store, wish(idempotency_key=key), found)[0].id
        except DuplicateJobError:
            return None

    with ThreadPoolExecutor(10) as threads:
        ids = list(threads.map(attempt, stores))
    assert len({job_id for job_id in ids if job_id}) == 1
    assert ids.count(None) == (9 if key is None else 0)
    with stores[0].read() as connection:
        assert len(jobs.newest(connection)) == 1


def test_a_file_without_rows_is_refused(store: Store, tmp_path: Path) -> None:
    """Nothing to do is said before anything is enqueued."""
    source = tmp_path / "one.jsonl"
    source.write_text('{"id": 1, "text": "x"}\n')
    with read(source, ReadOptions(), tmp_path / "staging") as found:
        nothing = replace(found, accepted=0)
        with pytest.raises(BadInputError, match="no usable rows"):
            submit(store, wish(), nothing)


@pytest.mark.parametrize(("rows", "size"), [(1, 8), (187, 8), (9839, 154), (10**6, 250)])
def test_shards_grow_with_the_job(rows: int, size: int) -> None:
    """Small jobs spread over the workers, huge ones stay cheap."""
    assert shard_size(rows) == size
