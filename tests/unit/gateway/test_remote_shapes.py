"""What remote routes answer: read whatever is missing, foreign or too long."""

from typing import Any

import orjson
import pytest

from worker.gateway.remote_shapes import (
    MOST_ANSWER_BYTES,
    RemoteFile,
    RemoteJob,
    is_id,
    read_list,
    shortened,
    training_suffix,
)

BATCH = {
    "id": "7f4e2c1a-0000-4000-8000-000000000001",
    "object": "batch",
    "input_files": ["f-in"],
    "metadata": {"maestrale_operation": "op_1", "count": 3},
    "endpoint": "/v1/chat/completions",
    "model": "mistral-small-latest",
    "output_file": "f-out",
    "error_file": None,
    "errors": [{"message": "no such tool", "count": 3}, {"message": "too long"}, {"x": 1}, "odd"],
    "status": "SUCCESS",
    "created_at": 1_763_850_000,
    "total_requests": 10,
    "completed_requests": 10,
    "succeeded_requests": 7,
    "failed_requests": 3,
}


def a_job(**answer: Any) -> RemoteJob:
    """A job of such an answer."""
    job = RemoteJob.read({"id": "job-1", **answer})
    assert job is not None
    return job


def test_a_batch_is_read() -> None:
    """As the API documents it."""
    job = a_job(**BATCH)
    assert (job.id, job.status) == (BATCH["id"], "SUCCESS")
    assert (job.succeeded, job.output_file, job.error_file) == (7, "f-out", None)
    assert job.metadata == {"maestrale_operation": "op_1"}
    assert job.errors == "no such tool (3 times); too long; odd"
    assert job.answer == BATCH


def test_a_training_is_read() -> None:
    """Its model, its points and what went wrong with it."""
    point = {"metrics": {"train_loss": 0.5}, "step_number": 10, "created_at": 1}
    job = a_job(
        status="FAILED",
        fine_tuned_model="ft:ministral-3b:x",
        suffix="op1",
        checkpoints=[point, "odd"],
        events=[{"name": "status-updated", "data": {"status": "FAILED", "error": "no rows"}}, 1],
    )
    assert job.fine_tuned_model == "ft:ministral-3b:x"
    assert job.suffix == "op1"
    assert job.checkpoints == [point]
    assert job.errors == "no rows"


@pytest.mark.parametrize("odd", [None, "ten", -1, True, [], {}, 2.0**60])
def test_what_is_missing_or_foreign_harms_nothing(odd: object) -> None:
    """Every field but the id may be anything."""
    names = [name for name in BATCH if name != "id"]
    job = a_job(**dict.fromkeys(names, odd), checkpoints=odd, events=odd)
    assert (job.succeeded, job.metadata, job.checkpoints, job.errors) == (0, {}, [], "")
    assert job.status in ("", "ten")


def test_an_unknown_status_is_kept_as_it_came() -> None:
    """What it means is decided elsewhere."""
    assert a_job(status="PAUSED_BY_PROVIDER").status == "PAUSED_BY_PROVIDER"


@pytest.mark.parametrize("answer", [None, [], "job", {}, {"id": 5}, {"id": "a/../b"}, {"id": ""}])
def test_without_an_id_there_is_no_job(answer: object) -> None:
    """It could neither be stored nor asked about."""
    assert RemoteJob.read(answer) is None
    assert RemoteFile.read(answer) is None


def test_an_answer_about_a_known_job_needs_no_id() -> None:
    """Some servers confirm a cancellation with `{}`."""
    assert RemoteJob.read({}, known_id="job-1") == RemoteJob("job-1", "", {})
    assert RemoteJob.read([], known_id="job-1") is None


def test_errors_hold_no_token() -> None:
    """They are stored and shown."""
    job = a_job(errors=[{"message": "Bearer abcdefgh refused"}])
    assert "abcdefgh" not in job.errors


def test_keys_and_inlined_results_are_not_kept() -> None:
    """The answer is stored at every look."""
    wandb = {"type": "wandb", "project": "p", "api_key": "secret"}
    job = a_job(integrations=[wandb, 1], outputs=[{"body": "x"}])
    assert job.answer == {"id": "job-1", "integrations": [{"type": "wandb", "project": "p"}, 1]}


def test_a_long_list_loses_its_middle() -> None:
    """The newest checkpoints are kept, whichever end they are at."""
    points = [{"step_number": step, "words": "x" * 80} for step in range(3_000)]
    kept = a_job(status="RUNNING", checkpoints=points)
    assert kept.checkpoints == points[:100] + points[-100:]
    assert kept.status == kept.answer["status"] == "RUNNING"


def test_a_monstrous_answer_keeps_what_decides() -> None:
    """One value of a megabyte does not hide where the answers are."""
    kept = shortened({**BATCH, "hints": ["x" * 1_000_000]})
    assert kept == BATCH
    crowd = {f"field_{number}": "x" * 400 for number in range(1_000)}
    assert len(orjson.dumps(shortened(crowd))) <= MOST_ANSWER_BYTES


@pytest.mark.parametrize("crowd", [1, 2_000])
@pytest.mark.parametrize(
    "said",
    [
        {"errors": [{"message": f"line {n}: no such tool {'x' * 600}"} for n in range(300)]},
        {"errors": ["line 0: no such tool" + "x" * 1_000_000]},
        {"message": "line 0: no such tool" + "x" * 1_000_000},
        {"errors": ["line 0:"], "events": [{"data": {"error": "no such tool" + "x" * 70_000}}]},
    ],
)
def test_a_long_answer_keeps_its_status_and_its_reason(said: dict[str, Any], crowd: int) -> None:
    """Whatever else there is, and however often it is shortened: as it was shown before."""
    others = {f"field_{number}": "y" * 400 for number in range(crowd)}
    whole = RemoteJob("job-1", "FAILED", {"output_file": "f-1", **others, **said})
    kept = a_job(**others, **said, output_file="f-1", status="FAILED", error_file=None)
    assert len(orjson.dumps(kept.answer)) <= MOST_ANSWER_BYTES
    assert (kept.status, kept.answer["status"], kept.output_file) == ("FAILED", "FAILED", "f-1")
    assert kept.errors.startswith("line 0:")
    assert "no such tool" in kept.errors
    again = a_job(**kept.answer)
    assert again == kept
    assert whole.errors[:60] == kept.errors[:60]


def test_a_status_can_be_stored_and_shown() -> None:
    """PostgreSQL refuses NUL, and a screen a page of it."""
    assert a_job(status="NAP\0PING " + "x " * 5_000).status.startswith("NAP PING x x")
    assert len(a_job(status="x " * 5_000).status) <= 300


def test_a_file_is_read() -> None:
    """Its size may be unsaid."""
    said = {"id": "f-1", "filename": "op_1.jsonl", "bytes": 12, "created_at": 5}
    assert RemoteFile.read(said) == RemoteFile("f-1", "op_1.jsonl", 12, 5.0)
    assert RemoteFile.read({"id": "f-1", "bytes": None}) == RemoteFile("f-1", "", 0, 0.0)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ({"data": [{"id": "a"}], "total": 1}, ["a"]),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"]),
        ({"data": []}, []),
        ({"data": [{"id": "a"}, {}]}, None),
        ({"data": None}, None),
        ({"detail": "no"}, None),
        ("x", None),
    ],
)
def test_a_list_is_read_whole_or_not_at_all(answer: object, read: list[str] | None) -> None:
    """Overlooking a job means starting it twice."""
    jobs = read_list(answer, RemoteJob.read)
    assert (jobs if jobs is None else [job.id for job in jobs]) == read


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a b", "a?b", "a#b", "é", "x" * 201, None])
def test_what_leads_elsewhere_is_no_id(name: object) -> None:
    """Ids are put into paths."""
    assert not is_id(name)


@pytest.mark.parametrize("name", ["7f4e2c1a-0000", "batch_1", "ft:open-mistral-7b:587a:2024"])
def test_what_providers_give_is_an_id(name: str) -> None:
    """UUIDs and words."""
    assert is_id(name)


def test_a_suffix_is_the_random_end_of_an_operations_id() -> None:
    """At most 18 characters of those that the API takes."""
    assert training_suffix("op_0123456789abcdefghijkl") == "456789abcdefghijkl"
    assert training_suffix("op.1/2") == "op12"
