"""The simulator against the official OpenAPI file: what it answers, and what it takes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from jsonschema import Draft202012Validator

from simulator.bodies import ChatBody, EmbeddingBody
from simulator.content.prose import Prose
from simulator.content.schemas import fill
from simulator.serving import serve

SPEC = Path(__file__).parents[1] / "openapi" / "mistral-2026-08-13-excerpt.yaml"
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
QUESTION = "Expression of miR-23b was raised in melanoma.\nWhich disease is meant?"
QUESTIONS = {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}
PARAMETERS = {"type": "object", "properties": {"questions": QUESTIONS}, "required": ["questions"]}
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {
        "model": "mistral-small-latest",
        "messages": [{"role": "user", "content": QUESTION}],
    },
    EMBEDDINGS: {"model": "mistral-embed", "input": ["one", "two"]},
}
TOOL = {"type": "function", "function": {"name": "ask", "parameters": PARAMETERS}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "q", "schema": PARAMETERS}}
# Streaming is accepted by the specification and not by the simulator, which says so (400).
VALUES = {
    "model": "mistral-small-latest",
    "messages": BODIES[CHAT]["messages"],
    "stream": False,
    "tools": [TOOL],
}


def specification() -> dict[str, Any]:
    """The excerpt, less two known mistakes of the original.

    `ChatCompletionResponse` demands a property `data` that nothing defines, and `UsageInfo` allows
    nothing beside its own fields though `prompt_tokens_details` is documented in prose.
    """
    spec = yaml.safe_load(SPEC.read_text())
    schemas = spec["components"]["schemas"]
    schemas["ChatCompletionResponse"]["allOf"][1]["required"].remove("data")
    details = {"type": "object", "properties": {"cached_tokens": {"type": "integer"}}}
    schemas["UsageInfo"]["properties"]["prompt_tokens_details"] = details
    return dict(spec)


SCHEMAS = specification()["components"]["schemas"]


def the_schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}


def check(name: str, instance: object) -> None:
    Draft202012Validator(the_schema(name)).validate(instance)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Bearer any"}
    async with serve() as serving, aiohttp.ClientSession(serving.url, headers=headers) as session:
        yield session


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"n": 2, "max_tokens": 3},
        {"prompt_cache_key": "template"},
        {"tools": [TOOL], "tool_choice": "any"},
        {"response_format": JSON_SCHEMA},
        {"response_format": {"type": "json_object"}},
    ],
    ids=str,
)
async def test_chat_answers_are_as_specified(session, extra):
    """Text, function call and JSON answers are valid `ChatCompletionResponse`s."""
    body = {**BODIES[CHAT], **extra}
    check("ChatCompletionRequest", body)
    async with session.post(CHAT, json=body) as answer:
        assert answer.status == 200
        check("ChatCompletionResponse", await answer.json())


async def test_embeddings_are_as_specified(session):
    """Embeddings are a valid `EmbeddingResponse`, one vector per text."""
    check("EmbeddingRequest", BODIES[EMBEDDINGS])
    async with session.post(EMBEDDINGS, json=BODIES[EMBEDDINGS]) as answer:
        payload = await answer.json()
    check("EmbeddingResponse", payload)
    assert [item["index"] for item in payload["data"]] == [0, 1]


async def test_models_are_as_specified(session):
    """The list is a valid `ModelList`, and each model has its card."""
    async with session.get("/v1/models") as answer:
        models = await answer.json()
    check("ModelList", models)
    for card in models["data"]:
        async with session.get(f"/v1/models/{card['id']}") as answer:
            check("BaseModelCard", await answer.json())


async def test_validation_errors_are_as_specified(session):
    """Inside the flat shape, a 422 holds a valid `HTTPValidationError`."""
    async with session.post(CHAT, json={"temperature": "hot", "best_of": 2}) as answer:
        assert answer.status == 422
        error = await answer.json()
    check("HTTPValidationError", error["message"])
    assert len(error["message"]["detail"]) == 4


@pytest.mark.parametrize(
    ("schema", "body_type"),
    [("ChatCompletionRequest", ChatBody), ("EmbeddingRequest", EmbeddingBody)],
)
def test_the_fields_taken_are_those_specified(schema, body_type):
    """The bodies have exactly the top-level fields of the specification, required ones too."""
    fields = body_type.model_fields
    assert set(fields) == set(SCHEMAS[schema]["properties"])
    required = {name for name, field in fields.items() if field.is_required()}
    assert required == set(SCHEMAS[schema]["required"])


@pytest.mark.parametrize("name", SCHEMAS["ChatCompletionRequest"]["properties"])
async def test_every_field_of_a_chat_request_is_taken(session, name):
    """Each property is accepted with a value that its own schema allows."""
    schema = {**SCHEMAS["ChatCompletionRequest"]["properties"][name]}
    value = VALUES.get(name, fill({**schema, "components": {"schemas": SCHEMAS}}, Prose("A", 1)))
    body = {**BODIES[CHAT], name: value}
    check("ChatCompletionRequest", body)
    async with session.post(CHAT, json=body) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("name", SCHEMAS["EmbeddingRequest"]["properties"])
async def test_every_field_of_an_embedding_request_is_taken(session, name):
    """Each property of an embedding request is accepted as well."""
    schema = {**SCHEMAS["EmbeddingRequest"]["properties"][name]}
    value = fill({**schema, "components": {"schemas": SCHEMAS}}, Prose("A", 1))
    body = {**BODIES[EMBEDDINGS], name: "mistral-embed" if name == "model" else value}
    check("EmbeddingRequest", body)
    async with session.post(EMBEDDINGS, json=body) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("path", [CHAT, EMBEDDINGS])
async def test_no_other_field_is_taken(session, path):
    """A field that the specification does not know gives 422, as `additionalProperties` says."""
    async with session.post(path, json={**BODIES[path], "surprise": 1}) as answer:
        assert answer.status == 422
