"""Remote work in a terminal: one line for each, foreign text made harmless."""

from typing import Any

import pytest
from builders import a_job
from cli_builders import plain

from models.payloads import JobSpec, Options
from models.states import JobState
from models.store.views.operations_seen import OperationSeen
from producers.cli.rendering import display, operation_words, showing
from producers.cli.rendering.display import Progress

NOW = 10_000.0


def an_operation(**changes: Any) -> OperationSeen:
    """A batch of 5,000 that runs since three minutes."""
    values: dict[str, Any] = {
        "id": "op_1",
        "kind": "batch",
        "endpoint": "chat",
        "model": "mistral-small-latest",
        "state": "running",
        "reason": "",
        "remote_id": "b-1",
        "remote_status": "RUNNING",
        "requests_total": 5_000,
        "requests_done": 0,
        "requests_failed": 0,
        "check_failures": 0,
        "next_check_at": NOW + 40,
        "created_at": NOW - 400,
        "submitted_at": NOW - 180,
        "settled_at": None,
    }
    return OperationSeen(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "batch of mistral-small-latest: RUNNING, 0 of 5,000 requests, since 3 min 00 s, "
             "next look in 40 s"),
        ({"requests_over_there": 120}, "RUNNING, 120 of 5,000 requests,"),
        ({"requests_done": 7, "requests_failed": 2}, "9 of 5,000, 2 failed requests"),
        ({"remote_status": "", "state": "sending", "submitted_at": None},
         "sending, 0 of 5,000 requests, since 6 min 40 s"),
        ({"next_check_at": NOW - 5}, "next look now"),
        ({"kind": "training", "requests_total": 0}, "training of mistral-small-latest: RUNNING, s"),
        ({"remote_status": "\x1b[31mNEW"}, r"\x1b[31mNEW"),
    ],
)  # fmt: skip
def test_an_operation_is_a_line(changes: dict[str, Any], said: str):
    """The provider's word, how much of it, since when, and when somebody looks again."""
    assert said in operation_words.line(an_operation(**changes), NOW)


def test_of_many_the_first_are_shown_and_the_rest_counted():
    """What is settled is no longer waited for."""
    out = [an_operation(id=f"op_{number}") for number in range(8)]
    lines = operation_words.lines([*out, an_operation(state="succeeded")], NOW)
    assert len(lines) == 7
    assert lines[-1] == "and 2 more"


def test_a_watcher_sees_what_is_waited_for():
    """In the display, and in lines for pipes."""
    lines = operation_words.lines([an_operation()], NOW)
    waiting = Progress(a_job(state=JobState.WAITING, rows_total=4), waits_for=lines)
    assert "RUNNING, 0 of 5,000" in plain(display.progress(waiting))
    first, second = display.progress_line(waiting).split("\n")
    assert " waiting: 0 of 4 rows" in first
    assert "RUNNING, 0 of 5,000" in second


def test_a_job_is_shown_with_its_remote_work():
    """A table, the reasons below it, and by which way its calls go."""
    options = Options(via="batch", batch_hours=6, on_timeout="realtime")
    job = a_job(state=JobState.WAITING, spec=JobSpec(options=options).model_dump_json())
    failed = an_operation(
        state="failed", remote_status="FAILED", reason="[bold]no\x1b", settled_at=NOW - 60
    )
    shown = plain(showing.job_page(job, None, {}, NOW, [an_operation(), failed]), width=140)
    for part in ("running", "RUNNING", "0 of 5,000", "40 s", r"b-1: [bold]no\x1b", "1 min ago"):
        assert part in shown
    assert "batch, up to 6 h each; what is left then goes in real time" in shown


@pytest.mark.parametrize(
    ("kind", "state", "count", "said"),
    [
        ("generate", JobState.WAITING, 1, "waiting (1 batch)"),
        ("generate", JobState.WAITING, 2, "waiting (2 batches)"),
        ("train", JobState.WAITING, 1, "waiting (1 run)"),
        ("generate", JobState.WAITING, 0, "waiting  "),
        ("generate", JobState.RUNNING, 2, "running  "),
    ],
)
def test_the_list_of_jobs_says_what_is_waited_for(
    kind: str, state: JobState, count: int, said: str
):
    """Only where the job waits."""
    job = a_job(kind=kind, state=state)
    assert said in plain(showing.jobs([job], NOW, {job.id: count}), width=140)


def test_facts_of_an_operation_have_times_as_programs_read_them():
    """No next look at what is settled."""
    facts = operation_words.operation_facts(an_operation(requests_over_there=3))
    assert facts["requests"] == {"total": 5_000, "done": 0, "failed": 0, "over_there": 3}
    assert facts["next_look_at"] == "1970-01-01T02:47:20+00:00"
    assert facts["settled_at"] is None
    settled = operation_words.operation_facts(an_operation(state="succeeded", settled_at=NOW))
    assert settled["next_look_at"] is None
