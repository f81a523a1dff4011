"""The content hash: no order counts, every change does (properties)."""

import copy
import random
from typing import Any

import pytest
from dataset_builders import a_chat, a_dataset, some_chats

from models.settings import Settings
from models.training.contents import ContentHash, content_hash
from producers.datasets.splitting import checked_shares, split

SEEDS = range(8)


def hash_of(rows: list[dict[str, Any]], part: str = "train") -> str:
    """The hash of rows that are all in one part."""
    found = ContentHash()
    for row in rows:
        found.add(part, row)
    return found.hexdigest()


@pytest.mark.parametrize("seed", SEEDS)
def test_order_does_not_count(seed: int) -> None:
    """Neither of rows nor of keys."""
    chance = random.Random(seed)
    rows = some_chats(50)
    turned = [dict(reversed(row.items())) for row in rows]
    chance.shuffle(turned)
    assert hash_of(turned) == hash_of(rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_change_changes_it(seed: int) -> None:
    """A character, a row more, a row less, a row twice, another part."""
    chance = random.Random(seed)
    rows = some_chats(20)
    place = chance.randrange(20)
    changed = copy.deepcopy(rows)
    changed[place]["messages"][chance.randrange(2)]["content"] += chance.choice("x .é")
    others = [changed, rows[:-1], [*rows, rows[place]], [*rows, a_chat("new", "q", "a")]]
    found = {hash_of(rows), hash_of(rows, "test"), *map(hash_of, others)}
    assert len(found) == 6


def test_the_files_have_the_hash_of_the_manifest(settings: Settings) -> None:
    """Before and after the split; a changed byte is seen."""
    whole = a_dataset(settings, some_chats(60))
    assert content_hash(whole.folder) == whole.manifest.hash
    divided = split(settings, "data", checked_shares(0.8, 0.1), count_tokens=False)
    assert divided.is_unchanged()
    assert divided.manifest.hash != whole.manifest.hash
    path = divided.path("train")
    path.write_bytes(path.read_bytes().replace(b"tell me", b"tell us", 1))
    assert not divided.is_unchanged()


def test_training_is_told_what_it_needs(settings: Settings) -> None:
    """The folder, the hash, rows and tokens of the parts."""
    a_dataset(settings, some_chats(60))
    ref = split(settings, "data", checked_shares(0.5, 0.5)).ref()
    assert ref.train_rows + ref.validation_rows == 60
    assert ref.train_tokens > 10 * ref.train_rows
    assert content_hash(settings.home / "datasets" / "data") == ref.hash
