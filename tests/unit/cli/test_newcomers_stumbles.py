"""What stopped newcomers who followed the pages: each command says what comes next."""

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_stored_job, claimed, done, failed, settled
from cli_builders import Ended

from models.recipes import load_recipe
from models.settings import Settings
from models.store import registry
from models.store.engine import Store
from models.tables import TunedModel
from producers.client import Maestrale
from producers.evaluating import Evaluating, Wish

Run = Callable[..., Ended]
OVER_THERE = "ft:ministral-3b-latest:p_x:20261123:abcdef12"
ROWS = '{"id": "a", "text": "good", "query": "any news?", "label": "news_related"}\n'


@pytest.fixture
def texts(tmp_path: Path) -> str:
    """A row that the recipe `translate` and the suite `tak` can use."""
    (tmp_path / "texts.jsonl").write_text(ROWS)
    return str(tmp_path / "texts.jsonl")


@pytest.fixture
def tuned(user_store: Store) -> str:
    """The name of a model that was tuned with the provider."""
    model = TunedModel(
        name="mine-01",
        base="ministral-3b-latest",
        trainer="mistral",
        place=OVER_THERE,
        job_id=a_stored_job(user_store),
        parameters="{}",
        created_at=0.0,
    )
    with user_store.write() as connection:
        registry.register(connection, model, {})
    return model.name


def test_a_model_tuned_over_there_is_asked_by_its_name_in_the_registry(
    tuned: str, texts: str
) -> None:
    """The provider knows its own id alone; another name goes as it is."""
    with Maestrale(Settings(_env_file=None)) as maestrale:
        wish = Wish("tak", (f"{tuned}@bare", "other@guided"), data=texts)
        with Evaluating(maestrale).plan(wish) as plan:
            asked = plan.evaluation.contestants
        assert [one.label for one in asked] == [f"{OVER_THERE}@bare", "other@guided"]
        with maestrale.plan(texts, "translate", model=tuned) as plan:
            assert list(plan.models) == [OVER_THERE]


def test_a_recipes_own_steps_may_name_it_so(tuned: str, texts: str) -> None:
    """As `--model` may; models of the API stay as they are."""
    recipe = load_recipe("translate")
    step = recipe.steps[0]
    steps = [step.model_copy(update={"name": name, "model": name}) for name in (tuned, "other")]
    with Maestrale(Settings(_env_file=None)) as maestrale:
        asking = recipe.model_copy(update={"steps": steps})
        with maestrale.plan(texts, asking) as plan:
            assert [one.model for one in plan.recipe.steps] == [OVER_THERE, "other"]
        with maestrale.plan(texts, recipe) as plan:
            assert plan.recipe.hash == recipe.hash


def test_the_report_knows_the_lineage_of_what_the_provider_tuned(
    user_store: Store, tuned: str
) -> None:
    """A model is found by the id that evaluations ask it by."""
    with user_store.read() as connection:
        found = registry.by_place(connection, OVER_THERE)
    assert found is not None
    assert found.name == tuned


def test_status_counts_jobs_past_the_end_of_its_list(run: Run, user_store: Store) -> None:
    """Sixty are sixty, though fifty are listed."""
    for state in ("paused", "running"):
        for _ in range(60):
            a_stored_job(user_store, rows_count=1, state=state, spec="{}", estimate="{}")
    told = " ".join(run("status").out.split())
    assert "jobs paused 60:" in told
    assert "jobs under way 60 " in told


def test_what_moves_a_job_says_how_to_go_on(run: Run, user_store: Store) -> None:
    """Pause leads to resume, also by `status`; resume and retry lead to watch."""
    job_id = a_stored_job(user_store, rows_count=2, spec="{}", estimate="{}", max_failed_share=0.5)
    assert f"maestrale resume {job_id}" in run("pause", job_id).out
    assert "jobs paused" in run("status").out
    assert f"maestrale watch {job_id}" in run("resume", job_id).out
    assert "jobs paused" not in run("status").out
    held = claimed(user_store, job_id)
    assert settled(user_store, held, [done(held, 0), failed(held, 1)])
    assert f"maestrale watch {job_id}" in run("retry", job_id).out


def test_the_same_once_more_leads_to_its_records(run: Run, texts: str) -> None:
    """Refused, since it is the same job; who wants the file is told how to have it."""
    generate = ("generate", texts, "--recipe", "translate", "--detach")
    job_id = run(*generate, "--json").facts["job"]["id"]
    refused = run(*generate)
    assert refused.code == 2
    assert f"maestrale export {job_id}" in refused.err


def test_costs_without_doubts_have_no_column_for_them(run: Run) -> None:
    """An empty column of a strange name is a riddle."""
    assert "perhaps" not in run("costs").out
