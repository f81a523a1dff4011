"""What a worker tells Prometheus: the whole list, and nothing that is not so."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import BadInputError
from models.limits import Limit
from models.metrics import WORKER
from models.payloads import Usage
from models.settings import parse_address
from worker.call_counts import CallCounts
from worker.exporter import Sources, expose
from worker.gateway.faults import Fault, FaultKind
from worker.limiter import ModelUse


def a_use(**changes: Any) -> ModelUse:
    """A model under a limit told."""
    values: dict[str, Any] = {
        "model": "small",
        "limit": Limit(600, 60_000, "told"),
        "rate": 9.5,
        "hold_s": 1.5,
        "circuit_level": 0,
        "waiting": 3,
        "in_flight": 4,
        "granted": 100,
        "refusals": 2,
        "waited_s": 12.5,
        "processes": 1,
        "redis_away": True,
    }
    return ModelUse(**{**values, **changes})


def told(use: ModelUse, figures: CallCounts) -> dict[tuple[str, ...], float]:
    """Samples by name and labels."""
    healthy = asyncio.Event()
    sources: Any = Sources(
        figures=figures,
        limiter=SimpleNamespace(snapshot=lambda: [use]),  # type: ignore[arg-type]
        shards=SimpleNamespace(places=SimpleNamespace(taken=7), held={1: 1}),  # type: ignore[arg-type]
        ledger=SimpleNamespace(  # type: ignore[arg-type]
            spool_bytes=99, writer=SimpleNamespace(backlog=5, healthy=healthy)
        ),
        deliverer=SimpleNamespace(attempted=Counter(delivered=6, failed=1)),  # type: ignore[arg-type]
    )
    samples = [sample for family in expose(sources) for sample in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in samples}


def test_all_of_the_list_is_served() -> None:
    """No metric stands in the documents that nobody serves."""
    figures = CallCounts()
    figures.answered("job_a", "small", 250, Usage(10, 5, 4), 2_000_000)
    figures.answered("job_a", "small", 150, Usage(10, 5, 4), None)
    figures.failed("job_a", "small", Fault(FaultKind.QUOTA, "no", 429))
    found = told(a_use(), figures)
    for metric in WORKER:
        assert any(name.startswith(metric.name) for name, *_ in found), metric.name
    name = "maestrale_worker_"
    assert found[f"{name}calls_total", "small", "answered"] == 2
    assert found[f"{name}calls_total", "small", "quota"] == 1
    assert found[f"{name}cost_usd_total", "small"] == 0.002
    assert found[f"{name}calls_unpriced_total", "small"] == 1
    assert found[f"{name}tokens_total", "small", "prompt"] == 20
    assert found[f"{name}call_duration_seconds_bucket", "small", "0.2"] == 1
    assert found[f"{name}call_duration_seconds_sum", "small"] == pytest.approx(0.4)
    assert found[f"{name}limit_calls_per_second", "small", "told"] == 10
    assert found[f"{name}limit_tokens_per_second", "small", "told"] == 1000
    assert found[f"{name}limiter_wait_seconds_count", "small"] == 100
    assert found[f"{name}may_call",] == 0
    assert found[f"{name}webhook_attempts_total", "delivered"] == 6
    assert found[f"{name}rows_in_flight",] == 7


def test_a_limit_nobody_knows_is_absent_and_not_zero() -> None:
    """An alarm on `rate == 0` must not ring for a model that is not paced."""
    found = told(a_use(limit=None, rate=None), CallCounts())
    names = {name for name, *_ in found}
    assert not any("limit_calls" in name or "limiter_rate" in name for name in names)


@pytest.mark.parametrize("address", ["9464", ":9464", "localhost", "h:", "h:x", "h:0", "h:65536"])
def test_an_address_that_is_none_is_refused_with_advice(address: str) -> None:
    """Before anything is opened."""
    with pytest.raises(BadInputError, match=r"127\.0\.0\.1:9464"):
        parse_address(address)


def test_addresses() -> None:
    """Names, IPv4 and IPv6."""
    assert parse_address("127.0.0.1:9464") == ("127.0.0.1", 9464)
    assert parse_address("[::1]:1") == ("::1", 1)
