"""A run of a pipeline in words: its warnings, what was paid, where its pages are, what next."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import a_job
from cli_builders import plain

from models.budgets import parse_budget
from models.nano import NANO
from models.prices import load_prices
from models.settings import Settings
from models.states import JobKind, JobState, StageState
from models.store.stages_seen import StageSeen
from models.tables import Stage
from producers.cli.rendering import showing, stage_words
from producers.evaluating.report import Figure, Report, Table
from producers.pipelines import collecting
from producers.pipelines.hand import made_folder

LONG = "ft:ministral-3b-latest:tak-model-0123abcd:20260815:9f"
WARNING = "it will overfit: each token is seen 22.7 times"


def a_seen(name: str, kind: str, job: Any = None, **values: Any) -> StageSeen:
    """A stage that is done; `output` as it made it."""
    output = orjson.dumps(values.pop("output", {})).decode()
    told = {"state": StageState.DONE, **values}
    stage = Stage(run_id="job_r", place=0, name=name, kind=kind, output=output, **told)
    return StageSeen(stage, job)


def a_run(**values: Any) -> Any:
    """Of a pipeline."""
    return a_job(id="job_r", kind=JobKind.PIPELINE, **values)


def test_a_review_is_judged_by_commands_that_exist() -> None:
    """In the dashboard, or in a sheet; `review show` is no command."""
    told = plain(*stage_words.ended([a_seen("review", "review", output={"review": "rev_1"})]))
    assert "review show" not in told
    assert "maestrale review export rev_1 --out sheet.csv" in told
    assert "dashboard under Jobs: Reviews" in told


def test_what_a_training_warned_of_is_told_from_its_start() -> None:
    """While it runs and when it is done, behind the stage's name."""
    for state in (StageState.RUNNING, StageState.DONE):
        seen = [a_seen("model", "train", a_job(), state=state, output={"warnings": [WARNING]})]
        assert f"! model: {WARNING}" in plain(stage_words.run_page(a_run(), seen, 0.0), width=200)


def test_paid_calls_are_not_mixed_with_those_paid_before() -> None:
    """932 answers, of which 649 were paid now."""
    run = a_run(calls_made=649, calls_from_ledger=283)
    told = stage_words.run_line(run, [])
    assert "649 calls paid, 283 answered by the ledger (paid for before)" in told
    assert "932" not in told


def test_a_run_says_where_its_report_is(tmp_path: Path) -> None:
    """Once there is one."""
    settings = Settings(_env_file=None, home=tmp_path)
    assert collecting.report_of(settings, "job_r") is None
    page = made_folder(settings, "job_r") / "report.html"
    page.write_text("x")
    found = collecting.report_of(settings, "job_r")
    assert found == page
    assert str(page) in plain(stage_words.run_page(a_run(), [], 0.0, found), width=400)


def test_only_stages_that_no_job_does_lack_rows() -> None:
    """The footnote stands at these, and at no other."""
    rows = [
        collecting._row(a_seen("data", "dataset", output={"counts": {"train": 5}})),
        collecting._row(a_seen("exam", "evaluate", a_job(rows_done=80))),
    ]
    data, exam = (row[3] for row in rows)
    assert isinstance(data, Figure) and isinstance(exam, Figure)
    assert (data.value, data.why) == (None, "no job does it")
    assert (exam.value, exam.why) == (80, "")


def test_long_names_of_the_provider_give_way_to_the_registrys() -> None:
    """In the stage's line and in all texts of the report; figures keep the names others know."""
    output = {"model": LONG, "registered": "tak-model-0123abcd", "job": "job_t"}
    trained = a_seen("model", "train", output=output)
    assert collecting.what_it_made(trained) == "tak-model-0123abcd by job_t"
    short = collecting.short_names([trained])
    figures = {f"{LONG}@bare": {"f1": Figure(0.9)}}
    table = Table("Models", ("model", "f1"), [[f"{LONG}@bare", Figure(0.9)]])
    report = Report(
        "t", "classification", "job_x", table, warnings=[f"{LONG} is odd"], figures=figures
    )
    told = collecting.renamed(report, short)
    assert told.summary.rows[0][0] == "tak-model-0123abcd@bare"
    assert told.warnings == ["tak-model-0123abcd is odd"]
    assert told.figures == figures


def test_columns_of_words_are_not_broken_within_short_ones() -> None:
    """`datase/t` and `evalua/te` were, in a table of eight columns."""
    css = files("producers.evaluating.rendering").joinpath("page.css").read_text("utf-8")
    assert "td.words { min-width: 6.5rem;" in css


@pytest.mark.parametrize("above", ["", "stage model: job_c is paused: "])
def test_a_spent_budget_is_raised_by_the_command_in_its_reason(above: str) -> None:
    """That of the run, with its option: another would pause at once again."""
    reason = (
        f"{above}budget: $0.00 of $0.05 is spent; go on with `maestrale resume job_r --budget MORE`"
    )
    told = plain(showing.what_to_do(a_job(id="job_c", state=JobState.PAUSED, state_reason=reason)))
    assert "Go on: maestrale resume job_r --budget MORE" in told
    assert "job_c" not in told


@pytest.mark.parametrize(
    ("least", "budget"),
    [("$0.1323", "0.14USD"), ("$1,234.56", "1234.56USD"), ("$0.00002", "0.01USD")],
)
def test_a_budget_of_which_it_is_known_that_it_is_enough_is_in_the_command(
    least: str, budget: str
) -> None:
    """Up to the next cent, so that it can be copied; nothing else has to be said then."""
    reason = (
        "budget: $0.00 of $0.05 is spent; go on with `maestrale resume job_r --budget MORE` (at "
        f"least {least} in all)"
    )
    told = plain(showing.what_to_do(a_job(id="job_c", state=JobState.PAUSED, state_reason=reason)))
    assert told.strip() == f"Go on: maestrale resume job_r --budget {budget}"
    assert parse_budget(budget, load_prices(None)) >= float(least[1:].replace(",", "")) * NANO
