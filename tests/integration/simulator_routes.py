"""An OpenAPI description of the simulator: the official schemas, under all routes it has."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter
from schemas_tried import body_of, operation, parameter

from simulator.fault_plan import FaultRules
from simulator.hosted_rules import HostedRules
from simulator.limits import LimitRules

EXCERPTS = Path(__file__).parents[1] / "openapi"
NAMES = ("2026-07-06-tuning", "2026-08-13-hosted", "2026-08-13")
MODEL = "mistral-small-latest"
SAID = [{"role": "user", "content": "What?"}]
QUERIES: dict[str, tuple[str, ...]] = {
    "page": ("0", "-1", "9" * 30, "9" * 5000, "\u0661", "1e3"),
    "page_size": ("1", "0", "9" * 30),
    "created_after": ("2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    "created_before": ("2026-01-01T00:00:00Z", "0001-01-01"),
    "metadata": ("{}", "[]", "[[1]]", "[[[],1]]", "1", '"ab"', '{"a":{}}', "{", "null"),
    "status": ("SUCCESS", ",,", "\x00"),
    "model": (MODEL,),
    "suffix": ("x",),
    "order_by": ("created", "-created"),
    "inline": ("true", "2"),
    "dry_run": ("true", "maybe"),
    "include_total": ("false", ""),
    "purpose": ("batch",),
    "search": ("a", "("),
    "sample_type": ("batch_request",),
    "source": ("upload",),
}
"""Every name that a route reads from its query string, with what may be made of it."""
EXAMPLES: dict[str, dict[str, Any]] = {
    "ChatCompletionRequest": {"model": MODEL, "messages": SAID, "n": 2, "max_tokens": 5},
    "EmbeddingRequest": {"model": "mistral-embed", "input": ["one", "two"]},
    "CreateBatchJobRequest": {
        "endpoint": "/v1/chat/completions",
        "model": MODEL,
        "requests": [{"custom_id": "1", "body": {"messages": SAID}}],
    },
}


def _official(name: str) -> dict[str, Any]:
    example = {"example": EXAMPLES[name]} if name in EXAMPLES else {}
    return body_of({"$ref": f"#/components/schemas/{name}", **example})


def _steering(rules: type) -> dict[str, Any]:
    return body_of(TypeAdapter(rules).json_schema())


FILE = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"anyOf": [{"enum": ["batch", "fine-tune"]}, {"type": "string"}]},
    },
}
BODIES = {
    ("POST", "/v1/chat/completions"): _official("ChatCompletionRequest"),
    ("POST", "/v1/embeddings"): _official("EmbeddingRequest"),
    ("POST", "/v1/batch/jobs"): _official("CreateBatchJobRequest"),
    ("POST", "/v1/fine_tuning/jobs"): _official("CreateFineTuningJobRequest"),
    ("POST", "/v1/files"): body_of(FILE, "multipart/form-data"),
    ("POST", "/_limits"): _steering(LimitRules),
    ("POST", "/_faults"): _steering(FaultRules),
    ("POST", "/_batch"): _steering(HostedRules),
}


def described(routes: list[tuple[str, str]], ids: dict[str, str]) -> dict[str, Any]:
    """The description of these routes (method and path); `ids`: what there is, by name in paths."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in routes:
        inside = [name.split("}")[0] for name in path.split("{")[1:]]
        parameters = [parameter(name, "path", *_known(name, ids)) for name in inside]
        parameters += [parameter(name, "query", *known) for name, known in QUERIES.items()]
        asked = operation(path, parameters=parameters, **BODIES.get((method, path), {}))
        paths.setdefault(path, {})[method.lower()] = asked
    schemas: dict[str, Any] = {}
    for name in NAMES:
        text = (EXCERPTS / f"mistral-{name}-excerpt.yaml").read_text()
        schemas |= yaml.safe_load(text)["components"]["schemas"]
    info = {"title": "The simulator", "version": "1"}
    components = {"schemas": schemas}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}


def _known(name: str, ids: dict[str, str]) -> tuple[str, ...]:
    there = (ids[name],) if name in ids else ()
    return (*there, "unknown", "a" * 5000, "%00", "..", "{x}")
