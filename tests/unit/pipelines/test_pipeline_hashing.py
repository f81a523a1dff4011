"""What a stage is known by: the same work on the same content, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from models.pipelines.hashing import stage_hash
from models.pipelines.schema import Pipeline, Prepared, StageKind

OUTPUTS = {"data": {"hash": "d1", "name": "news"}}
FILES = {"input[0]": "c1"}


def a_pipeline(change: Callable[[dict[str, Any]], None] | None = None) -> Pipeline:
    """Of one stage that reads another's output and one of two variables."""
    told: dict[str, Any] = {
        "name": "news",
        "description": "",
        "folder": "/here",
        "variables": {"base": "nemo", "unread": 1},
        "stages": [
            {
                "name": "tuned",
                "kind": "train",
                "needs": ["data"],
                "reads": ["data"],
                "asked": {
                    "name": "tuned",
                    "kind": "train",
                    "dataset": "{{ data.name }}",
                    "base": "{{ vars.base }}",
                },
                "suite": {"name": "s", "data": "x.jsonl", "prompts": {"p": "Say"}},
            }
        ],
    }
    if change:
        change(told)
    return Pipeline.model_validate(told)


def hash_of(pipeline: Pipeline, outputs: Any = None, files: Any = None) -> str:
    """Of its only stage."""
    return stage_hash(pipeline, pipeline.stages[0], outputs or OUTPUTS, files or FILES)


def set_asked(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one of the stage's keys."""
    return lambda told: told["stages"][0]["asked"].update({key: value})


def set_told(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the pipeline."""
    return lambda told: told.update({key: value})


SAME = [
    set_told("folder", "/there"),
    set_told("description", "another"),
    set_told("variables", {"base": "nemo", "unread": 2}),
    set_asked("after", ["other"]),
    set_asked("name", "renamed"),
    lambda told: told["stages"][0]["suite"].update(data="y.jsonl"),
]
OTHER = [
    set_told("variables", {"base": "small", "unread": 1}),
    set_asked("lr", 1e-5),
    set_asked("rank_by", "suite.toml:accuracy"),
    lambda told: told["stages"][0]["suite"].update(prompts={"p": "Tell"}),
    lambda told: told["stages"][0].update(recipe={"steps": []}),
]


@pytest.mark.parametrize("change", SAME)
def test_what_makes_no_difference(change: Callable[[dict[str, Any]], None]) -> None:
    """Names, places, what is told of it, variables that it does not read."""
    assert hash_of(a_pipeline(change)) == hash_of(a_pipeline())


@pytest.mark.parametrize("change", OTHER)
def test_what_does(change: Callable[[dict[str, Any]], None]) -> None:
    """What it is asked to do, in its own keys and in what they name."""
    assert hash_of(a_pipeline(change)) != hash_of(a_pipeline())


def test_the_order_of_prompts_does() -> None:
    """The first of them is how models are asked that name none."""

    def asked(*names: str) -> str:
        prompts = {name: {"prompt": name} for name in names}
        return hash_of(a_pipeline(lambda told: told["stages"][0]["suite"].update(prompts=prompts)))

    assert asked("a", "b") == asked("a", "b") != asked("b", "a")


def test_the_content_that_it_is_given_does() -> None:
    """Of the outputs it reads by their hashes alone, and of files."""
    here = hash_of(a_pipeline())
    assert hash_of(a_pipeline(), outputs={"data": {"hash": "d1", "name": "elsewhere"}}) == here
    assert hash_of(a_pipeline(), outputs={"data": {"hash": "d2", "name": "news"}}) != here
    assert hash_of(a_pipeline(), files={"input[0]": "c2"}) != here


def test_kinds_do() -> None:
    """Two kinds that say the same do not do the same."""
    stage = a_pipeline().stages[0]
    other = Prepared(**{**stage.model_dump(), "kind": StageKind.EVALUATE})
    pipeline = a_pipeline()
    assert stage_hash(pipeline, other, OUTPUTS, FILES) != hash_of(pipeline)
