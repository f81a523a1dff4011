"""Splits: stable under growth, groups on one side, shares near what was asked (properties)."""

import random
import shutil
from collections import defaultdict

import pytest
from dataset_builders import a_chat, a_dataset, some_chats

from models.errors import BadInputError
from models.settings import Settings
from producers.datasets import Dataset, open_dataset
from producers.datasets.splitting import checked_shares, part_for, split
from producers.datasets.validating import validate

SHARES = checked_shares(0.8, 0.1)
SEEDS = range(12)


def sides(dataset: Dataset) -> dict[str, str]:
    """Row id -> part."""
    return {row["id"]: part for part in dataset.parts for row in dataset.rows(part)}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shares_obtained_are_near_those_asked_for(seed: int) -> None:
    """Within four standard deviations for random shares and ten thousand keys."""
    chance = random.Random(seed)
    train, validation = chance.uniform(0.3, 0.8), chance.uniform(0, 0.2)
    shares = checked_shares(train, validation)
    found = [part_for(f"{seed}-{n}", shares, seed) for n in range(10_000)]
    for part, share in shares.items():
        spread = 4 * (share * (1 - share) / 10_000) ** 0.5
        assert abs(found.count(part) / 10_000 - share) <= spread, part


def test_a_seed_divides_otherwise() -> None:
    """The same keys fall differently under another seed, and equally under the same."""
    keys = [str(n) for n in range(1000)]
    one, same, other = ([part_for(k, SHARES, seed) for k in keys] for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_growth_moves_no_row(settings: Settings, seed: int) -> None:
    """More rows, in another order: every old row stays where it was."""
    chance = random.Random(seed)
    rows = some_chats(300)
    before = sides(split_of(settings, rows[:200], seed))
    chance.shuffle(rows)
    after = sides(split_of(settings, rows, seed))
    assert len(after) == 300
    assert {row_id: after[row_id] for row_id in before} == before


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_no_group_stands_on_two_sides(settings: Settings, seed: int) -> None:
    """Groups of random sizes by a field of the rows' meta."""
    chance = random.Random(seed)
    rows = [a_chat(f"r{n}", f"q {n}", f"a {n}", molecule=chance.randrange(40)) for n in range(300)]
    dataset = split_of(settings, rows, seed, group_by="molecule")
    found = defaultdict(set)
    for part in dataset.parts:
        for row in dataset.rows(part):
            found[row["meta"]["molecule"]].add(part)
    assert {len(parts) for parts in found.values()} == {1}
    assert dataset.manifest.split
    assert dataset.manifest.split.groups == len(found)


def test_rows_of_one_input_row_stay_together(settings: Settings) -> None:
    """Without a field to group by, the input row that records come from is the group."""
    rows = [a_chat(f"p{n // 5}#{n % 5}", f"q {n}", f"a {n}", row=f"p{n // 5}") for n in range(300)]
    found = defaultdict(set)
    for row_id, part in sides(split_of(settings, rows, 7)).items():
        found[row_id.split("#")[0]].add(part)
    assert {len(parts) for parts in found.values()} == {1}


def test_a_row_without_the_field_is_a_group_of_its_own(settings: Settings) -> None:
    """They are counted, they fall as rows do, and a value that is a row's id is another group."""
    named = [a_chat(f"m{n}", f"q {n}", f"a {n}", molecule=f"r{n % 2}") for n in range(20)]
    dataset = split_of(settings, [*named, *some_chats(200)], 7, group_by="molecule")
    told = dataset.manifest.split
    assert told
    assert (told.groups, told.ungrouped) == (202, 200)
    alone = [part for row_id, part in sides(dataset).items() if row_id.startswith("r")]
    assert 0.6 < alone.count("train") / 200 < 0.95
    assert validate(settings, "data").is_good


def test_a_field_that_no_row_has_is_refused(settings: Settings) -> None:
    """With the fields that there are, before anything is written."""
    dataset = a_dataset(settings, [*some_chats(3), a_chat("x", "q", "a", topic="t")])
    with pytest.raises(BadInputError, match=r"no row of data has the field `molecule`.*`topic`"):
        split(settings, "data", SHARES, group_by="molecule")
    assert open_dataset(settings, "data") == dataset


def test_several_values_are_no_group(settings: Settings) -> None:
    """A list of one is its value; a list of two would stand in two groups."""
    rows = [a_chat("a", "q", "a", molecules=["x"]), a_chat("b", "other", "b", molecules=["x", "y"])]
    a_dataset(settings, rows)
    told = r"1 of 2 rows .*'b' has several values.*group by another field, or .* with one value"
    with pytest.raises(BadInputError, match=told) as caught:
        split(settings, "data", SHARES, group_by="molecules")
    assert "--require-field" not in str(caught.value)


@pytest.mark.parametrize(
    "shares", [(0.9, 0.2, None), (0.8, 0.1, 0.2), (0.0, 0.5, 0.5), (1.2, -0.2, None)]
)
def test_shares_must_sum_to_one(shares: tuple[float, float, float | None]) -> None:
    """And some rows are for training."""
    with pytest.raises(BadInputError, match="must sum to 1"):
        checked_shares(*shares)


def test_a_death_between_the_two_renames_is_undone(settings: Settings) -> None:
    """The dataset that was set aside comes back when somebody looks for it."""
    dataset = a_dataset(settings, some_chats(3))
    shutil.move(dataset.folder, dataset.folder.with_name(".data.before"))
    assert open_dataset(settings, "data") == dataset


def split_of(settings: Settings, rows: list, seed: int, group_by: str = "") -> Dataset:
    """These rows as a dataset, divided."""
    a_dataset(settings, rows)
    return split(settings, "data", SHARES, seed=seed, group_by=group_by, count_tokens=False)
