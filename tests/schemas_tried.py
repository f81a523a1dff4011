"""What schemathesis does in our tests: the same few cases for every operation in every run."""

from typing import Any

import drawn  # noqa: F401 # the profile, before any test is collected
import requests
import schemathesis
from schemathesis import GenerationMode

PATIENCE_S = 20.0
"""What takes longer hangs."""


def the_schema(description: dict[str, Any]) -> Any:
    """The operations of an OpenAPI description, for `parametrize`.

    `some(n)` bounds the cases that are drawn; those that try each part's own bounds come on top.
    """
    config = schemathesis.Config()
    config.projects.default.generation.update(
        modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], deterministic=True
    )
    return schemathesis.openapi.from_dict(description, config=config)


def operation(summary: str, **parts: Any) -> dict[str, Any]:
    """An operation that may answer anything."""
    return {"summary": summary, "responses": {"default": {"description": "anything"}}, **parts}


def parameter(name: str, place: str, *known: Any) -> dict[str, Any]:
    """A text, now and then one that is known to mean something."""
    schema = {"anyOf": [{"enum": list(known)}, {"type": "string"}]} if known else {"type": "string"}
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def body_of(schema: dict[str, Any], *media: str) -> dict[str, Any]:
    """A request's body, in any of these media types; JSON if none is named."""
    example = {"example": schema["example"]} if "example" in schema else {}
    content = {one: {"schema": schema, **example} for one in media or ("application/json",)}
    return {"requestBody": {"required": True, "content": content}}


def asked(case: Any, url: str, **how: Any) -> requests.Response:
    """The answer to a case, which came in time, is no 5xx and tells no trace."""
    answer = case.call(base_url=url, timeout=PATIENCE_S, allow_redirects=False, **how)
    assert answer.status_code < 500, f"{answer.status_code} to {case.as_curl_command()}"
    assert "Traceback" not in answer.text and 'File "' not in answer.text
    return answer  # type: ignore[no-any-return]
