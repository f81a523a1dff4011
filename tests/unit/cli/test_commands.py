"""Commands over a database of the test's own: what they print, and their exit codes."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, a_stored_operation, claimed, done, failed, settled
from cli_builders import Ended

from models.payloads import Estimate, JobSpec, Options
from models.states import JobState
from models.store.engine import Store
from producers import Maestrale
from producers.cli.runs.following import Follower

Run = Callable[..., Ended]
LOOKING = ("recipes", "jobs", "show", "watch", "failures", "export")
CONTROL = ("retry", "pause", "resume", "cancel")
PROCESSES = ("up", "down", "status", "doctor", "migrate")
EVERY = (*LOOKING, *CONTROL, *PROCESSES, "demo", "generate", "events", "costs", "priority")
RECIPE = """
name = "test"
model = "mistral-small-latest"
[[steps]]
name = "answer"
prompt = "Read: {{ row.text }}"
[output.record]
answer = "{{ answer }}"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A recipe of one step whose records are no conversations."""
    path = tmp_path / "test.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def texts(tmp_path: Path) -> str:
    """Three rows and a broken line."""
    path = tmp_path / "texts.jsonl"
    rows = [json.dumps({"id": f"r{number}", "text": "some text"}) for number in range(30)]
    path.write_text("\n".join([*rows, "{broken"]) + "\n")
    return str(path)


@pytest.fixture
def finished(user_store: Store) -> str:
    """A job with one row done and one failed."""
    job_id = a_stored_job(
        user_store, rows_count=2, spec=_spec(), estimate="{}", max_failed_share=0.5
    )
    held = claimed(user_store, job_id)
    assert settled(user_store, held, [done(held, 0), failed(held, 1)])
    return job_id


def _spec() -> str:
    steps = [{"name": "a", "model": "mistral-small-latest"}]
    return json.dumps({"recipe": {"steps": steps, "output": {"record": {"text": ""}}}})


# -- help ------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy():
    """`maestrale --help` answers at once: no database, no Celery, no tokenizer."""
    program = (
        "import sys; from producers.cli import main; main(['--help']); "
        "heavy = {'sqlalchemy', 'celery', 'sqlmodel', 'alembic', 'pyarrow', 'mistral_common'}; "
        "sys.exit(','.join(heavy & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert "generate" in ended.stdout


@pytest.mark.parametrize("command", EVERY)
def test_every_command_explains_itself(run: Run, command: str):
    """And every command that prints facts can print them as JSON."""
    ended = run(command, "--help")
    assert ended.code == 0
    assert "--json" in ended.out


@pytest.mark.parametrize("wrong", [["nonsense"], ["show"], ["generate"], ["jobs", "--nonsense"]])
def test_a_wrong_command_line_ends_with_2(run: Run, wrong: list[str]):
    """As all command lines do, on stderr."""
    ended = run(*wrong)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err


# -- looking ---------------------------------------------------------------------------------------


def test_an_empty_home_has_no_jobs(run: Run):
    """The first command of all makes the database."""
    assert "There are no jobs yet" in run("jobs").out
    assert run("jobs", "--json").facts == []


def test_jobs_are_listed(run: Run, finished: str):
    """In words and as facts."""
    assert finished in run("jobs").out
    (job,) = run("jobs", "--json", "--state", "succeeded").facts
    assert (job["id"], job["rows"]["failed"]) == (finished, 1)
    assert run("jobs", "--json", "--state", "running").facts == []


def test_a_job_is_shown_by_the_beginning_of_its_id(run: Run, finished: str):
    """Nobody types eight random letters."""
    ended = run("show", finished[:-1])
    assert f"maestrale failures {finished}" in ended.out
    assert run("show", finished, "--json").facts["failures"] == {"refused": 1}


@pytest.mark.parametrize("command", ["show", "watch", "failures", "export", "retry", "pause"])
def test_an_unknown_job_ends_with_2(run: Run, command: str):
    """A message, no traceback."""
    ended = run(command, "job_nonsense")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no job 'job_nonsense'" in ended.err
    assert "Traceback" not in ended.err


def test_a_settled_job_is_watched_to_its_end(run: Run, finished: str):
    """At once."""
    ended = run("watch", finished)
    assert ended.code == 0
    assert f"{finished} succeeded" in ended.out
    assert run("watch", finished, "--json").facts["state"] == "succeeded"


def test_a_job_that_stands_still_ends_the_watching_with_3(run: Run, user_store: Store):
    """Scripts can tell it from success."""
    job_id = a_stored_job(user_store, spec=_spec(), state=JobState.PAUSED)
    ended = run("watch", job_id)
    assert ended.code == 3
    assert f"maestrale resume {job_id}" in ended.out


def test_failures_are_listed(run: Run, finished: str):
    """Row, reason, detail."""
    assert "row 1 failed" in run("failures", finished).out
    (failure,) = run("failures", finished, "--json").facts
    assert (failure["row_id"], failure["code"]) == ("r1", "refused")


def test_records_are_exported_once(run: Run, finished: str):
    """A file that is there is replaced only on request."""
    told = run("export", finished, "--out", "records.jsonl", "--json").facts
    assert (told["records"], told["format"]) == (1, "jsonl")
    assert json.loads(Path("records.jsonl").read_text()) == {"text": "record 0"}
    again = run("export", finished, "--out", "records.jsonl")
    assert again.code == 2
    assert "--overwrite" in again.err
    assert run("export", finished, "--out", "records.jsonl", "--overwrite").code == 0


def test_shipped_recipes_are_listed(run: Run):
    """By name and what they do."""
    assert "amira" in run("recipes", "--json").facts


# -- control ---------------------------------------------------------------------------------------


def test_a_job_is_paused_resumed_and_cancelled(run: Run, user_store: Store):
    """Each move says where the job stands then."""
    job_id = a_stored_job(user_store, spec=_spec())
    moves = [("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")]
    for move, state in moves:
        assert run(move, job_id, "--json").facts["state"] == state
    ended = run("pause", job_id)
    assert ended.code == 2
    assert "cancelled" in ended.err


def test_only_failed_rows_are_retried(run: Run, finished: str):
    """And a job without any says so."""
    assert "1 failed row will be tried again" in run("retry", finished).out
    assert run("retry", finished).code == 2


# -- generate --------------------------------------------------------------------------------------


def test_a_dry_run_estimates_and_submits_nothing(run: Run, texts: str, recipe: str):
    """Rows, rejects, calls, tokens, cost, time."""
    ended = run("generate", texts, "--recipe", recipe, "--dry-run")
    assert ended.code == 0
    for part in ("30, 1 rejected (1 broken_json)", "about 30", "about $", "limit not known yet"):
        assert part in ended.out
    assert run("jobs", "--json").facts == []
    assert list(Path().iterdir()) == []


def test_facts_of_a_dry_run_are_all_that_is_on_stdout(run: Run, texts: str, recipe: str):
    """Words go to stderr."""
    ended = run("generate", texts, "--recipe", recipe, "--dry-run", "--json")
    assert ended.facts["estimate"]["calls"] == 30
    assert ended.facts["input"]["rejected_by_code"] == {"broken_json": 1}
    assert "about 30" in ended.err


def test_an_unknown_model_costs_an_unknown_sum(run: Run, texts: str, recipe: str):
    """Never zero."""
    ended = run("generate", texts, "--recipe", recipe, "--model", "my-own", "--dry-run", "--json")
    assert ended.facts["estimate"]["cost_usd"] is None
    assert "unknown (the model is not in the price table)" in ended.err


@pytest.mark.parametrize(
    ("options", "words", "route"),
    [
        ([], ["about $"], ("realtime", "realtime", None)),
        (
            ["--via", "batch"],
            ["by batch, about $", "not known by batch: up to 24 h"],
            ("batch", "batch", 24),
        ),
        (["--via", "batch", "--by", "90m"], ["up to 1 h"], ("batch", "batch", 1)),
        (
            ["--via", "auto", "--by", "6h"],
            ["in real time, about $", "in real time: 30 calls are not worth a batch"],
            ("auto", "realtime", None),
        ),
    ],
)
def test_both_ways_are_priced_and_one_is_chosen(
    run: Run,
    texts: str,
    recipe: str,
    options: list[str],
    words: list[str],
    route: tuple[str, str, int | None],
):
    """Half the price by batch; what was chosen, and why."""
    ended = run("generate", texts, "--recipe", recipe, "--dry-run", "--json", *options)
    assert ended.code == 0
    for part in words:
        assert part in " ".join(ended.err.split())
    told = ended.facts["route"]
    assert (told["asked"], told["via"], told["batch_hours"]) == route
    assert told["cost_usd"]["batch"] == pytest.approx(told["cost_usd"]["realtime"] / 2)
    assert ended.facts["estimate"]["cost_usd"] == told["cost_usd"][told["via"]]


def test_a_job_by_batch_keeps_its_way(run: Run, texts: str, recipe: str):
    """It is shown by `show`, and the budget is held against the cheaper estimate."""
    submit = ("generate", texts, "--recipe", recipe, "--detach", "--json")
    usd = run(*submit[:-2], "--dry-run", "--json").facts["route"]["cost_usd"]
    budget = f"{(usd['batch'] + usd['realtime']) / 2:.9f}USD"
    refused = run(*submit, "--budget", budget)
    assert refused.code == 2
    assert "take it by --via batch for about $" in " ".join(refused.err.split())
    way = ("--via", "batch", "--by", "2h", "--on-timeout", "realtime")
    job = run(*submit, "--budget", budget, *way).facts["job"]
    assert job["via"] == "batch"
    assert run("show", job["id"], "--json").facts["operations"] == []
    assert "up to 2 h each; what is left then goes in real time" in run("show", job["id"]).out


TWO_STEPS = """
[[steps]]
name = "again"
prompt = "Once more: {{ answer }}"
[output.record]
"""


def test_each_step_is_a_round_of_batches(run: Run, texts: str, recipe: str):
    """The deadline is shared out between them, and one too short for them is refused."""
    Path(recipe).write_text(RECIPE.replace("[output.record]\n", TWO_STEPS.lstrip("\n")))
    submit = ("generate", texts, "--recipe", recipe, "--dry-run", "--json", "--via", "batch")
    ended = run(*submit, "--by", "6h")
    assert (ended.facts["route"]["rounds"], ended.facts["route"]["batch_hours"]) == (2, 3)
    assert "up to 3 h for each of 2 rounds" in " ".join(ended.err.split())
    assert "too short for 2 rounds" in " ".join(run(*submit, "--by", "90m").err.split())


@pytest.mark.parametrize(
    "how",
    [
        {"via": "batch", "by": timedelta(hours=2)},
        {"options": Options(via="batch", batch_hours=2)},
    ],
)
def test_a_program_may_choose_the_way_too(
    user_store: Store, texts: str, recipe: str, how: dict[str, Any]
):
    """In the plan or in the options: the estimate kept with the job is that of the batches."""
    with Maestrale() as maestrale:
        with maestrale.plan(texts, recipe) as plan:
            half = plan.ways.batch.cost_usd
        job = maestrale.generate(texts, recipe=recipe, **how)
    assert JobSpec.model_validate_json(job.spec).options == Options(via="batch", batch_hours=2)
    assert Estimate.model_validate_json(job.estimate).cost_usd == half


def test_remote_work_is_seen_by_whoever_looks(run: Run, user_store: Store):
    """`jobs` counts it, `show` lists it, a watcher reads a line of it."""
    job_id = a_stored_job(user_store, state="waiting")
    a_stored_operation(user_store, job_id, remote_status="RUNNING", requests_total=9)
    assert "waiting (1 batch)" in run("jobs").out
    assert run("jobs", "--json").facts[0]["operations_out"] == 1
    assert "RUNNING" in run("show", job_id).out
    (told,) = run("show", job_id, "--json").facts["operations"]
    assert (told["remote_status"], told["requests"]["total"]) == ("RUNNING", 9)
    with Maestrale() as maestrale:
        (line,) = Follower(maestrale, maestrale.get(job_id)).look(maestrale.get(job_id)).waits_for
    assert "RUNNING, 0 of 9 requests" in line


def test_a_detached_job_is_left_with_what_to_do(run: Run, texts: str, recipe: str):
    """The id, the rejects beside where the output would be, and that nobody is working."""
    ended = run("generate", texts, "--recipe", recipe, "--detach")
    assert ended.code == 0
    (job,) = run("jobs", "--json").facts
    for part in (f"maestrale watch {job['id']}", "maestrale export", "no worker is running"):
        assert part in ended.out
    assert "broken_json" in Path("texts.test.rejects.jsonl").read_text()


def test_a_detached_job_keeps_its_output_in_mind(run: Run, texts: str, recipe: str):
    """`--out` is written by `export`, which is named whole."""
    ended = run("generate", texts, "--recipe", recipe, "--detach", "--out", "my out.csv")
    (job,) = run("jobs", "--json").facts
    assert f"maestrale export {job['id']} --format csv --out 'my out.csv'" in ended.out


def test_what_a_batch_ended_without_needs_a_batch(run: Run, texts: str, recipe: str):
    """`--on-timeout` in real time would be passed over, as `--by` would."""
    ended = run("generate", texts, "--recipe", recipe, "--detach", "--on-timeout", "resubmit")
    assert (ended.code, "--via batch or auto" in ended.err) == (2, True)
    assert run("jobs", "--json").facts == []


def test_the_same_is_not_submitted_twice_by_accident(run: Run, texts: str, recipe: str):
    """`--again` does, an idempotency key finds the first."""
    submit = ("generate", texts, "--recipe", recipe, "--detach")
    assert run(*submit, "--idempotency-key", "k", "--json").code == 0
    assert run(*submit, "--idempotency-key", "k", "--json").code == 0
    assert len(run("jobs", "--json").facts) == 1
    refused = run(*submit)
    assert refused.code == 2
    assert "--again" in refused.err
    assert run(*submit, "--again").code == 0
    assert len(run("jobs", "--json").facts) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "nonsense"], "no recipe 'nonsense'"),
        (["--set", "novalue"], "--set"),
        (["--set", "unknown=1"], "unknown"),
        (["--format", "chat"], "no conversations"),
        (["--max-rejected-share", "0"], "1 of 31 rows"),
        (["--out", "nowhere/out.jsonl"], "there is no folder"),
        (["--model", " "], "empty"),
        (["--by", "6h"], "--via batch or auto"),
        (["--via", "batch", "--by", "30m"], "30 min 00 s is too short"),
        (["--via", "batch", "--by", "soon"], "is no length of time"),
    ],
)
def test_wrong_wishes_end_with_2(run: Run, texts: str, recipe: str, options: list[str], said: str):
    """Nothing is submitted, nothing is written, no traceback is shown."""
    chosen = options if "--recipe" in options else ["--recipe", recipe, *options]
    ended = run("generate", texts, *chosen)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert run("jobs", "--json").facts == []


def test_a_missing_file_ends_with_2(run: Run, recipe: str):
    """A message, no traceback."""
    ended = run("generate", "nothing.jsonl", "--recipe", recipe)
    assert (ended.code, "there is no file nothing.jsonl" in ended.err) == (2, True)


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said", "code"),
    [
        ("MAESTRALE_LEASE", "1", "MAESTRALE_LEASE", 2),
        (
            "MAESTRALE_LIMITS",
            "nonsense",
            "MAESTRALE_LIMITS: the limit 'nonsense' does not parse",
            2,
        ),
        ("DATABASE_URL", "mysql://x", "SQLite or PostgreSQL", 2),
        ("DATABASE_URL", "postgresql://u:secret@h:port/x", "DATABASE_URL does not parse", 2),
        ("MAESTRALE_HOME", "/proc/nowhere", "/proc/nowhere", 1),
    ],
)
def test_a_wrong_setting_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str, code: int
):
    """With what is wrong with it, and no traceback."""
    monkeypatch.setenv(name, value)
    ended = run("jobs")
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_bug_is_told_in_a_line_and_kept_in_a_file(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """Exit code 70; the traceback, which may hold data, is not printed."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret data")

    monkeypatch.setattr("producers.client.Maestrale.jobs", broken)
    ended = run("jobs")
    assert (ended.code, ended.out) == (70, "")
    assert "a bug in Maestrale (ZeroDivisionError)" in ended.err
    assert "secret" not in ended.err
    (report,) = (home / "logs").glob("bug-*.txt")
    assert "secret data" in report.read_text()


def test_ctrl_c_ends_the_watching_and_not_the_job(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Exit code 130, with how to come back."""
    job_id = a_stored_job(user_store, spec=_spec())

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("producers.client.time.sleep", interrupted)
    ended = run("watch", job_id)
    assert ended.code == 130
    assert f"{job_id} goes on without this window" in ended.out
    assert f"maestrale watch {job_id}" in ended.out


@pytest.mark.parametrize("kind", ["embed", "evaluate"])
def test_kinds_have_scripts_of_their_own(kind: str):
    """`python -m producers.KIND` is `maestrale KIND`."""
    command = [sys.executable, "-m", f"producers.{kind}", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert f"maestrale {kind}" in ended.stdout
