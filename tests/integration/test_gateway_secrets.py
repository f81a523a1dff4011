"""The canary: no fault, log or error of the gateway tells the key or the prompt."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from raw_server import ANSWER, KEY, PROMPT, Handler, fault_of, http, read_request

from models.errors import SetupError
from worker.gateway.gateway import Gateway


@pytest.mark.parametrize(
    "url", ["", "api.mistral.ai", "ftp://x", "http://", "https://u:p@x", "http://[", "http://x?a=b"]
)
def test_a_url_that_is_none_is_told_before_anything_is_sent(url: str) -> None:
    """By the name of its setting."""
    with pytest.raises(SetupError, match="MISTRAL_BASE_URL"):
        Gateway(url, SecretStr(KEY))


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY} x", f"{KEY}ü"])
def test_a_key_that_is_none_is_told_without_being_shown(key: str) -> None:
    """A line end in a header would be an injection."""
    with pytest.raises(SetupError, match="MISTRAL_API_KEY") as error:
        Gateway("http://x", SecretStr(key))
    assert KEY not in str(error.value)


def test_a_line_end_after_the_key_is_forgiven() -> None:
    """`MISTRAL_API_KEY=$(cat file)` on some systems."""
    Gateway("http://x", SecretStr(f"{KEY}\n"))


def echoing(status: int, wrap: Callable[[str, Any], Any]) -> Handler:
    """A server that answers with all that it was told, in a shape of errors."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        answer = wrap(head.decode(), orjson.loads(body))
        said = answer.encode() if isinstance(answer, str) else orjson.dumps(answer)
        writer.write(http(status, said))

    return handler


ECHOES: list[Callable[[str, Any], Any]] = [
    lambda head, body: head,
    lambda head, body: {"message": f"cannot serve {head}", "code": 3003},
    lambda head, body: {"message": f"cannot read {body}", "type": str(body)},
    lambda head, body: {"detail": [{"loc": [str(body)], "msg": head, "input": body}]},
    lambda head, body: {"message": {"detail": [{"msg": PROMPT, "ctx": body}]}},
    lambda head, body: {"error": {"message": f"{KEY} {PROMPT}", "code": PROMPT}},
    lambda head, body: f"<html>{head}{body}</html>",
    lambda head, body: body,
    lambda head, body: {**ANSWER, "id": body, "choices": [{"message": PROMPT}]},
    lambda head, body: {**ANSWER, "usage": {PROMPT: KEY}, "model": body},
]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 429, 500, 520])
@pytest.mark.parametrize("wrap", ECHOES)
async def test_no_fault_or_log_tells_the_key_or_the_prompt(
    status: int, wrap: Callable[[str, Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a server echoes, in whatever shape."""
    caplog.set_level(logging.DEBUG)
    fault = await fault_of(echoing(status, wrap))
    for text in (repr(fault), fault.message, caplog.text):
        assert KEY not in text
        assert KEY[:12] not in text
        assert "Kowalska" not in text
        assert "canary prompt" not in text


async def test_the_gateway_itself_does_not_show_its_key() -> None:
    """In a traceback or a debugger's locals."""
    gateway = Gateway("http://x", SecretStr(KEY))
    assert KEY not in repr(gateway)
