"""Which documents a question gets."""

from typing import Any

import pytest

from models.suites.microrna import names_in
from models.suites.retrieving import (
    NameIndex,
    Ranked,
    fitted,
    names_of,
    ranked,
    tokens_at_most,
    typical_texts,
)
from models.suites.schema import Retrieval
from producers.tokens import token_counter

SCORES = {0: 0.1, 1: 0.9, 2: 0.5, 3: 0.8, 4: 0.3}


def places(found: list[Ranked]) -> list[tuple[int, str]]:
    return [(one.place, one.why) for one in found]


def rank(matching: dict[int, int], top_k: int) -> list[tuple[int, str]]:
    nearest = sorted(SCORES, key=lambda place: -SCORES[place])
    return places(ranked(matching, SCORES.__getitem__, nearest, top_k))


def test_documents_that_name_the_same_come_first_then_the_nearest() -> None:
    """Whatever their cosines, and none of them twice."""
    assert rank({1: 3}, 3) == [(1, "entity"), (3, "cosine"), (2, "cosine")]
    assert rank({0: 3, 4: 3}, 4) == [(4, "entity"), (0, "entity"), (1, "cosine"), (3, "cosine")]


def test_better_matches_come_before_nearer_ones() -> None:
    """The molecule itself before its family."""
    assert rank({1: 1, 0: 3}, 2) == [(0, "entity"), (1, "entity")]


def test_of_many_matches_the_nearest_are_taken() -> None:
    """No more than there is place for."""
    assert rank(dict.fromkeys(SCORES, 3), 2) == [(1, "entity"), (3, "entity")]


def test_without_names_the_nearest_are_taken_or_all_there_are() -> None:
    """As many as wanted, if there are as many."""
    assert rank({}, 2) == [(1, "cosine"), (3, "cosine")]
    assert len(rank({}, 12)) == len(SCORES)


def test_documents_are_whole_or_not_there() -> None:
    """One that is too large leaves its room to those after it, and is told."""
    texts = {0: "a" * 300, 1: "b" * 3_000, 2: "c" * 300}
    found = [Ranked(place, 1.0, "cosine") for place in texts]
    shelf = fitted(found, texts.__getitem__, room=300)
    assert [one.place for one in shelf.shown] == [0, 2]
    assert [one.place for one in shelf.left_out] == [1]
    assert shelf.tokens <= 300


@pytest.mark.parametrize(
    "text",
    [
        "Plain English prose, as papers have it. ",
        "the role of miR-155-5p in 12 patients, ",
        "Der Bundesrat erläßt. ",
        "1,5 % ",
    ],
)
def test_tokens_are_counted_too_high_rather_than_too_low(text: str) -> None:
    """Against a real tokenizer."""
    counter = token_counter()

    assert tokens_at_most(text * 50) >= counter.count(text * 50)


def test_an_index_finds_documents_by_any_of_the_names() -> None:
    """With how well they match the best of them."""
    index = NameIndex()
    for place, text in enumerate(("miR-21-5p", "miR-23", "miR-200a", "miR-21, miR-23b")):
        index.add(place, names_in(text))
    assert index.matching(names_in("hsa-mir-21")) == {0: 3, 3: 3}
    assert index.matching(names_in("miR-23b")) == {1: 1, 3: 3}
    assert index.matching(names_in("miR-21 or miR-23")) == {0: 3, 1: 3, 3: 3}
    assert index.matching(names_in("miR-200b")) == {}


@pytest.mark.parametrize(
    ("doc", "names"),
    [
        ({"molecules": ["miR-21"], "title": "of miR-155"}, ["miR-21", "miR-155"]),
        ({"molecules": "miR-21"}, ["miR-21"]),
        ({"molecules": None, "title": "let-7"}, ["let-7"]),
        ({"parts": [{"text": "miR-9"}]}, ["miR-9"]),
        ({"molecules": [3, {"x": "miR-1"}], "year": 2019}, ["miR-1"]),
        ({}, []),
    ],
)
def test_a_document_names_what_it_lists_and_what_it_says(
    doc: dict[str, Any], names: list[str]
) -> None:
    """The list first; anywhere in its texts then."""
    assert [one.name for one in names_of("microrna", doc, "molecules")] == names


def test_typical_documents_fit() -> None:
    """As many as may be shown, and no more than there is room for."""
    told = Retrieval(query="q", document="d")
    assert len(typical_texts(told)) == 12
    small = Retrieval(query="q", document="d", context_tokens=1500)
    assert 0 < len(typical_texts(small)) < 3
