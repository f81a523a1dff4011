"""Limits and waits in headers, with everything that was seen or could be sent in them."""

from datetime import UTC, datetime

import pytest

from worker.gateway.faults import LimitHeaders
from worker.gateway.headers import read_limits, read_retry_after

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("1.5", 1.5),
        (" 12 ", 12.0),
        ("300", 300.0),
        ("86400", 300.0),
        ("9" * 60, 300.0),
        ("9" * 5000, None),
        ("-1", 0.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2099 11:00:00 GMT", 300.0),
        ("Sun, 22 Nov 2026 12:00:30", 30.0),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("--1", None),
        (".", None),
        ("²", None),
        ("1;2", None),
    ],
)
def test_retry_after_is_clamped_or_ignored(text: str, seconds: float | None) -> None:
    """Between 0 and 300 seconds, or nothing at all."""
    assert read_retry_after({"retry-after": text}, NOW) == seconds


def test_no_retry_after_is_the_usual_case() -> None:
    """Mistral does not send one."""
    assert read_retry_after({}) is None


def test_limits_are_read_from_their_five_headers() -> None:
    """Each header goes to its own field."""
    headers = {
        "x-ratelimit-limit-req-minute": "720",
        "x-ratelimit-remaining-req-minute": "719",
        "x-ratelimit-limit-tokens-minute": "5000000",
        "x-ratelimit-remaining-tokens-minute": "4999000",
        "x-ratelimit-tokens-query-cost": "1000",
    }
    assert read_limits(headers) == LimitHeaders(720, 719, 5_000_000, 4_999_000, 1000)


@pytest.mark.parametrize("text", ["", "many", "-1", "1.5", "9" * 5000, "²", "0x10"])
def test_garbage_in_a_limit_is_no_limit(text: str) -> None:
    """One bad header does not hide the others, and alone it says nothing."""
    assert read_limits({"x-ratelimit-limit-req-minute": text}) is None
    both = {"x-ratelimit-limit-req-minute": text, "x-ratelimit-tokens-query-cost": "3"}
    assert read_limits(both) == LimitHeaders(tokens_query_cost=3)


def test_no_limit_header_means_no_limits() -> None:
    """vLLM and llama.cpp send none."""
    assert read_limits({"content-type": "application/json"}) is None
