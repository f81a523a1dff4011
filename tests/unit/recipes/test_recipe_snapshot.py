"""A loaded recipe: a snapshot that travels, and what is derived from it."""

import pytest
from recipe_builders import a_recipe, a_step, fan_out

from models.errors import RecipeError
from models.recipes import Recipe, load_recipe, typical_calls


def test_round_trip() -> None:
    """A recipe's JSON is the recipe, with the same hash, so a job can carry it."""
    for recipe in (a_recipe(), fan_out().recipe, load_recipe("amira"), load_recipe("translate")):
        again = Recipe.model_validate_json(recipe.model_dump_json())
        assert again == recipe
        assert again.hash == recipe.hash


def test_the_hash_tells_recipes_apart() -> None:
    """Another prompt, model or variable is another hash; the same content is the same."""
    recipe = a_recipe(variables={"x": 1})
    others = [
        a_recipe(a_step(prompt="{{ row.text }}")),
        recipe.with_model("other"),
        recipe.with_variables({"x": 2}),
    ]
    assert a_recipe(variables={"x": 1}).hash == recipe.hash
    assert len({recipe.hash, *(other.hash for other in others)}) == 4


def test_a_recipe_cannot_change() -> None:
    """A snapshot's fields cannot be set."""
    with pytest.raises(ValueError, match="frozen"):
        a_recipe().name = "other"


def test_with_model() -> None:
    """--model replaces the model of every step, and only that."""
    recipe = fan_out().recipe
    changed = recipe.with_model("ministral-3b-latest")
    assert {step.model for step in changed.steps} == {"ministral-3b-latest"}
    assert changed.with_model(recipe.steps[0].model) == recipe
    with pytest.raises(RecipeError, match="empty"):
        recipe.with_model(" ")


def test_with_variables() -> None:
    """--set reads texts as the type of the default and leaves the rest alone."""
    recipe = a_recipe(variables={"text": "a", "count": 1, "share": 0.5, "on": False})
    changed = recipe.with_variables({"text": "7", "count": "7", "share": "0.7", "on": "yes"})
    assert changed.variables == {"text": "7", "count": 7, "share": 0.7, "on": True}
    assert recipe.with_variables({"count": 3}).variables["text"] == "a"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"none": "x"}, "it has: count, on, share"),
        ({"count": "many"}, "makes it a int"),
        ({"count": "1.5"}, "makes it a int"),
        ({"share": "nan"}, "makes it a float"),
        ({"on": "perhaps"}, "makes it a bool"),
    ],
)
def test_wrong_variables(values: dict[str, str], words: str) -> None:
    """An unknown variable, or a text that is not of the default's type, is told."""
    recipe = a_recipe(variables={"count": 1, "share": 0.5, "on": False})
    with pytest.raises(RecipeError) as caught:
        recipe.with_variables(values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "fields"),
    [
        ("{{ row.a }} {{ row['b'] }} {{ row.c.deep }}", {"a", "b", "c"}),
        ("{{ row.a | default('x') }} {{ row.b | d }}", set()),
        ("{% if row.a is defined %}{{ row.a }}{% endif %}", set()),
        ("{{ row.a if 'a' in row }}", set()),
        ("{% if row.a %}{{ row.b }}{% endif %}", {"a", "b"}),
        ("{{ row.a | upper | default('x') }}", {"a"}),
        ("{{ row.a.deep | default('x') }}", {"a"}),
        ("{% for x in row.a %}{{ x.b }}{% endfor %}", {"a"}),
        ("{{ row.get('a') }} {% for k, v in row.items() %}{{ k }}{% endfor %}", set()),
        ("{{ row | tojson }}", set()),
        ("{{ row.a[0] ~ row.b[:3] }}", {"a", "b"}),
    ],
)
def test_required_fields(prompt: str, fields: set[str]) -> None:
    """Fields read without a default or a test are required, the others are not."""
    recipe = a_recipe(a_step(prompt=prompt), output={"record": {"x": "y"}})
    assert recipe.required_fields == fields


def test_required_fields_come_from_everywhere() -> None:
    """System, messages, loops, records, provenance and the input table all count."""
    recipe = a_recipe(
        a_step(
            system="{{ row.a }}",
            messages=[{"role": "user", "content": "{{ row.b }}"}],
            prompt="{{ row.c }}",
            for_each="row.d.e",
        ),
        input={"required": ["f"]},
        output={
            "record": {"x": ["{{ row.g }}"]},
            "provenance": {"y": {"z": "{{ row.h }}"}},
            "for_each": "row.i",
            "as": "one",
        },
    )
    assert recipe.required_fields == set("abcdfghi")


def test_typical_calls() -> None:
    """Calls per row come from the schema's sizes, lengths from max_tokens, hints or the schema."""
    plan = typical_calls(load_recipe("amira"))
    assert [(step.calls_per_row, step.expected_output_tokens) for step in plan.steps] == [
        (1, 110),
        (3, 140),
    ]
    assert plan.calls_per_row == 4
    capped = a_recipe(a_step(parameters={"max_tokens": 5}, for_each="row.tags"))
    (step,) = typical_calls(capped).steps
    assert (step.calls_per_row, step.expected_output_tokens) == (3, 5)
