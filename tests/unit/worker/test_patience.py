"""When a message is taken for lost."""

import pytest

from worker.clock import MOMENT_S, SWEEP_S, patience_s


@pytest.mark.parametrize("lease_s", [6.0, 15.0, 60.0])
def test_a_lost_message_is_sent_again_within_two_leases(lease_s: float):
    """However long before the next sweep it is found to be lost."""
    assert patience_s(lease_s) + SWEEP_S < 2 * lease_s


def test_a_message_has_a_lease_of_time():
    """At the shortest lease, too: nothing is sent again that was sent just now."""
    assert patience_s(2.0) == 2.0


@pytest.mark.parametrize("lease_s", [2.0, 4.0, 5.9])
def test_after_a_short_lease_it_is_sent_again_by_the_next_sweep(lease_s: float):
    """Two leases may be over by then: a lease and the six seconds that a sweep may take."""
    assert patience_s(lease_s) + SWEEP_S + MOMENT_S == lease_s + 6
