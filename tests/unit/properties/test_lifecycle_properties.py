"""Whatever order claims, deaths, pauses and retries come in, rows and lifecycles add up."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from lifecycle_machine import Lifecycles

from models.store.engine import Store


def test_lifecycles_hold_in_any_order(sqlite_store: Store) -> None:
    """Counters equal rows, only retry leaves a settled state, events are numbered without a gap."""
    run_state_machine_as_test(
        lambda: Lifecycles(sqlite_store), settings=settings(max_examples=40, stateful_step_count=30)
    )
