"""What a server says is made safe before it is stored or shown."""

import pytest

from worker.gateway.scrubbing import scrub

KEY = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4f"
PROMPT = 'Translate the diary of "Anna Kowalska", born in 1931:\nDear diary, today…'
ASKED = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": PROMPT}]}


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is not valid",
        f"Authorization: Bearer {KEY}",
        "authorization='s3cr3t-4nd-sh0rt'",
        "bearer abc.def",
        "api_key=sk-abcdefgh12345678",
        "use sk-abcdefgh12345678 instead",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
        "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0",
    ],
)
def test_keys_and_tokens_are_hidden(text: str) -> None:
    """The key itself, and what looks like one."""
    clean = scrub(text, key=KEY)
    assert "[…]" in clean
    for secret in (KEY, "s3cr3t", "abc.def", "12345678", "eyJzdW", "Zz9Yy8"):
        assert secret not in clean


@pytest.mark.parametrize(
    "text",
    [
        "Invalid model: mistral-small-latest",
        "Rate limit exceeded",
        "Prompt contains 40000 tokens, max_tokens: 500, prompt_cache_key_unknown",
        "Schema is invalid at $.properties.name",
    ],
)
def test_useful_words_stay(text: str) -> None:
    """Model names, numbers and places are what the message is for."""
    assert scrub(text, key=KEY, request=ASKED) == text


@pytest.mark.parametrize(
    "text",
    [
        PROMPT,
        f"cannot read {PROMPT!r}",
        f"bad request: {ASKED}",
        'near "born in 1931:\nDear diary" (line 2)',
    ],
)
def test_an_echo_of_the_prompt_is_hidden(text: str) -> None:
    """However it is quoted, no run of 16 characters of the request comes back."""
    clean = scrub(text, key=KEY, request=ASKED)
    assert "Kowalska" not in clean
    assert "Dear diary" not in clean


def test_a_short_prompt_is_hidden_whole() -> None:
    """Too short for the window, so it is looked for as it is."""
    assert scrub("bad: pin 4711!", request={"input": ["pin 4711"]}) == "bad: […]!"
    chunks = {"messages": [{"content": [{"type": "text", "text": "pin 4711"}]}]}
    assert scrub("bad: pin 4711!", request=chunks) == "bad: […]!"


def test_what_a_cut_leaves_of_an_echo_is_dropped() -> None:
    """A piece too short to be known at the edge of a long text."""
    text = "x" * 590 + PROMPT
    assert "Translate" not in scrub(text, request=ASKED)


def test_the_rest_is_short_and_printable() -> None:
    """300 characters, one line, no control or bidirectional characters."""
    clean = scrub("a\x00b\x1b[31m\r\n\tc\u202ed" + "e" * 1000)
    assert len(clean) == 300
    assert clean.isprintable()


def test_a_key_that_is_no_secret_hides_nothing() -> None:
    """Servers without keys are given `x`."""
    assert scrub("x marks the spot", key="x") == "x marks the spot"


def test_echoes_are_found_wherever_they_lie() -> None:
    """At every offset and length from 16 characters on; shorter ones may stay."""
    asked = {"input": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    for before in range(20):
        for start in range(20):
            for length in (16, 17, 31):
                echo = asked["input"][start : start + length]
                text = "-" * before + echo + "+" * (before % 3)
                expected = "-" * before + "[…]" + "+" * (before % 3)
                assert scrub(text, request=asked) == expected
