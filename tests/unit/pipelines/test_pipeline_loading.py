"""A pipeline's file: what it says, what is inlined, and how mistakes in it are told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import BadInputError, RecipeError
from models.pipelines import Pipeline, load_pipeline
from models.pipelines.rendering import stage_rendered
from models.pipelines.schema import Evaluate, Generate, MakeDataset, Train

PIPELINE = """
name = "news"
description = "From queries to an exam"
input = "rows.jsonl"

[variables]
base = "open-mistral-nemo"
steps = 10

[[stages]]
name = "pairs"
kind = "generate"

[[stages]]
name = "data"
kind = "dataset"
from = ["{{ pairs.records }}"]
split = "80/10/10"

[[stages]]
name = "tuned"
kind = "train"
dataset = "{{ data.name }}"
base = "{{ vars.base }}"
trainer = "mistral"
steps = "{{ vars.steps }}"

[[stages]]
name = "exam"
kind = "evaluate"
data = "rows.jsonl"
models = ["{{ vars.base }}", "{{ tuned.model }}@bare"]
after = ["data"]
"""
RECIPE = """
name = "news"
model = "mistral-small-latest"
[[steps]]
name = "say"
prompt_file = "say.j2"
[output]
record = { text = "{{ say }}" }
"""
SUITE = """
name = "news"
kind = "classification"
[prompts.guided]
prompt = "{{ row.query }}"
[prompts.bare]
prompt = "{{ row.query }}"
[classification]
labels = ["yes", "no"]
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A recipe's folder, with one thing changed in its pipeline."""

    def made(old: str = "", new: str = "") -> Path:
        folder = tmp_path / "news"
        folder.mkdir(exist_ok=True)
        assert old in PIPELINE
        text = PIPELINE.replace(old, new, 1) if old else PIPELINE
        (folder / "pipeline.toml").write_text(text)
        (folder / "recipe.toml").write_text(RECIPE)
        (folder / "say.j2").write_text("Say {{ row.query }}")
        (folder / "suite.toml").write_text(SUITE)
        (folder / "rows.jsonl").write_text('{"id": "a", "query": "q"}\n')
        return folder

    return made


def load(folder: Path, **more: object) -> Pipeline:
    """The pipeline in a folder."""
    return load_pipeline(str(folder), **more)  # type: ignore[arg-type]


def test_a_stage_needs_what_its_templates_name_and_what_it_comes_after(write: Write) -> None:
    """In the order of the file; what it merely waits for is not read."""
    pipeline = load(write())
    assert {stage.name: stage.needs for stage in pipeline.stages} == {
        "pairs": [],
        "data": ["pairs"],
        "tuned": ["data"],
        "exam": ["data", "tuned"],
    }
    assert pipeline.stage("exam").reads == ["tuned"]


def test_recipe_and_suite_are_inlined(write: Write) -> None:
    """With the files that they name, so that later edits change nothing of a run."""
    pipeline = load(write())
    assert pipeline.stage("pairs").recipe["steps"][0]["prompt"] == "Say {{ row.query }}"
    assert set(pipeline.stage("exam").suite["prompts"]) == {"guided", "bare"}


def test_a_snapshot_is_json_and_back(write: Write) -> None:
    """Which is how a run's job carries it."""
    pipeline = load(write())
    assert Pipeline.model_validate_json(pipeline.model_dump_json()) == pipeline


def test_templates_are_rendered_with_what_is_known(write: Write) -> None:
    """A text that is one expression keeps its type; the input is a file of the folder."""
    pipeline = load(write(), variables={"steps": "25"})
    outputs = {
        "pairs": {"records": "/r.jsonl"},
        "data": {"name": "d"},
        "tuned": {"model": "ft:x"},
    }
    seen = {stage.name: stage_rendered(pipeline, stage, outputs) for stage in pipeline.stages}
    pairs, data, tuned, exam = seen.values()
    assert isinstance(pairs, Generate)
    assert pairs.input == str(Path(pipeline.folder) / "rows.jsonl")
    assert isinstance(data, MakeDataset)
    assert data.sources == ["/r.jsonl"]
    assert isinstance(tuned, Train)
    assert (tuned.steps, tuned.base, tuned.dataset) == (25, "open-mistral-nemo", "d")
    assert isinstance(exam, Evaluate)
    assert exam.models == ["open-mistral-nemo", "ft:x@bare"]


def test_another_input_is_where_the_user_stands(write: Write, tmp_path: Path) -> None:
    """And not in the pipeline's folder."""
    other = tmp_path / "other.jsonl"
    other.write_text("{}\n")
    assert load(write(), input_file=str(other)).input == str(other)


def test_templates_over_rows_are_left_alone(write: Write) -> None:
    """A dataset's prompt reads `row`, of which the pipeline knows nothing."""
    folder = write('split = "80/10/10"', 'prompt_file = "p.j2"\nanswer = "{{ row.a }}"')
    (folder / "p.j2").write_text("{{ row.q }}?")
    stage = load(folder).stage("data")
    made = stage_rendered(load(folder), stage, {"pairs": {"records": "/r"}})
    assert isinstance(made, MakeDataset)
    assert (made.prompt, made.answer) == ("{{ row.q }}?", "{{ row.a }}")


MISTAKES = [
    ("pairs.records", "pairs.recrods", "stages[1].from[0]", "did you mean records"),
    ("pairs.records", "pears.records", "stages[1].from[0]", "'pears' is not known"),
    ("vars.base", "vars.bse", "stages[2].base", "vars.bse has no default"),
    ('kind = "train"', 'kind = "trian"', "stages[2].kind", "there is no kind 'trian'"),
    ('"{{ vars.steps }}"', '"many"', "stages[2].steps", "valid integer"),
    ('dataset = "{{ data.name }}"', "", "stages[2].dataset", "it is missing"),
    ('trainer = "mistral"', 'trainr = "x"', "stages[2].trainr", "did you mean trainer"),
    ("80/10/10", "80/20", "stages[1].split", "write 80/10/10"),
    ('name = "exam"', 'name = "input"', "stages[3].name", "means something else"),
    ('name = "exam"', 'name = "data"', "stages[3].name", "another stage has this name"),
    ('after = ["data"]', 'after = ["dat"]', "stages[3].after", "did you mean data"),
    ("tuned.model", "exam.job", "stages[3].name", "reads its own outputs"),
    ("{{ pairs.records }}", "{{ pairs.records }", "stages[1].from[0]", "line 1"),
    (
        'split = "80/10/10"',
        'split_field = "x"\nsplit = "8/1/1"',
        "stages[1].split_field",
        "keep one",
    ),
    ("[variables]", "[more]\nx = 1\n[variables]", "more", "no such key"),
    (
        'kind = "generate"',
        'kind = "generate"\nafter = ["exam"]',
        "stages",
        "in a circle: pairs, data, tuned, exam",
    ),
    (
        'kind = "generate"',
        'kind = "generate"\nrecipe = "no.toml"',
        "stages[0]",
        "recipe: there is no recipe 'no.toml'",
    ),
    (
        'kind = "generate"',
        'kind = "generate"\nset = { tone = "dry" }',
        "stages[0]",
        "set: the recipe has no variable 'tone'",
    ),
    (
        'steps = "{{ vars.steps }}"',
        "sweep = { rate = [1] }",
        "stages[2].sweep.rate",
        "there are: lr",
    ),
    (
        'steps = "{{ vars.steps }}"',
        'rank_by = "validation_loss"',
        "stages[2].rank_by",
        "nothing to rank",
    ),
    (
        'steps = "{{ vars.steps }}"',
        'sweep = { lr = [1e-5, 2e-5] }\nrank_by = "loss"',
        "stages[2].rank_by",
        "suite.toml:figure",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "words"), MISTAKES)
def test_a_mistake_is_told_with_file_and_key(
    write: Write, old: str, new: str, key: str, words: str
) -> None:
    """Before anything runs."""
    folder = write(old, new)
    with pytest.raises(RecipeError) as told:
        load(folder)
    assert str(told.value).startswith(f"{folder / 'pipeline.toml'}: {key}")
    assert words in str(told.value)


def test_a_value_that_does_not_fit_is_told_when_it_is_known(write: Write) -> None:
    """A template may stand for any number; what it comes to may not."""
    pipeline = load(write("steps = 10", "steps = 0"))
    with pytest.raises(BadInputError, match="steps: Input should be greater"):
        stage_rendered(pipeline, pipeline.stage("tuned"), {"data": {"name": "d"}})


def test_an_unknown_variable_is_refused(write: Write) -> None:
    """With those that there are."""
    with pytest.raises(RecipeError, match="it has: base, steps"):
        load(write(), variables={"bse": "x"})
