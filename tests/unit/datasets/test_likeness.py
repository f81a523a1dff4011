"""Exact and near duplicates: what counts as the same, and what must not."""

import random
from pathlib import Path

import pytest
from dataset_builders import a_chat, a_dataset, read_rows, some_chats

from models.settings import Settings
from producers.datasets.likeness import bands_for, grams, jaccard

WORDS = [f"word{n}" for n in range(3000)]


def a_text(seed: int, count: int = 120) -> str:
    """A text of random words."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def kept(settings: Settings, rows: list, **wish: object) -> list[str]:
    """The ids that a dataset of these rows holds."""
    return [row["id"] for row in a_dataset(settings, rows, **wish).rows("rows")]


def test_the_same_but_for_case_and_spaces_is_exactly_the_same(settings: Settings) -> None:
    """The first stays; the other is written aside with its reason."""
    rows = [a_chat("a", "Who  is it?", "Me"), a_chat("b", "who is IT?", "me")]
    assert kept(settings, rows, dedupe="exact") == ["a"]
    rejects = read_rows(settings.home / "datasets/data/rejects.jsonl")
    assert [(one["code"], one["place"]) for one in rejects] == [("duplicate", "data.jsonl line 2")]


def test_near_duplicates_are_found(settings: Settings) -> None:
    """Each of 200 texts and the same with one word changed, among each other."""
    rows = [a_chat(f"o{n}", a_text(n), a_text(n + 1000)) for n in range(200)]
    near = [a_chat(f"n{n}", a_text(n) + " indeed", a_text(n + 1000)) for n in range(200)]
    assert kept(settings, rows + near, dedupe="near") == [f"o{n}" for n in range(200)]


def test_two_questions_about_one_long_text_are_two_rows(settings: Settings) -> None:
    """Prompts that are nearly the same do not make rows alike whose answers differ."""
    text = a_text(1, 900)
    rows = [a_chat("a", f"{text} Who?", "the nurse"), a_chat("b", f"{text} Why?", "for money")]
    assert kept(settings, rows, dedupe="near") == ["a", "b"]


def test_the_same_text_with_another_label_is_kept(settings: Settings) -> None:
    """It is a contradiction to look at, not a duplicate."""
    rows = [{"id": label, "text": "rain today", "labels": {"topic": label}} for label in ("a", "b")]
    assert kept(settings, rows, dedupe="near") == ["a", "b"]


def test_a_template_makes_no_rows_alike(settings: Settings) -> None:
    """A long instruction before short queries: only the queries are compared."""
    long = a_text(5, 400)
    rows = [a_chat(f"r{n}", f"{long}\n{a_text(n, 6)}", "yes") for n in range(40)]
    assert len(kept(settings, rows, dedupe="near")) == 40


def test_rows_are_compared_with_what_is_kept(settings: Settings) -> None:
    """In a chain each row is near the one before; the third is far from the first."""
    steps = [" ".join([a_text(1), a_text(2, 12 * n)]) for n in range(3)]
    rows = [a_chat(f"chain{n}", text, "yes") for n, text in enumerate(steps)]
    found = kept(settings, [*rows, *some_chats(20)], dedupe="near")
    assert [row_id for row_id in found if "chain" in row_id] == ["chain0", "chain2"]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_find_pairs_at_the_threshold(threshold: float) -> None:
    """Of pairs exactly at the threshold 99% share a band."""
    bands = bands_for(threshold)
    assert 1 - (1 - threshold ** (128 // bands)) ** bands >= 0.99


def test_likeness_is_the_share_in_common() -> None:
    """Of runs of five bytes; two empty texts are the same."""
    assert jaccard(grams("abcdefgh"), grams("abcdefgh")) == 1
    assert jaccard(grams("abcdef"), grams("abcdeg")) == pytest.approx(1 / 3)
    assert jaccard(grams("abcdef"), grams("uvwxyz")) == 0


def test_nothing_is_left_in_the_folder(settings: Settings) -> None:
    """Scratch files are anonymous: what stands is what the manifest tells of."""
    dataset = a_dataset(settings, some_chats(30), dedupe="near")
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["dataset.json", "rows.jsonl"]
    assert [path.name for path in Path(dataset.folder.parent).iterdir()] == ["data"]
