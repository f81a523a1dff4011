"""Who may send now: places, and that nobody takes another's."""

from builders import FakeClock

from models.store.attempts import Claimed
from worker.webhooks import lanes as rules
from worker.webhooks.lanes import AHEAD, FRESH_S, PLACES, QUICK_S, WIDE, Lanes


def some(endpoint: str, *numbers: int) -> list[Claimed]:
    """Claimed deliveries of an endpoint."""
    return [Claimed(n, f"evt_{n}", endpoint, 0, 1, "{}", "https://x.test", ()) for n in numbers]


def quick(lanes: Lanes, endpoint: str, number: int, now: float) -> None:
    """One attempt that went well and fast."""
    (one,) = some(endpoint, number)
    lanes.add([one], now)
    assert lanes.begin(now) == [one]
    lanes.end(one, now, well=True)


def test_a_new_lane_is_narrow_until_it_is_known() -> None:
    """One attempt at first; after a quick success four at once, and some claimed ahead."""
    lanes = Lanes()
    assert lanes.room(["a"], 0.0) == {"a": 1}
    lanes.add(some("a", 1, 2), 0.0)
    (first,) = lanes.begin(0.0)
    assert lanes.begin(0.0) == []
    assert lanes.room(["a"], 0.0) == {}
    lanes.end(first, 0.1, well=True)
    lanes.add(some("a", *range(3, 9)), 0.1)
    assert len(lanes.begin(0.1)) == WIDE
    assert lanes.under_way == WIDE
    assert lanes.room(["a"], 0.1) == {"a": AHEAD - 3}


def test_failure_slowness_and_hanging_narrow_it_again() -> None:
    """Whatever the reason, the next attempt is alone."""
    for end_at, well in ((0.1, False), (QUICK_S + 0.1, True)):
        lanes = Lanes()
        quick(lanes, "a", 0, 0.0)
        lanes.add(some("a", 1, 2, 3), 0.0)
        begun = lanes.begin(0.0)
        assert len(begun) == 3
        for one in begun:
            lanes.end(one, end_at, well=well)
        lanes.add(some("a", 4, 5), end_at)
        assert len(lanes.begin(end_at)) == 1
    lanes = Lanes()
    quick(lanes, "a", 0, 0.0)
    lanes.add(some("a", 1), 0.0)
    lanes.begin(0.0)
    lanes.add(some("a", 2, 3), QUICK_S + 0.1)
    assert lanes.begin(QUICK_S + 0.1) == [], "its first one hangs"


def test_a_hundred_hanging_endpoints_leave_room() -> None:
    """They hold sockets, and after a second no places: all of the others are served."""
    lanes = Lanes()
    for number in range(100):
        lanes.add(some(f"bad{number}", number), 0.0)
    assert len(lanes.begin(0.0)) == PLACES
    later = QUICK_S + 0.1
    assert len(lanes.begin(later)) == 100 - PLACES
    lanes.add(some("good", 1000), later)
    assert [one.id for one in lanes.begin(later)] == [1000]
    assert lanes.under_way == 101


def test_there_is_an_end_to_hanging_ones(monkeypatch) -> None:
    """Sockets are not endless."""
    monkeypatch.setattr(rules, "MOST", 3)
    lanes = Lanes()
    for number in range(5):
        lanes.add(some(f"bad{number}", number), 0.0)
    assert len(lanes.begin(0.0)) == 3
    assert lanes.begin(5.0) == []


def test_lanes_take_turns() -> None:
    """A crowd in one lane is not served before the others."""
    lanes = Lanes()
    quick(lanes, "crowd", 0, 0.0)
    lanes.add(some("crowd", *range(1, 10)), 0.0)
    lanes.add(some("b", 20), 0.0)
    lanes.add(some("c", 30), 0.0)
    names = [one.endpoint_id for one in lanes.begin(0.0)]
    assert set(names[:3]) == {"crowd", "b", "c"}
    assert names.count("crowd") == WIDE


def test_what_waited_too_long_is_left_to_its_claim(clock: FakeClock) -> None:
    """An attempt must end before its claim does: else another process makes it too."""
    lanes = Lanes()
    lanes.add(some("a", 1), clock())
    clock.advance(FRESH_S + 0.1)
    lanes.add(some("a", 2), clock())
    assert [one.id for one in lanes.begin(clock())] == [2]


def test_the_rest_is_given_back() -> None:
    """On closing: what has not begun."""
    lanes = Lanes()
    lanes.add(some("a", 1, 2), 0.0)
    lanes.begin(0.0)
    assert [one.id for one in lanes.give_back()] == [2]
    assert lanes.give_back() == []


def test_lanes_of_long_ago_are_forgotten(monkeypatch) -> None:
    """A process that saw ten thousand endpoints of jobs does not keep them all; busy ones stay."""
    monkeypatch.setattr(rules, "REMEMBERED", 10)
    lanes = Lanes()
    lanes.add(some("busy", 999), 0.0)
    lanes.begin(0.0)
    for number in range(50):
        quick(lanes, f"job{number}", number, 0.0)
    assert len(lanes._lanes) <= 12
    lanes.end(*some("busy", 999), 0.1, well=True)
