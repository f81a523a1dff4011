"""Whatever schema is asked for, the filled instance is valid, and reads like the paper."""

import pytest
from jsonschema import Draft202012Validator

from models.errors import BadInputError
from simulator.content.prose import Prose
from simulator.content.schemas import fill

STRING = {"type": "string"}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": STRING,
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "parent"],
        }
    },
}
PYDANTIC_LIKE = {
    "$defs": {"Level": {"enum": ["low", "high"], "type": "string"}},
    "type": "object",
    "properties": {
        "level": {"$ref": "#/$defs/Level", "description": "how sure"},
        "note": {"anyOf": [{"type": "null"}, STRING], "default": None},
        "both": {"allOf": [{"$ref": "#/$defs/Level"}]},
    },
    "required": ["level", "note"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        STRING,
        {"type": "string", "minLength": 300},
        {"type": "string", "maxLength": 5},
        {"type": "string", "pattern": "^[A-D]$"},
        {"type": "string", "format": "date-time"},
        {"type": "integer"},
        {"type": "integer", "minimum": 5, "maximum": 5},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2},
        {"type": "integer", "multipleOf": 7, "minimum": 10},
        {"type": "number", "maximum": -3},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "number", "multipleOf": 0.5, "minimum": 2},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["null", "integer"]},
        {"const": {"fixed": [1]}},
        {"enum": ["A", "B", None, 4]},
        {"type": "array", "items": STRING},
        {"type": "array", "items": STRING, "minItems": 12, "maxItems": 12, "uniqueItems": True},
        {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "maxItems": 1},
        {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "items": False},
        {"oneOf": [{"type": "null"}, {"type": "object", "required": ["x"]}]},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
        {"properties": {"a": {"properties": {"b": {"items": {"type": "boolean"}}}}}},
        PYDANTIC_LIKE,
        TREE,
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_what_is_filled_in_fits(schema, abstract):
    """For every kind of schema and many seeds the instance passes the official validator."""
    for seed in range(25):
        Draft202012Validator(schema).validate(fill(schema, Prose(abstract, seed)))


def test_the_same_seed_fills_in_the_same(abstract):
    """The instance depends on schema, prompt and seed alone."""
    filled = [fill(PYDANTIC_LIKE, Prose(abstract, seed)) for seed in (7, 7)]
    assert filled[0] == filled[1]


def test_fields_are_filled_by_their_names(abstract):
    """Questions end in a question mark, names are names, and text is the paper's."""
    fields = ("question", "gene", "summary")
    schema = {"type": "object", "properties": dict.fromkeys(fields, STRING)}
    filled = fill(schema, Prose(abstract, 1))
    assert filled["question"].endswith("?")
    assert " " not in filled["gene"]
    assert filled["summary"] in abstract


@pytest.mark.parametrize(
    "schema", [{"$ref": "https://example.org/"}, {"enum": []}, {"properties": ["a"]}], ids=str
)
def test_what_is_no_schema_is_said(schema, abstract):
    """A schema that refers elsewhere, or makes no sense, is bad input and not a crash."""
    with pytest.raises(BadInputError, match="cannot be filled"):
        fill(schema, Prose(abstract, 1))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": STRING, "minItems": 10_000},
        {"type": "string", "minLength": 10_000_000},
        {"type": "array", "items": {"type": "string", "minLength": 90_000}, "minItems": 20},
    ],
)
def test_a_schema_that_demands_a_great_deal_is_refused(schema):
    """Many values, a long text, or both: one answer takes a bounded time and memory."""
    with pytest.raises(BadInputError, match="demands more than"):
        fill(schema, Prose("Tell me.", 1))
