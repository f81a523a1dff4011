"""The lifecycles as data: closed, reachable, and told apart."""

from enum import StrEnum

import pytest

from models.states import (
    DELIVERY_TRANSITIONS,
    ENDPOINT_TRANSITIONS,
    FINAL,
    JOB_TRANSITIONS,
    ROW_TRANSITIONS,
    SETTLED,
    SHARD_TRANSITIONS,
    WORKABLE,
    DeliveryState,
    EndpointState,
    FailureCode,
    JobKind,
    JobState,
    RowState,
    ShardState,
    sources_of,
)

MACHINES = [
    (JobState, JOB_TRANSITIONS, JobState.QUEUED),
    (RowState, ROW_TRANSITIONS, RowState.OPEN),
    (ShardState, SHARD_TRANSITIONS, ShardState.OPEN),
    (EndpointState, ENDPOINT_TRANSITIONS, EndpointState.ACTIVE),
    (DeliveryState, DELIVERY_TRANSITIONS, DeliveryState.PENDING),
]


@pytest.mark.parametrize(("states", "transitions", "first"), MACHINES)
def test_transitions_are_closed(
    states: type[StrEnum], transitions: dict[StrEnum, frozenset[StrEnum]], first: StrEnum
) -> None:
    """Every state has its line, every target is a state, none leads to itself, all are reached."""
    assert set(transitions) == set(states)
    assert all(nexts <= set(states) for nexts in transitions.values())
    assert all(state not in nexts for state, nexts in transitions.items())
    reached, ahead = {first}, [first]
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
    for names in (JobState, RowState, ShardState, JobKind, FailureCode):
        assert all(name.value == name.name.lower() for name in names)
    assert [state.value for state in JobState] == [
        *("queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled")
    ]
