"""The lifecycles as data: closed, reachable, and told apart."""

from enum import StrEnum

import pytest

from models.states import (
    DELIVERY_TRANSITIONS,
    ENDPOINT_TRANSITIONS,
    FINAL,
    JOB_TRANSITIONS,
    REMOTE_TRANSITIONS,
    REQUEST_TRANSITIONS,
    ROW_TRANSITIONS,
    SETTLED,
    SHARD_TRANSITIONS,
    STAGE_TRANSITIONS,
    WORKABLE,
    DeliveryState,
    EndpointState,
    FailureCode,
    JobKind,
    JobState,
    RemoteState,
    RequestState,
    RowState,
    ShardState,
    StageState,
    sources_of,
)
from models.store import remote
from models.store.views import operations_seen
from models.tables import RemoteOperation

MACHINES = [
    (JobState, JOB_TRANSITIONS, {JobState.QUEUED}),
    (RowState, ROW_TRANSITIONS, {RowState.OPEN}),
    (ShardState, SHARD_TRANSITIONS, {ShardState.OPEN}),
    (RemoteState, REMOTE_TRANSITIONS, {RemoteState.SENDING}),
    (RequestState, REQUEST_TRANSITIONS, {RequestState.WAITING, RequestState.FOLLOWS}),
    (StageState, STAGE_TRANSITIONS, {StageState.WAITING}),
    (EndpointState, ENDPOINT_TRANSITIONS, {EndpointState.ACTIVE}),
    (DeliveryState, DELIVERY_TRANSITIONS, {DeliveryState.PENDING}),
]
"""States, moves, and where a thing may begin."""


@pytest.mark.parametrize(("states", "transitions", "firsts"), MACHINES)
def test_transitions_are_closed(
    states: type[StrEnum], transitions: dict[StrEnum, frozenset[StrEnum]], firsts: set[StrEnum]
) -> None:
    """Every state has its line, every target is a state, none leads to itself, all are reached."""
    assert set(transitions) == set(states)
    assert all(nexts <= set(states) for nexts in transitions.values())
    assert all(state not in nexts for state, nexts in transitions.items())
    reached, ahead = set(firsts), list(firsts)
    while ahead:
        new = transitions[ahead.pop()] - reached
        reached |= new
        ahead += new
    assert reached == set(states)


def test_only_giving_up_is_final() -> None:
    """`retry` leads out of every other end."""
    assert {JobState.CANCELLED} == FINAL
    assert FINAL < SETTLED


def test_states_are_workable_settled_or_paused() -> None:
    """Nothing is worked on after its end, and only a pause is neither."""
    assert not WORKABLE & SETTLED
    assert set(JobState) - WORKABLE - SETTLED == {JobState.PAUSED}
    for state in WORKABLE | {JobState.PAUSED}:
        assert JobState.CANCELLED in JOB_TRANSITIONS[state]


def test_nothing_waits_for_ever() -> None:
    """From every state of waiting a move leads on, and remote work that is over stays over."""
    assert SHARD_TRANSITIONS[ShardState.WAITING] == {ShardState.OPEN}
    for over in (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED):
        assert not REMOTE_TRANSITIONS[over]
    for out in set(RemoteState) - {s for s, nexts in REMOTE_TRANSITIONS.items() if not nexts}:
        assert {RemoteState.FAILED, RemoteState.CANCELLED} <= REMOTE_TRANSITIONS[out]
    for asked in (RequestState.SENT, RequestState.FOLLOWS):
        assert RequestState.WAITING in REQUEST_TRANSITIONS[asked], "sent again, or instead"


def test_what_is_out_is_one_list() -> None:
    """The clock, the pages and the index of what is due mean the same open operations."""
    out = {state for state, nexts in REMOTE_TRANSITIONS.items() if nexts}
    assert set(remote.OPEN) == out
    assert set(operations_seen.OUT) == out
    table = RemoteOperation.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
    due = next(index for index in table.indexes if index.name == "remote_operations_due")
    condition = str(due.dialect_options["postgresql"]["where"])
    assert {state for state in RemoteState if f"'{state}'" in condition} == out


def test_sources_are_the_transitions_backwards() -> None:
    """`sources_of` names exactly the states whose line holds the target, in a stable order."""
    for target in JobState:
        sources = sources_of(target)
        assert set(sources) == {s for s, nexts in JOB_TRANSITIONS.items() if target in nexts}
        assert sources == sources_of(target)
    assert sources_of(JobState.PAUSED) == (JobState.QUEUED, JobState.RUNNING, JobState.WAITING)
    assert set(sources_of(JobState.SUCCEEDED)) == set(sources_of(JobState.FAILED))


def test_values_are_stable_words() -> None:
    """They stand in databases and users' scripts: lower case, no spaces, not changed lightly."""
    for names in (*(states for states, *_ in MACHINES), JobKind, FailureCode):
        assert all(name.value == name.name.lower() for name in names)
    assert [state.value for state in JobState] == [
        *("queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled")
    ]
