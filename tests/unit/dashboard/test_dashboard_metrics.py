"""What the dashboard tells Prometheus: the whole list, and what is left of it in trouble."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from dashboard import metrics
from dashboard.metrics import Broker, expose
from models.metrics import DASHBOARD
from models.store.views.board import Standing
from models.store.views.overview import JobNumbers, Overview, Spent


def a_standing(**changes: Any) -> Standing:
    """An account that uses a model, paced."""
    values: dict[str, Any] = {
        "account": "a",
        "model": "small",
        "requests_per_minute": 600.0,
        "tokens_per_minute": None,
        "source": "told",
        "seen_at": 990.0,
        "processes": 2,
        "rate_per_s": 9.0,
        "calls_per_s": 4.0,
        "hold_until": None,
        "waiting": 3,
    }
    return Standing(**{**values, **changes})


def an_overview(*models: Standing) -> Overview:
    """One job under way."""
    job = JobNumbers("job_a", "generate", "amira", 10, 4, 1, 5, 2, 0, 1_500_000_000, 2_000_000_000)
    return Overview(
        now=1000.0,
        jobs={"running": 1},
        unfinished=[job],
        rows={"done": 4, "failed": 1, "open": 5},
        shards={"open": 1, "leased": 2},
        lease_overdue_s=0.0,
        unrelayed=1,
        unrelayed_oldest_s=2.5,
        deliveries={"pending": 4},
        deliveries_late_s=7.0,
        endpoints={"active": 1},
        spent={"small": Spent(5, 1, 1_500_000_000)},
        workers=2,
        spool_bytes=10,
        backlog=3,
        models=list(models) or [a_standing()],
    )


def told(found: Overview | None, waiting: int | None) -> dict[tuple[str, ...], float]:
    """Samples by name and labels."""
    samples = [sample for family in expose(found, waiting) for sample in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in samples}


def test_all_of_the_list_is_served() -> None:
    """No metric stands in the documents that nobody serves, and money is in dollars."""
    found = told(an_overview(), 7)
    assert {name for name, *_ in found} == {metric.name for metric in DASHBOARD}
    ids = ("job_a", "generate", "amira")
    assert found["maestrale_job_rows", *ids, "open"] == 5
    assert found["maestrale_job_cost_usd", *ids] == 1.5
    assert found["maestrale_job_budget_usd", *ids] == 2
    assert found["maestrale_jobs", "running"] == 1
    assert found["maestrale_jobs", "paused"] == 0, "a state without jobs is told too"
    assert found["maestrale_queue_messages",] == 7
    assert found["maestrale_limiter_used_calls_per_second", "small"] == 4


def test_what_has_no_known_price_has_no_sum() -> None:
    """Absent, never 0; a sum that is known in part is told, beside the number of the rest."""
    job = JobNumbers("job_b", "generate", "amira", 10, 4, 1, 5, 2, 5, 0, None)
    spent = {"small": Spent(5, 1, 1_500_000_000), "secret": Spent(3, 3, 0)}
    found = told(replace(an_overview(), unfinished=[job], spent=spent), 0)
    assert not any(name == "maestrale_job_cost_usd" for name, *_ in found)
    assert found["maestrale_job_calls_unpriced_total", "job_b", "generate", "amira"] == 5
    assert found["maestrale_spending_usd", "small"] == 1.5
    assert ("maestrale_spending_usd", "secret") not in found


def test_without_the_database_it_says_so_and_nothing_else() -> None:
    """Old or invented numbers would look like health."""
    assert told(None, 7) == {
        ("maestrale_up",): 0,
        ("maestrale_broker_up",): 1,
        ("maestrale_queue_messages",): 7,
    }
    assert ("maestrale_queue_messages",) not in told(an_overview(), None)


def test_accounts_of_a_model_are_added_up() -> None:
    """Labels are models only; what is unpaced for one has no sum, and idle models are left out."""
    held = a_standing(account="b", rate_per_s=1.0, hold_until=1030.0)
    found = told(an_overview(a_standing(), held, a_standing(model="idle", processes=0)), 0)
    assert found["maestrale_limiter_allowed_calls_per_second", "small"] == 10
    assert found["maestrale_limiter_hold_seconds", "small"] == 30
    assert found["maestrale_limiter_waiting", "small"] == 6
    assert not any("idle" in labels for _, *labels in found)
    unpaced = told(an_overview(a_standing(), a_standing(account="b", rate_per_s=None)), 0)
    assert ("maestrale_limiter_allowed_calls_per_second", "small") not in unpaced


async def test_a_broker_that_never_answers_takes_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten scrapes of a black hole: each is answered in time, one question is under way."""
    hole, asked = threading.Event(), []

    def ask(app: object) -> int:
        asked.append(app)
        hole.wait(10)
        return 5

    monkeypatch.setattr(metrics, "queued", ask)
    monkeypatch.setattr(metrics, "BROKER_PATIENCE_S", 0.01)
    broker = Broker()
    assert await asyncio.gather(*(broker.queued("app") for _ in range(10))) == [None] * 10
    assert asked == ["app"]
    hole.set()
    monkeypatch.setattr(metrics, "BROKER_PATIENCE_S", 10)
    assert await broker.queued("app") == 5
