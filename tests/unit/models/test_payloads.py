"""Stored specs: what is read of them, and that an error never shows what stands in them."""

import json

import pytest
from pydantic import ValidationError

from models.payloads import JobSpec, is_on_device, models_asked, training_of
from models.recipes import Recipe, load_recipe
from models.states import JobKind
from models.suites import Evaluation

CANARY = "canary-prompt"
NOT_JSON = f'{{"recipe": "{CANARY}'
DAMAGED = (
    NOT_JSON,
    json.dumps([CANARY]),
    json.dumps({"recipe": CANARY}),
    json.dumps({"options": {"attempts": CANARY}}),
)


@pytest.mark.parametrize("spec", DAMAGED)
def test_the_error_of_a_damaged_spec_is_without_its_text(spec: str) -> None:
    """Errors end in logs."""
    with pytest.raises(ValidationError) as found:
        JobSpec.model_validate_json(spec)
    assert CANARY not in str(found.value)


def test_the_error_of_a_recipe_is_without_its_prompts() -> None:
    """A snapshot of another version is refused, and not printed."""
    recipe = load_recipe("amira").model_dump(mode="json")
    recipe["steps"][0]["prompt"] = [CANARY]
    with pytest.raises(ValidationError) as found:
        Recipe.model_validate(recipe)
    assert CANARY not in str(found.value)


def test_the_models_of_a_spec_are_each_named_once() -> None:
    """In order of the steps; a step without a model asks none."""
    steps = [{"model": "b"}, {"model": "a"}, {"model": "b"}, {"name": "x"}]
    assert models_asked(JobSpec(recipe={"steps": steps}).model_dump_json()) == ["b", "a"]
    assert models_asked("{}") == []


def test_the_models_of_an_evaluations_spec_are_those_that_it_asks() -> None:
    """Who embeds what is searched for is one of them."""
    retrieval = {"query": "{{ row.q }}", "document": "{{ doc.text }}"}
    prompts = {"default": {"prompt": "{{ row.q }}"}}
    suite = {"name": "s", "kind": "samples", "prompts": prompts, "retrieval": retrieval}
    told = Evaluation.model_validate(
        {
            "suite": suite,
            "contestants": [{"model": "a"}],
            "judges": ["j"],
            "store_model": "embedder",
        }
    )
    spec = JobSpec(evaluation=told.model_dump(mode="json")).model_dump_json()
    assert models_asked(spec) == told.models == ["a", "embedder", "j"]


@pytest.mark.parametrize(
    "spec", [*DAMAGED, '{"recipe": {"steps": 5}}', '{"recipe": {"steps": [5]}}']
)
def test_a_spec_that_cannot_be_read_names_no_model(spec: str) -> None:
    """The doctor and the lists go on."""
    assert models_asked(spec) == []


@pytest.mark.parametrize("spec", [*DAMAGED, '{"training": {"trainer": "telepathy"}}', "{}"])
def test_a_spec_that_cannot_be_read_trains_nothing(spec: str) -> None:
    """Of another version, damaged, or of a job of another kind."""
    assert training_of(spec) is None
    assert not is_on_device(JobKind.TRAIN, spec)
