"""Odd values are made storable before anything is written."""

from dataclasses import replace

import orjson
import pytest
from builders import a_call, a_doubt

from models.payloads import Usage
from models.store.rows import storable
from worker.ledger.sanitising import LARGEST_COST, LARGEST_COUNT, storable_call, storable_doubt


def test_an_ordinary_call_is_left_as_it_is() -> None:
    """Nothing is touched that a database takes."""
    for record in (a_call(), a_call(cost_nano=None, answer='{"content":"é 🎉 \\u0000"}')):
        assert storable_call(record) == record
    doubt = a_doubt()
    assert storable_doubt(doubt) == doubt


@pytest.mark.parametrize(
    ("given", "kept"), [(2**63, LARGEST_COUNT), (2**31, LARGEST_COUNT), (-5, 0), (7, 7)]
)
def test_counts_fit_their_columns(given: int, kept: int) -> None:
    """A server that counts wildly neither stops the ledger nor earns money."""
    record = storable_call(a_call(usage=Usage(given, given, given), latency_ms=given))
    assert record.usage == Usage(kept, kept, kept)
    assert record.latency_ms == kept


@pytest.mark.parametrize(("given", "kept"), [(2**64, LARGEST_COST), (-1, 0), (None, None)])
def test_costs_fit_their_column(given: int | None, kept: int | None) -> None:
    """An unknown cost stays unknown; one beyond all bounds is the largest there is."""
    assert storable_call(a_call(cost_nano=given)).cost_nano == kept
    assert storable_doubt(a_doubt(cost_nano=given)).cost_nano == kept


@pytest.mark.parametrize("text", ["a\0b", "lone \ud800", "\udfff\0"])
def test_texts_are_freed_of_what_databases_refuse(text: str) -> None:
    """No NUL and no lone surrogate is left, and the rest of the text is."""
    record = storable_call(replace(a_call(), model=text, answer=text))
    for kept in (
        record.model,
        record.answer,
        storable(text),
        storable_doubt(a_doubt(model=text)).model,
    ):
        assert "\0" not in kept
        assert kept.encode()
    assert orjson.dumps(record)


def test_storable_keeps_all_other_characters() -> None:
    """Only what cannot be stored is replaced."""
    assert storable("日本語 🎉 \u2028\t\x01") == "日本語 🎉 \u2028\t\x01"
