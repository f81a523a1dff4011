"""What is kept of an answer: words of ours, and text that cannot hurt."""

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ServerDisconnectedError
from aiohttp.client_exceptions import ServerTimeoutError

from worker.webhooks.posting import EXCERPT, Trouble, named, safe_text, trouble_of

URL = "https://hooks.example.com/services/T00000000/XXXXXXXXXXXX?token=abcdefgh1234&n=1"
SIGNED = {"webhook-signature": "v1,AAAABBBBCCCC= v1,DDDDEEEEFFFF="}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (200, ""),
        (204, ""),
        (302, "redirected"),
        (410, "gone"),
        (404, "rejected"),
        (429, "rejected"),
        (500, "server_error"),
        (999, "server_error"),
        (103, "server_error"),
    ],
)
def test_a_status_has_a_word(status: int, word: str) -> None:
    """Only success has none."""
    assert trouble_of(status) == word


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError(), Trouble.TIMEOUT),
        (ServerTimeoutError(), Trouble.TIMEOUT),
        (ServerDisconnectedError(), Trouble.CONNECTION),
        (ClientConnectionError("x"), Trouble.CONNECTION),
        (ConnectionResetError(), Trouble.CONNECTION),
        (ClientPayloadError(), Trouble.GARBLED),
        (ValueError("x"), Trouble.GARBLED),
    ],
)
def test_an_error_has_a_word(error: Exception, word: Trouble) -> None:
    """Whatever the network does."""
    assert named(error) is word


def test_an_excerpt_is_a_kilobyte_of_text() -> None:
    """Controls, terminal sequences, NUL, broken UTF-8 and marks that turn text are gone."""
    text = safe_text(b"\x1b[31mred\x00\xff\xfe\r\nline\t\xe2\x80\xae" + b"x" * 5000, URL, SIGNED)
    assert text.startswith("[31mred\ufffd\ufffd\nline\tx")
    assert len(text.encode()) <= EXCERPT
    assert len(safe_text("ü".encode() * 4000, URL, SIGNED).encode()) <= EXCERPT


def test_an_excerpt_does_not_echo_what_is_secret() -> None:
    """A server that answers with the request: its URL's long parts and signatures are starred."""
    echo = f"POST {URL} webhook-signature: {SIGNED['webhook-signature']} n=1".encode()
    text = safe_text(echo, URL, SIGNED)
    for secret in ("T00000000", "XXXXXXXXXXXX", "abcdefgh1234", "AAAABBBB", "DDDDEEEE"):
        assert secret not in text
    assert "***" in text


def test_an_excerpt_does_not_end_in_half_a_secret() -> None:
    """Said over and over, the stars are so short that the cut comes within the kilobyte."""
    path = "/services/T00000000/XXXXXXXXXXXX"
    for shift in range(len(path)):
        text = safe_text(b" " * shift + path.encode() * 200, URL, SIGNED)
        assert "T0000" not in text
        assert "XXXX" not in text
