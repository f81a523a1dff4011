"""What people see of jobs: pure renderings."""

from pathlib import Path
from typing import Any

import pytest
from builders import a_job
from cli_builders import an_estimate, plain

from models.limits import Limit
from models.states import JobState
from models.tables import Job
from producers.cli.rendering import checkups, demo_words, display, plan_words, showing
from producers.cli.rendering.display import Progress
from producers.cli.rendering.showing import Limited
from producers.doctor import Finding, Verdict
from producers.exports import Exported

LIMIT = Limited("mistral-small-latest", 1800)


def a_running_job(**changes: Any) -> Job:
    """Half of its 187 rows are done."""
    values: dict[str, Any] = {
        "id": "job_abcdefgh",
        "name": "amira",
        "state": JobState.RUNNING,
        "input_name": "papers.jsonl",
        "rows_total": 187,
        "rows_done": 90,
        "rows_failed": 3,
        "calls_made": 372,
        "cost_nano": 41_200_000,
        "prompt_tokens": 200_000,
        "completion_tokens": 40_000,
        "started_at": 1000.0,
    }
    return a_job(**{**values, **changes})


def a_done_job(**changes: Any) -> Job:
    """All rows are settled, in 25 seconds."""
    ended: dict[str, Any] = {
        "state": JobState.SUCCEEDED,
        "rows_done": 184,
        "calls_made": 748,
        "finished_at": 1025.0,
    }
    return a_running_job(**{**ended, **changes})


def test_progress_shows_rows_calls_speed_cost_and_time_left():
    """All that a waiting person asks."""
    now = Progress(a_running_job(), 748, 29.1, 13.0, LIMIT)
    shown = plain(display.progress(now))
    assert "93 of 187 rows" in shown
    assert "50%" in shown
    assert "372 of ~748 calls  29.1/s (97% of limit)  3 failed  $0.0412  13 s left" in shown


def test_progress_says_why_nothing_moves():
    """The note stands below the figures, and in the line for logs."""
    now = Progress(a_running_job(state=JobState.QUEUED), note="no worker is running")
    assert "no worker is running" in plain(display.progress(now))
    assert display.progress_line(now).endswith("-- no worker is running")


def test_progress_of_an_empty_job_does_not_divide_by_zero():
    """Nothing to do is no error."""
    assert "0 of 0 rows" in plain(display.progress(Progress(a_job())))


def test_a_summary_tells_rows_calls_tokens_cost_and_speed():
    """And the share of the limit, where there is one limit."""
    shown = plain(showing.headline(a_done_job()), showing.summary(a_done_job(), LIMIT))
    assert "job_abcdefgh succeeded in 25 s" in shown
    assert "184 done, 3 failed" in shown
    assert "748 paid" in shown
    assert "200,000 in, 40,000 out" in shown
    assert "29.9 calls/s, 100% of the limit (mistral-small-latest: 1,800 requests/min)" in shown


def test_a_run_that_paid_nothing_says_so():
    """The second run of the same."""
    job = a_done_job(calls_made=0, calls_from_ledger=748, cost_nano=0)
    assert "0 calls, all 748 from the ledger: nothing was paid" in plain(showing.summary(job))


def test_an_unpriced_model_costs_an_unknown_sum():
    """In the summary, the list and the progress."""
    job = a_done_job(calls_unpriced=748, cost_nano=0)
    for shown in (showing.summary(job), showing.jobs([job], 0.0), display.progress(Progress(job))):
        assert "unknown" in plain(shown)
        assert "$0" not in plain(shown)


@pytest.mark.parametrize(
    ("reason", "told", "advice"),
    [
        ("paused by the user", "paused by the user", "maestrale resume"),
        ("account: key refused", "paused: account: key refused", "MISTRAL_API_KEY"),
        ("money: no credit", "paused: money: no credit", "spending limit"),
        ("price: m is in no table", "paused: price: m is in no table", "MAESTRALE_PRICES"),
        ("quota: used up", "paused: quota: used up", "provider's console"),
    ],
)
def test_a_paused_job_says_why_and_what_to_do(reason: str, told: str, advice: str):
    """By what paused it."""
    job = a_running_job(state=JobState.PAUSED, state_reason=reason)
    next_step = showing.what_to_do(job)
    assert next_step is not None
    shown = plain(showing.headline(job), next_step, width=300)
    assert f"job_abcdefgh {told}\n" in shown
    assert advice in shown
    assert "maestrale resume job_abcdefgh" in shown


def test_an_estimate_names_what_is_not_known(tmp_path: Path):
    """An unknown price is not zero, an unknown limit not endless."""
    unknown = an_estimate(cost_usd=None, seconds=None, exact_tokens=False)
    shown = plain(plan_words.estimate(a_file(tmp_path), unknown))
    assert "unknown (the model is not in the price table)" in shown
    assert "limit not known yet: it is learnt from the first answers" in shown
    assert "guessed" in shown
    assert "2, 1 rejected (1 broken_json)" in shown


def test_an_estimate_names_calls_tokens_cost_and_time(tmp_path: Path):
    """Where they are known."""
    shown = plain(plan_words.estimate(a_file(tmp_path), an_estimate(notes=["a note\x1b"])))
    for part in ("about 748", "416,907 in, 99,110 out", "about $0.1220", "25 s", "a note\\x1b"):
        assert part in shown


def a_file(folder: Path) -> Any:
    """Two good rows and a bad one, read."""
    from producers.readers import ReadOptions, read  # noqa: PLC0415 # only here

    path = folder / "three.jsonl"
    path.write_text('{"id":"a"}\n{"id":"b"}\n{bad\n')
    with read(path, ReadOptions(max_rejected_share=0.5), folder / "staging") as found:
        return found


HOSTILE = "[bold]\x1b[31mrow\x07"


def test_data_cannot_speak_to_the_terminal():
    """Ids, reasons, details, names: whatever came from outside is shown, not obeyed."""
    job = a_done_job(state=JobState.FAILED, state_reason=HOSTILE, name=HOSTILE, input_name=HOSTILE)
    row = {"row_id": HOSTILE, "code": HOSTILE, "detail": HOSTILE}
    dataset = Exported(Path("x.jsonl"), 1, 1)
    record = {"messages": [{"role": HOSTILE, "content": HOSTILE}]}
    pages = [
        showing.job_page(job, Limited(HOSTILE, 60), {HOSTILE: 1}, 0.0),
        showing.jobs([job], 0.0),
        showing.failures_page(job, [row]),
        showing.recipes({"a": HOSTILE}),
        checkups.page([Finding("home", Verdict.BAD, HOSTILE)]),
        *demo_words.outcome(job, LIMIT, {HOSTILE: 1}, dataset, record),
    ]
    shown = plain(*pages, width=300)
    assert shown.replace("\n", "").isprintable()
    assert "[bold]\\x1b[31mrow\\x07" in shown


def test_failures_name_what_to_do_next():
    """Grouped by reason; the list says how many it leaves out."""
    job = a_done_job()
    assert "maestrale retry job_abcdefgh" in plain(showing.failures_by_code({"refused": 3}, job.id))
    page = showing.failures_page(job, [{"row_id": "a", "code": "refused", "detail": None}])
    assert "and 2 more" in plain(page)
    assert "no failed rows" in plain(showing.failures_page(job, []))


def test_the_limit_is_told_only_where_one_limit_holds():
    """Several models, or a limit nobody knows: no share of it."""
    known = {"a": Limit(60), "b": Limit(None), "*": Limit(120)}
    assert showing.limited(["a"], known) == Limited("a", 60)
    assert showing.limited(["c"], known) == Limited("c", 120)
    assert showing.limited(["a", "c"], known) is None
    assert showing.limited(["b"], known) is None
    assert showing.limited(["a"], {}) is None


def test_limits_say_where_they_come_from():
    """Told, learnt, found; zero means that the model is not to be had."""
    assert showing.limit_words(Limit(60, 1000, "header")) == (
        "60 requests/min, 1,000 tokens/min (told by the API)"
    )
    assert showing.limit_words(Limit(0)) == "not on the plan"
    assert "not known yet" in showing.limit_words(Limit())
