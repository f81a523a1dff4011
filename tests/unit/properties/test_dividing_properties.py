"""Things that are divided: datasets into parts, jobs into shards."""

from math import isclose
from typing import Any

from drawn import some
from hypothesis import assume, given
from hypothesis import strategies as st

from models.errors import BadInputError
from producers.datasets.splitting import checked_shares, group_of, part_for
from producers.submitting import LARGEST_SHARD, SMALLEST_SHARD, bounds_of, shard_size

SHARES = st.tuples(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100))
VALUES = st.none() | st.integers(0, 5) | st.text(max_size=3) | st.booleans() | st.just([7])
ROWS = st.lists(st.tuples(st.text(min_size=1, max_size=4), VALUES), max_size=60)


def shares_of(weights: tuple[int, int, int]) -> dict[str, float]:
    """Shares in these proportions."""
    train, validation, test = (weight / sum(weights) for weight in weights)
    return checked_shares(train, validation, test)


@some(150)
@given(ROWS, ROWS, SHARES, st.integers(0, 2**31))
def test_growth_moves_no_row_and_divides_no_group(
    rows: list[tuple[str, Any]], more: list[tuple[str, Any]], weights: Any, seed: int
) -> None:
    """A row's part follows from its group, the shares and the seed alone."""
    shares = shares_of(weights)
    parts: dict[str, str] = {}
    before: dict[tuple[str, str], str] = {}
    for row_id, value in [*rows, *more, *reversed(rows)]:
        group = group_of({"id": row_id, "meta": {"field": value}}, "field")
        part = part_for(group, shares, seed)
        assert parts.setdefault(group, part) == part, "a group stands in two parts"
        assert before.setdefault((row_id, group), part) == part, "a row moved"
        assert shares[part] > 0, "a part without a share got a row"


@some(40)
@given(SHARES, st.integers(0, 2**31))
def test_shares_are_obtained_within_chance(weights: tuple[int, int, int], seed: int) -> None:
    """Within five standard deviations of two thousand groups."""
    shares, count = shares_of(weights), 2000
    found = [part_for(str(n), shares, seed) for n in range(count)]
    for part, share in shares.items():
        spread = 5 * (share * (1 - share) * count) ** 0.5
        assert abs(found.count(part) - share * count) <= spread + 1e-9, part


@some(200)
@given(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5), st.none() | st.floats(-0.5, 1.5))
def test_shares_sum_to_one_or_are_refused(
    train: float, validation: float, test: float | None
) -> None:
    """Whatever is asked for."""
    try:
        shares = checked_shares(train, validation, test)
    except BadInputError as error:
        assert "must sum to 1" in str(error)
        assume(test is not None or train <= 0 or validation < 0 or train + validation > 1)
        return
    assert isclose(sum(shares.values()), 1) and min(shares.values()) >= 0 < shares["train"]


@some(300)
@given(st.integers(1, 2_000_000))
def test_shards_cover_each_row_once(count: int) -> None:
    """Without a gap, none empty, none larger than the largest."""
    size = shard_size(count)
    assert SMALLEST_SHARD <= size <= LARGEST_SHARD
    bounds = bounds_of(count, size)
    assert bounds[0][0] == 0 and bounds[-1][1] == count - 1
    for no, (first, last) in enumerate(bounds):
        assert first == no * size and 0 <= last - first < size
