"""Loading: every way a recipe can be wrong is told with file, key and what to do."""

import os
from pathlib import Path
from typing import Any

import pytest
from recipe_builders import FUNCTION, LIST_OF_TEXTS, a_step, recipe_data

from models.errors import RecipeError
from models.recipes import load_recipe, parse_recipe, shipped_recipes

SMALL = """
name = "small"
model = "m"
[[steps]]
name = "answer"
prompt_file = "prompt.j2"
[output.record]
a = "{{ answer }}"
"""


def a_folder(folder: Path, toml: str = SMALL, **files: str) -> Path:
    (folder / "recipe.toml").write_text(toml, "utf-8")
    (folder / "prompt.j2").write_text("Read {{ row.text }}", "utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def complaint(data: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(data, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    return str(caught.value).removeprefix("my.toml: ")


def test_folder_and_file(tmp_path: Path) -> None:
    """A folder and the file in it load the same recipe, its prompt inlined."""
    folder = a_folder(tmp_path)
    recipe = load_recipe(str(folder))
    assert recipe == load_recipe(str(folder / "recipe.toml"))
    assert recipe.steps[0].prompt == "Read {{ row.text }}"
    assert recipe.steps[0].model == "m"


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    """Editors that write a BOM do not break a recipe."""
    folder = a_folder(tmp_path, "\ufeff" + SMALL)
    assert load_recipe(str(folder)).name == "small"


@pytest.mark.parametrize(
    "name", ["amiga", "", "no/such/recipe.toml", "x" * 5000, "a\0b", "../amira"]
)
def test_an_unknown_recipe_lists_those_there_are(name: str) -> None:
    """A name that is neither shipped nor a path is answered with the shipped names."""
    with pytest.raises(RecipeError, match="amira, bsard, cleo, eurlex, tak, translate"):
        load_recipe(name)


def test_shipped_recipes_have_descriptions() -> None:
    """Every shipped recipe loads by its name and says what it is for."""
    found = shipped_recipes()
    assert {"amira", "translate"} <= found.keys()
    for name, description in found.items():
        recipe = load_recipe(name)
        assert (recipe.name, recipe.description) == (name, description)
        assert description


def test_broken_toml(tmp_path: Path) -> None:
    """A syntax error names file, line and column."""
    folder = a_folder(tmp_path, "name = 'x'\nsteps = ]")
    with pytest.raises(RecipeError, match=r"recipe\.toml: not TOML: .*line 2"):
        load_recipe(str(folder))


def test_not_utf8(tmp_path: Path) -> None:
    """A recipe in another encoding is named as such."""
    (tmp_path / "recipe.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(str(tmp_path))


def test_a_huge_file(tmp_path: Path) -> None:
    """A file too large for a recipe is not read."""
    folder = a_folder(tmp_path, "#" * 1_000_001)
    with pytest.raises(RecipeError, match="larger than"):
        load_recipe(str(folder))


def test_devices_and_fifos(tmp_path: Path) -> None:
    """What would never end is not opened, as the recipe or as a file it names."""
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(RecipeError, match="no regular file"):
            load_recipe(path)
    folder = a_folder(tmp_path, SMALL.replace("prompt.j2", "pipe"))
    with pytest.raises(RecipeError, match=r"steps\[0\]\.prompt_file.*no regular file"):
        load_recipe(str(folder))


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "link", "sub/../../secret.txt"])
def test_files_outside_the_folder(tmp_path: Path, name: str) -> None:
    """A recipe reads nothing outside its folder, by no path and no link."""
    (tmp_path / "secret.txt").write_text("secret")
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "link").symlink_to(tmp_path / "secret.txt")
    folder = a_folder(home, SMALL.replace("prompt.j2", name))
    with pytest.raises(RecipeError, match=r"prompt_file: .* is outside the recipe's folder"):
        load_recipe(str(folder))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('prompt_file = "none.j2"', "no regular file"),
        ("prompt_file = 3", "must be the name of a file"),
        ('prompt_file = "prompt.j2"\nprompt = "x"', "prompt is there as well"),
        ('prompt_flie = "prompt.j2"', "did you mean prompt_file?"),
        (
            'prompt = "x"\nfunction = {name = "f", parameters_file = "bad.json"}',
            "bad.json: not JSON",
        ),
        ('prompt = "x"\nschema = {schema_file = "bad.json"}', "schema.schema_file"),
        ('messages = [{role = "user", content_file = "none"}]', "messages[0].content_file"),
    ],
)
def test_files_named_wrongly(tmp_path: Path, line: str, words: str) -> None:
    """A file that is missing, broken or given twice is named with its key."""
    toml = SMALL.replace('prompt_file = "prompt.j2"', line)
    folder = a_folder(tmp_path, toml, **{"bad.json": "{"})
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(folder))
    assert str(caught.value).startswith(str(folder / "recipe.toml"))
    assert words in str(caught.value)


def test_all_kinds_of_files(tmp_path: Path) -> None:
    """System, messages, function parameters and schemas can stand in files of their own."""
    toml = """
name = "files"
[[steps]]
name = "one"
model = "m"
system_file = "s"
messages = [{role = "user", content_file = "u"}]
function = {name = "f", parameters_file = "p.json"}
[[steps]]
name = "two"
model = "m"
prompt = "x"
schema = {schema_file = "p.json"}
[output.record]
a = "{{ two }}"
"""
    recipe = load_recipe(
        str(a_folder(tmp_path, toml, s="sys", u="usr", **{"p.json": '{"type": "object"}'}))
    )
    one, two = recipe.steps
    assert (one.system, one.messages[0].content) == ("sys", "usr")
    assert one.answer_definition == two.answer_definition == {"type": "object"}


NO_OBJECT = {"type": "object", "properties": {"a": {"type": "array", "pattern": 1}}}
TEXTS = {"schema": LIST_OF_TEXTS}


@pytest.mark.parametrize(
    ("data", "key", "words"),
    [
        ({**recipe_data(), "steps": []}, "steps", "at least 1 item"),
        ({"name": "x", "output": {"record": {"a": "b"}}}, "steps", "missing; add it"),
        (recipe_data(a_step(), tests=1), "tests", "did you mean steps?"),
        (recipe_data(name="Not a name"), "name", "pattern"),
        (recipe_data(a_step(name="1st")), "steps[0].name", "pattern"),
        (recipe_data(a_step(model=None)), "steps[0].model", "missing"),
        (recipe_data(a_step(tempreature=1)), "steps[0].tempreature", "there are: "),
        (recipe_data(a_step(parameters={"n": 2})), "steps[0].parameters.n", "no such key"),
        (recipe_data(a_step(parameters={"temp": 2})), "steps[0].parameters.temp", "temperature"),
        (
            recipe_data(a_step(parameters={"temperature": 1.6})),
            "steps[0].parameters.t",
            "1.5, not 1.6",
        ),
        (recipe_data(a_step(parameters={"temperature": "1"})), "steps[0].parameters.t", "number"),
        (recipe_data(a_step(parameters={"max_tokens": 0})), "steps[0].parameters.m", "equal to 1"),
        (recipe_data(a_step(parameters={"top_p": 0.0})), "steps[0].parameters.top_p", "than 0"),
        (recipe_data(a_step(max_items=0)), "steps[0].max_items", "equal to 1"),
        (
            recipe_data(a_step(messages=[{"role": "system", "content": "x"}])),
            "steps[0].mes",
            "'user'",
        ),
        (recipe_data(variables={"when": [1]}), "variables.when", "string"),
        (recipe_data(input={"ids": "x"}), "input.ids", "did you mean id?"),
        (recipe_data(a_step(), a_step()), "steps[1].name", "another step has this name"),
        (recipe_data(a_step(name="row")), "steps[0].name", "choose another"),
        (recipe_data(a_step(prompt=None)), "steps[0].prompt", "give prompt or prompt_file"),
        (recipe_data(a_step(function=FUNCTION, schema=TEXTS)), "steps[0].schema", "keep one"),
        (
            recipe_data(a_step(function={**FUNCTION, "name": "a b"})),
            "steps[0].function.name",
            "pat",
        ),
        (
            recipe_data(a_step(schema={"schema": NO_OBJECT})),
            "steps[0].schema.schema.properties.a",
            "1",
        ),
        (
            recipe_data(a_step(schema={"schema": {"type": "array"}})),
            "steps[0].schema.schema.type",
            "obj",
        ),
        (
            recipe_data(a_step(schema={"schema": {"type": "object", "$ref": "http://127.0.0.1/"}})),
            "steps[0].schema.schema",
            "leads nowhere",
        ),
        (
            recipe_data(a_step(schema={"schema": {"type": "object", "$ref": "#/$defs/none"}})),
            "steps[0].schema.schema",
            "leads nowhere",
        ),
        (
            recipe_data(
                a_step(
                    schema={
                        "schema": {"type": "object", "properties": {"a": {"pattern": "("}}},
                    }
                )
            ),
            "steps[0].schema.schema.properties.a.pattern",
            "regex",
        ),
        (recipe_data(a_step(checks={"forbid": ["("]})), "steps[0].checks.forbid[0]", "regular"),
        (
            recipe_data(a_step(checks={"min_chars": 3, "max_chars": 2})),
            "steps[0].checks.min",
            "above",
        ),
        (
            recipe_data(a_step(schema=TEXTS, checks={"min_chars": 3})),
            "steps[0].checks",
            "minLength",
        ),
        (recipe_data(a_step(prompt="{{ row.text")), "steps[0].prompt", "line 1 of the template"),
        (recipe_data(a_step(prompt="a\n{{ x | attr }}")), "steps[0].prompt", "line 2"),
        (recipe_data(a_step(system="{{ text }}")), "steps[0].system", "A row's field is row.text"),
        (recipe_data(a_step(prompt="{{ vars.x }}")), "steps[0].prompt", "vars.x has no default"),
        (recipe_data(a_step(prompt="{{ answer }}")), "steps[0].prompt", "'answer' is not known"),
        (recipe_data(a_step(prompt="{{ item }}")), "steps[0].prompt", "'item' is not known"),
        (recipe_data(a_step(prompt="{{ self }}")), "steps[0].prompt", "'self' is not known"),
        (recipe_data(a_step(for_each="row")), "steps[0].for_each", "which field"),
        (recipe_data(a_step(for_each="answer")), "steps[0].for_each", "no earlier step"),
        (
            recipe_data(a_step(), a_step(name="b", for_each="answer")),
            "steps[1].for_each",
            "is text",
        ),
        (
            recipe_data(a_step(schema=TEXTS), a_step(name="b", for_each="answer.nope")),
            "steps[1].for_each",
            "not in the schema",
        ),
        (
            recipe_data(a_step(schema=TEXTS), a_step(name="b", for_each="answer")),
            "steps[1].for_each",
            "object by its schema",
        ),
        (
            recipe_data(a_step(for_each="row.l"), a_step(name="b", for_each="answer.x")),
            "steps[1].for_each",
            "loop over the step itself",
        ),
        (
            recipe_data(a_step(for_each="row.l"), a_step(name="b", for_each="answer")),
            "steps[1].as",
            "'item' is a name already",
        ),
        (recipe_data(output={"record": {}}), "output.record", "empty"),
        (recipe_data(output={"record": {"a": ["{{ b }}"]}}), "output.record.a[0]", "'b' is not"),
        (recipe_data(output={"record": {"a": "b"}, "for_each": "none"}), "output.for_each", "none"),
        (recipe_data(output={"record": {"a": "b"}, "for_eac": "x"}), "output.for_eac", "for_each?"),
    ],
)
def test_wrong_recipes(data: dict[str, Any], key: str, words: str) -> None:
    """Every mistake is a RecipeError that starts with file and key and says what to do."""
    told = complaint(data)
    assert told.startswith(key)
    assert words in told


def test_how_many_more_mistakes() -> None:
    """The first five mistakes are told, the others are counted."""
    told = complaint(recipe_data(a_step(prompt="{{ a }}{{ b }}")))
    assert "'a' is not known" in told
    assert "'b' is not known" in told
    many = "".join(f"{{{{ {name} }}}}" for name in "abcdefgh")
    assert "(and 3 more)" in complaint(recipe_data(a_step(prompt=many)))


def test_numbers_that_json_has_not() -> None:
    """NaN and dates in a recipe are refused, as they cannot travel as JSON."""
    for value in (float("nan"), float("inf"), b"bytes"):
        complaint(recipe_data(output={"record": {"a": value}}))
        complaint(recipe_data(variables={"a": value}))
