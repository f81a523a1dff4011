"""Tokens are counted offline, quickly enough, and guesses say that they are guesses."""

import subprocess
import sys

import pytest

from producers import tokens
from producers.tokens import TokenCounter, count, token_counter


def test_the_bundled_tokenizer_is_used():
    """Counting is exact, offline (unit tests have no sockets), and takes specials for text."""
    assert token_counter().exact
    assert count("") == 0
    assert count("hello world") == 2
    assert count("[INST] hi [/INST]") > 6
    assert count("ab" * 5) <= count("ab" * 50)


@pytest.mark.parametrize("character", ["a", " ", "\n", "é", "漢", "\ud800", "\0"])
def test_no_text_breaks_the_count(character):
    """Runs that defeat the tokenizer's regular expression are counted in pieces."""
    assert 0 < count(character * 200_000) <= 800_000


def test_importing_it_loads_no_tokenizer():
    """`--help` must not pay for the tokenizer: the import leaves mistral_common unloaded."""
    program = "import sys, producers.tokens; sys.exit('mistral_common' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_few_texts_are_all_counted():
    """Up to 200 texts the estimate is the count."""
    texts = [f"text number {n}" for n in range(200)]
    estimate = token_counter().sample(texts)
    assert estimate.tokens == sum(count(text) for text in texts)
    assert (estimate.texts, estimate.counted, estimate.exact) == (200, 200, True)
    assert estimate.characters == sum(map(len, texts))


def test_many_texts_are_sampled():
    """Of many texts a share is counted, and the whole is right within a few percent."""
    seen = []
    counter = TokenCounter(lambda text: seen.append(text) or len(text) // 3)
    texts = ("short " * (n % 7 + 1) for n in range(20_000))
    estimate = counter.sample(texts, share=0.05)
    truth = sum(len("short " * (n % 7 + 1)) // 3 for n in range(20_000))
    assert estimate.tokens == pytest.approx(truth, rel=0.03)
    assert 900 < estimate.counted == len(seen) < 1500
    assert not estimate.exact


def test_a_sample_of_none_scales_by_the_first():
    """With a share of 0 the first 200 texts speak for all, though they are shorter."""
    counter = TokenCounter(lambda text: len(text) // 2)
    estimate = counter.sample(["ab"] * 200 + ["abcd"] * 100, share=0)
    assert (estimate.tokens, estimate.counted) == (400, 200)
    assert counter.sample([]).tokens == 0


def test_without_the_data_tokens_are_guessed_and_said_to_be(monkeypatch):
    """Four characters a token, rounded up, and `exact` is False."""
    monkeypatch.setattr(tokens, "_DATA_FILE", "not-in-the-wheel.json")
    token_counter.cache_clear()
    try:
        counter = token_counter()
        assert not counter.exact
        assert (counter.count("abcde"), counter.count("")) == (2, 0)
        assert not counter.sample(["abcd"]).exact
    finally:
        token_counter.cache_clear()
