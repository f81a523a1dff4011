"""The shipped recipes and the documentation: they run as they are."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from recipe_builders import a_call, called, said

from models.recipes import Compiled, Problem, Read, Scope, load_recipe, parse_recipe
from models.recipes.filters import PUBLIC

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "recipes.md").read_text("utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
QUESTIONS = ["What does miR-21 do to PTEN?", "How is it measured?", "Why does it matter?"]
ANSWER = "miR-21 binds the 3' UTR of PTEN and lowers its expression in tumour cells."


def sample(name: str) -> list[dict]:
    text = (ROOT / "recipes" / name / "sample.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.fixture(scope="module")
def amira() -> Compiled:
    return Compiled(load_recipe("amira"))


def test_amira_from_row_to_pairs(amira: Compiled) -> None:
    """One row becomes three chat pairs by one function call and three answers."""
    first, second = amira.recipe.steps
    scope = Scope(sample("amira")[0])
    (body,) = amira.requests(first, scope)
    assert body["tool_choice"] == "required"
    read = amira.read(first, called(a_call({"questions": QUESTIONS}, name="save_questions")))
    assert isinstance(read, Read)
    scope.answers["questions"] = read.value
    assert len(amira.requests(second, scope)) == 3
    scope.answers["answers"] = [ANSWER] * 3
    assert amira.records(scope)[1] == {
        "messages": [
            {"role": "user", "content": QUESTIONS[1]},
            {"role": "assistant", "content": ANSWER},
        ]
    }
    assert amira.provenance(scope)[1]["question"] == 2


def test_amira_forbids_title_and_abstract_in_both_prompts(amira: Compiled) -> None:
    """Both steps tell the model, and check, that title and abstract are not mentioned."""
    for step in amira.recipe.steps:
        assert step.system
        assert "Never mention the title, the abstract" in step.system
        assert step.checks.forbid


@pytest.mark.parametrize(
    "text",
    [
        "According to the abstract, miR-21 lowers PTEN in tumour cells.",
        "The title says that miR-21 is an oncomiR in this setting.",
        "As this paper shows, miR-21 lowers PTEN in tumour cells.",
        "The provided text says that miR-21 lowers PTEN.",
    ],
)
def test_amira_refuses_mentions(amira: Compiled, text: str) -> None:
    """An answer that mentions its source is re-asked."""
    problem = amira.read(amira.recipe.steps[1], said(text))
    assert isinstance(problem, Problem)
    assert problem.repairable


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "In this study population, entitled patients had a higher miR-21 titer.",
        "Abstraction of the hydrogen atom is not involved; the context of the gene matters.",
        "Cells were used up to passage 12, and the passage through G1 was slower.",
    ],
)
def test_amira_takes_real_answers(amira: Compiled, text: str) -> None:
    """Words that only look like a mention pass."""
    assert amira.read(amira.recipe.steps[1], said(text)) == Read(text)


@pytest.mark.parametrize("name", ["amira", "translate"])
def test_samples(name: str) -> None:
    """Every row of a shipped sample has an id of its own and renders, and its origin is told."""
    made = Compiled(load_recipe(name))
    rows = sample(name)
    for row in rows:
        assert made.recipe.required_fields <= row.keys()
        assert made.preview(row)
    assert len({row["id"] for row in rows}) == len(rows) == {"amira": 187, "translate": 20}[name]
    told = (ROOT / "recipes" / name / "SAMPLE.md").read_text("utf-8")
    assert "Licence" in told
    assert "Origin" in told


def test_amiras_sample_is_the_part_that_may_be_shipped() -> None:
    """Only the Apache-2.0 rows are in the package."""
    assert all(row["id"].startswith("scai:") for row in sample("amira"))


def test_translate_needs_one_step_and_no_python() -> None:
    """A second use is TOML alone: the row's language wins, a variable stands in for it."""
    recipe = load_recipe("translate").with_variables({"language": "Italian"})
    made = Compiled(recipe)
    (step,) = recipe.steps
    systems = [
        made.requests(step, Scope({"text": "Bonjour", **row}))[0]["messages"][0]["content"]
        for row in ({"language": "German"}, {}, {"language": None})
    ]
    assert "into German" in systems[0]
    assert "into Italian" in systems[1]
    assert "into Italian" in systems[2]
    read = made.read(step, said("I'm sorry, but I can't help you."))
    assert isinstance(read, Read)
    assert recipe.required_fields == {"text"}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_guides_recipes_load(block: str) -> None:
    """Every TOML block of the documentation is a recipe that loads and renders."""
    data = tomllib.loads(block)
    model = data.pop("model", None)
    data["steps"] = [{"model": model, **step} if model else step for step in data["steps"]]
    recipe = parse_recipe(data, "docs/recipes.md")
    assert Compiled(recipe).preview(dict.fromkeys(recipe.required_fields, "text"))


def test_the_guide_names_every_filter() -> None:
    """The list of filters in the documentation is the list of filters."""
    listed = re.search(r"\* Filters: (.*?)\.\n", GUIDE, re.DOTALL)
    assert listed
    assert [name.strip() for name in listed[1].split(",")] == sorted(PUBLIC)
