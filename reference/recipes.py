"""`recipes.md`: every key of a recipe, and what its templates may do."""

from models.recipes.filters import PUBLIC
from models.recipes.loading import MORE, SHAPE
from models.recipes.schema import (
    AnswerSchema,
    Checks,
    Function,
    Input,
    Message,
    Output,
    Parameters,
    Recipe,
    Step,
)
from reference.markdown import code
from reference.parts import Section, sections

_INTRODUCTION = """\
# Keys of a recipe

Made from `models/recipes` by `make reference`: change it there. The guide, with whole recipes:
[Generation recipes](../recipes.md).

A recipe is a `recipe.toml`, or any `.toml` file. What is **needed** has no default; an empty
default means that there is none. A key that is not here is refused, by name. Where it says so, a
key may stand in a file of its own, below the recipe's folder: `prompt_file = "prompt.j2"` in place
of `prompt`; a `.json` file is read as JSON.

"""
ASKING = [
    Section("One of `messages`", Message),
    Section("`parameters`", Parameters),
    Section("`function`", Function),
    Section("`schema`", AnswerSchema),
    Section("`checks`", Checks),
]
"""What is said to a model: in a step of a recipe as in a prompt of a suite."""
SECTIONS = [
    Section("Top level", Recipe, more=MORE),
    Section("`[input]`", Input),
    Section("`[[steps]]`", Step, instead={"model": "the recipe's `model`"}),
    *ASKING,
    Section("`[output]`", Output),
]


def page() -> str:
    """The whole page."""
    filters = ", ".join(map(code, sorted(PUBLIC)))
    return (
        f"{_INTRODUCTION}{sections(SECTIONS, SHAPE)}\n## Filters of templates\n\n{filters}.\n\n"
        "What else templates may do: [the guide](../recipes.md#templates).\n"
    )
