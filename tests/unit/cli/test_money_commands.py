"""Commands about money and turns: what they print, refuse and answer as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_call, a_doubt, a_job, a_stored_job, the_job
from cli_builders import Ended, plain

from models.nano import NANO
from models.states import JobState
from models.store import calls
from models.store.engine import Store
from models.store.money import Cost
from producers.cli.rendering import display, money_words, showing
from producers.cli.rendering.display import Progress
from proving.pipelines_stage import write_recipe

Run = Callable[..., Ended]
RECIPE = """
name = "test"
model = "{model}"
[[steps]]
name = "answer"
prompt = "Read: {{{{ row.text }}}}"
[output.record]
answer = "{{{{ answer }}}}"
"""


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., list[str]]:
    """Words of a `generate` over 100 rows, with a recipe of the model."""

    def ask(*options: str, model: str = "mistral-small-latest") -> list[str]:
        recipe, texts = tmp_path / "test.toml", tmp_path / "texts.jsonl"
        recipe.write_text(RECIPE.format(model=model))
        texts.write_text("".join(f'{{"id": "r{n}", "text": "text {n}"}}\n' for n in range(100)))
        return ["generate", str(texts), "--recipe", str(recipe), "--detach", *options]

    return ask


@pytest.fixture
def spent(user_store: Store) -> str:
    """A paused job with a budget of a thousandth of a cent, of which a tenth is spent."""
    spec = json.dumps({"recipe": {"steps": [{"name": "a", "model": "m"}]}})
    job_id = a_stored_job(
        user_store, state=JobState.PAUSED, budget_nano=10_000, spec=spec, estimate="{}"
    )
    with user_store.write() as connection:
        calls.store(connection, [a_call(job_id=job_id)])
        calls.doubt(connection, [a_doubt(job_id=job_id)])
    return job_id


# -- budgets ---------------------------------------------------------------------------------------


def test_a_budget_below_the_estimate_is_refused_with_what_fits(
    run: Run, user_store: Store, asked: Callable[..., list[str]]
) -> None:
    """Exit 2, the sums and the rows that fit; also in a dry run; nothing is submitted."""
    for options in ((), ("--dry-run",)):
        ended = run(*asked("--budget", "0.01", *options))
        assert ended.code == 2
        assert "$0.0100" in ended.err
        assert "--limit" in ended.err and "--partial" in ended.err
    assert run("jobs", "--json").facts == []


def test_as_many_rows_as_were_said_to_fit_do_fit(
    run: Run, user_store: Store, asked: Callable[..., list[str]]
) -> None:
    """What the refusal advises is accepted."""
    words = run(*asked("--budget", "0.01")).err.split()
    fit = words[words.index("--limit") + 1].strip(",")
    assert 0 < int(fit) < 100
    assert run(*asked("--budget", "0.01", "--limit", fit)).code == 0


def test_a_partial_job_starts_under_its_budget(
    run: Run, user_store: Store, asked: Callable[..., list[str]]
) -> None:
    """The budget is on the job, and said."""
    ended = run(*asked("--budget", "0.01USD", "--partial"))
    assert ended.code == 0
    assert "pauses when it is spent" in ended.err + ended.out
    (job,) = run("jobs", "--json").facts
    assert job["cost"]["budget_usd"] == 0.01
    assert "of $0.0100 spent (0%)" in run("show", job["id"]).out


def test_a_budget_needs_prices(
    run: Run, user_store: Store, asked: Callable[..., list[str]]
) -> None:
    """A model without one: exit 2 naming the setting, whatever the sum; else it goes."""
    ended = run(*asked("--budget", "1000", "--partial", model="some-other-model"))
    assert ended.code == 2
    assert "MAESTRALE_PRICES" in ended.err and "some-other-model" in ended.err
    assert run(*asked(model="some-other-model")).code == 0


@pytest.mark.parametrize("budget", ["lots", "5,50", "0"])
def test_a_budget_that_cannot_be_read_is_refused(
    run: Run, user_store: Store, asked: Callable[..., list[str]], budget: str
) -> None:
    """Exit 2, before anything is submitted."""
    assert run(*asked("--budget", budget)).code == 2
    assert run("jobs", "--json").facts == []


def test_resume_raises_a_budget_above_what_is_spent(
    run: Run, user_store: Store, spent: str
) -> None:
    """Doubts count as spent; the job stays paused while the sum is too small."""
    refused = run("resume", spent, "--budget", "0.0000015")
    assert (refused.code, the_job(user_store, spent).state) == (2, JobState.PAUSED)
    assert "has spent" in refused.err
    assert run("resume", spent, "--budget", "0.0000016").code == 0
    job = the_job(user_store, spent)
    assert (job.state, job.budget_nano) == (JobState.QUEUED, 1_600)
    assert run("resume", spent, "--budget", "5").code == 2


def test_a_running_job_shows_its_budget() -> None:
    """While it runs, at its end, and what to do when it is spent."""
    job = a_job(id="job_x", rows_total=9, calls_made=5, cost_nano=3 * NANO, budget_nano=5 * NANO)
    assert "$3.00 of $5.00" in display.progress_line(Progress(job))
    assert "$3.00 of $5.00 spent (60%)" in plain(showing.summary(job))
    paused = job.model_copy(update={"state": JobState.PAUSED, "state_reason": "budget: spent"})
    advice = showing.what_to_do(paused)
    assert advice is not None and "--budget" in plain(advice)
    unsure = job.model_copy(update={"calls_unpriced": 1, "calls_doubtful": 2})
    assert plain(showing.summary(unsure)).count("at least $3.00") == 2
    assert "2 doubtful calls" in money_words.budget(unsure)


# -- costs -----------------------------------------------------------------------------------------


def test_costs_are_listed_by_job_model_and_day(run: Run, user_store: Store, spent: str) -> None:
    """With what is perhaps paid apart; a job's own are by model."""
    shown = run("costs").out
    assert spent in shown and "perhaps" in shown
    told = run("costs", spent, "--json").facts
    assert (told["by"], told["costs"][0]["key"]) == ("model", "mistral-small-latest")
    assert told["total"]["cost"] == {"usd": 1e-6, "is_whole": True, "unpriced_calls": 0}
    assert told["total"]["doubtful"] == {"calls": 1, "usd": 5e-7}
    (day,) = run("costs", "--by", "day", "--since", "1d", "--json").facts["costs"]
    assert (len(day["key"]), day["calls"]) == (10, 1)


def test_unknown_prices_are_said(run: Run, user_store: Store, spent: str) -> None:
    """`unknown` for a model, `at least` for a sum, never zero."""
    with user_store.write() as connection:
        calls.store(connection, [a_call(job_id=spent, model="odd", cost_nano=None)])
    shown = run("costs", "--by", "model").out
    assert "unknown" in shown and "at least" in shown and "1 call of models without" in shown
    costs = {cost["key"]: cost for cost in run("costs", "--by", "model", "--json").facts["costs"]}
    assert costs["odd"]["cost"]["usd"] is None


def test_nothing_paid_is_said(run: Run, user_store: Store) -> None:
    """An empty list, not an empty table; a job that is not there is an error."""
    assert "Nothing was paid" in run("costs").out
    assert run("costs", "job_none").code == 2
    assert run("costs", "--since", "soon").code == 2


def test_hostile_model_names_are_harmless() -> None:
    """Escaped like all that came from elsewhere."""
    shown = plain(money_words.costs([Cost("\x1b[31mred"), Cost("[bold]x", 1, 1)], "model"))
    assert "\x1b" not in shown and "[bold]x" in shown


def test_a_plan_under_a_budget_says_what_has_no_price(
    run: Run, user_store: Store, tmp_path: Path
) -> None:
    """As the run would, before it."""
    folder = str(write_recipe(tmp_path / "small"))
    assert run("run", folder, "--plan").code == 0
    ended = run("run", folder, "--plan", "--budget", "5")
    assert ended.code == 2
    assert "a budget needs prices, and ft:open-mistral-nemo" in plain(ended.err)


def test_a_run_is_resumed_under_a_budget_where_all_has_a_price(
    run: Run, user_store: Store, tmp_path: Path
) -> None:
    """Else it would stand again once the training was paid for; without a budget it goes on."""
    begun = run("run", str(write_recipe(tmp_path / "small")), "--detach", "--json")
    job_id = begun.facts["run"]["id"]
    assert run("pause", job_id).code == 0
    refused = run("resume", job_id, "--budget", "5")
    assert refused.code == 2
    assert "a budget needs prices, and ft:open-mistral-nemo" in plain(refused.err)
    assert the_job(user_store, job_id).state == JobState.PAUSED
    assert run("resume", job_id).code == 0


# -- turns -----------------------------------------------------------------------------------------


def test_a_priority_is_set_until_the_job_is_settled(
    run: Run, user_store: Store, spent: str
) -> None:
    """0 to 9; a settled job's turn is over."""
    assert run("priority", spent, "0", "--json").facts["priority"] == 0
    assert the_job(user_store, spent).priority == 0
    assert run("priority", spent, "10").code == 2
    ended = a_stored_job(user_store, state=JobState.CANCELLED)
    assert run("priority", ended, "1").code == 2
