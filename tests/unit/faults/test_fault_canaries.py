"""Canaries are found as they are and within base64, whatever stands around them."""

import base64
import json

import pytest

from faults.canaries import holds

WORD = "canary-prompt-8b7e21"


@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("after", range(3))
def test_a_canary_in_the_body_of_a_message_is_found(before: int, after: int) -> None:
    """In each of the three alignments: the body says nothing to who looks for the word alone."""
    body = json.dumps([["x" * before, WORD + "y" * after], {}]).encode()
    sent = json.dumps({"body": base64.b64encode(body).decode(), "headers": {}}).encode()
    assert WORD.encode() not in sent
    assert holds(sent, WORD)


def test_a_canary_as_it_is_is_found_and_another_word_is_not() -> None:
    """Half of it is none."""
    assert holds(f"a log: {WORD}".encode(), WORD)
    for other in (WORD[:-1], WORD[::-1]):
        assert not holds(other.encode(), WORD)
        for before in range(3):
            assert not holds(base64.b64encode(b" " * before + other.encode()), WORD)
