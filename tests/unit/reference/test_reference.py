"""docs/reference is what the code makes, says something of everything, and leads somewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from models import states as lives
from models.errors import MaestraleError
from models.events import EVENT_TYPES
from models.metrics import METRICS
from models.pipelines.named import OUTPUTS
from models.pipelines.schema import KINDS, Ranking
from models.recipes import Recipe
from models.settings import Settings
from models.states import FailureCode
from models.suites import Suite
from producers.cli.app import app
from producers.cli.codes import EXIT_CODES
from producers.readers import RejectCode
from reference import pages, recipes, settings, states, suites
from reference.fields import told_of
from reference.markdown import anchor
from reference.parts import Section
from simulator.command_line import option_parser

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "reference"
MADE = {name: make() for name, make in pages.PAGES.items()}
MARKDOWN = [name for name in MADE if name.endswith(".md")]
READ = re.compile(r'environ(?:ment)?(?:\.get\(|\.setdefault\(|\[)\s*"(\w+)"')
"""How our code reads a variable by its name."""


def below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it, by Typer's own tree."""
    for name, command in getattr(group, "commands", {}).items():
        yield f"{words} {name}", command
        yield from below(command, f"{words} {name}")


COMMANDS = dict(below(typer.main.get_command(app), "maestrale"))
LEAVES = [words for words, command in COMMANDS.items() if not hasattr(command, "commands")]


def section(words: str) -> str:
    """What the page says of a command."""
    return MADE["commands.md"].split(f"## `{words}`\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> set[str]:
    """What stands as code in the first cells of a page's tables."""
    cells = re.findall(r"^\| (.*?) \|", text.replace("\\|", "/"), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("name", MADE)
def test_the_pages_are_those_that_the_code_makes(name: str) -> None:
    """Byte for byte."""
    there = (FOLDER / name).read_bytes() if (FOLDER / name).exists() else b""
    assert there == MADE[name].encode(), f"docs/reference/{name} is stale: run `make reference`"


def test_there_are_no_other_pages() -> None:
    """What nothing makes any more would stay as it is for ever."""
    assert {path.name for path in FOLDER.iterdir()} == set(MADE), "run `make reference`"


def test_the_pages_do_not_depend_on_who_makes_them(tmp_path: Path) -> None:
    """Another folder with its `.env`, home, terminal, language, hash seed and settings: no
    difference; and what is not of it is taken away."""
    (tmp_path / ".env").write_text("MAESTRALE_LEASE=7\nMISTRAL_API_KEY=canary\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.md").write_text("stale")
    odd = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "4711",
        "HOME": str(tmp_path),
        "COLUMNS": "20",
        "TERMINAL_WIDTH": "20",
        "TERM": "dumb",
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "MAESTRALE_HOME": str(tmp_path / "canary"),
        "MAESTRALE_ROWS_IN_FLIGHT": "3",
        "WANDB_API_KEY": "canary",
    }
    command = [sys.executable, "-m", "reference", "out"]
    subprocess.run(command, cwd=tmp_path, env=odd, check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert made == {name: text.encode() for name, text in MADE.items()}


def test_every_setting_is_there_and_says_what_it_does() -> None:
    """With what it takes, what holds when it is not set, and what it does."""
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    table = MADE["settings.md"].split("## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    assert {name for name, *_ in rows} == names
    for name, takes, default, what in rows:
        assert takes and default and what.endswith("."), name


def test_every_variable_that_is_read_by_name_is_there() -> None:
    """Also those that are no settings of ours."""
    packages = ("models", "producers", "worker", "dashboard", "simulator")
    sources = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    read = {name for path in sources for name in READ.findall(path.read_text("utf-8"))}
    assert {"HF_ENDPOINT", "FLOWER_ADDRESS", "OTEL_SDK_DISABLED"} <= read, "the pattern sees them"
    known = {name.upper() for name in read} - set(settings.OTHERS)
    assert not known, "tell of it in reference/settings.py"


def parts_below(part: type[BaseModel]) -> set[type[BaseModel]]:
    """A part with all that it holds."""
    held = {key.part for key in told_of(part) if key.part}
    return {part}.union(*map(parts_below, held))


@pytest.mark.parametrize(
    ("whole", "sections"),
    [(Recipe, recipes.SECTIONS), (Suite, [*suites.SECTIONS, *recipes.ASKING])],
)
def test_every_part_of_a_format_has_its_section(
    whole: type[BaseModel], sections: list[Section]
) -> None:
    """A table that the schema has, and no page has, fails here."""
    assert parts_below(whole) == {one.part for one in sections}


@pytest.mark.parametrize("one", [*recipes.SECTIONS, *suites.SECTIONS], ids=lambda one: one.title)
def test_every_key_of_a_format_says_what_it_is(one: Section) -> None:
    """A key without a docstring below it fails here."""
    told = told_of(one.part)
    assert told
    assert [key.key for key in told if not key.meaning.endswith((".", ".)"))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_and_output_of_a_stage_is_there(kind: str) -> None:
    """By kind of stage."""
    page = MADE["pipelines.md"].split(f'## `kind = "{kind}"`', 1)[1].split("\n## ", 1)[0]
    assert parts_below(KINDS[kind]) <= {KINDS[kind], Ranking}
    told = {key.key: key.meaning for key in told_of(KINDS[kind])}
    assert all(told.values()), told
    outputs = {f"{{{{ it.{name} }}}}" for name in OUTPUTS[kind]}
    assert first_column(page) == (told.keys() - {"name", "kind", "after"}) | outputs


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_argument_and_option_is_there(words: str) -> None:
    """In the command's own section, and each says what it does."""
    told, command = section(words), COMMANDS[words]
    named = first_column(told)
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        assert parameter.help, f"{words} {parameter.opts[0]}: say what it does"
        if parameter.opts[0].startswith("-"):
            assert {*parameter.opts, *parameter.secondary_opts} <= named
        else:
            assert parameter.metavar in named
    assert " ".join((command.help or "-").split("\n\n")[0].split()) in told


def test_every_option_of_the_simulator_is_there() -> None:
    """By its own parser."""
    found = {name for one in option_parser()._actions for name in one.option_strings}
    assert found - {"-h", "--help"} <= first_column(section("maestrale simulator"))


def test_every_exit_code_is_there() -> None:
    """Those of all errors, too."""

    def codes(tree: type[MaestraleError]) -> set[int]:
        return {tree.exit_code}.union(*map(codes, tree.__subclasses__()))

    assert codes(MaestraleError) <= set(EXIT_CODES)
    for number, meaning in EXIT_CODES.items():
        assert f"| {number} | {meaning} |" in MADE["commands.md"]


def test_every_metric_and_every_event_is_there() -> None:
    """And every field of an event says what it tells."""
    assert first_column(MADE["metrics.md"]) >= set(METRICS)
    assert first_column(MADE["events.md"]) >= set(EVENT_TYPES)
    for kind in EVENT_TYPES.values():
        assert [key.key for key in told_of(kind.data) if not key.meaning] == []


def test_every_lifecycle_and_every_failure_is_there() -> None:
    """An enumeration of states that no section tells of fails here."""
    kinds = {kind for kind in vars(lives).values() if str(kind).endswith("State'>")}
    assert kinds == {kind for kind, _ in states.LIVES.values()}
    named = first_column(MADE["states.md"])
    assert named == {*FailureCode, *RejectCode, *(state for kind in kinds for state in kind)}


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_link_leads_somewhere(name: str) -> None:
    """To a file that is there, and to a heading in it."""
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", MADE[name])
    for target, heading in links:
        path = (FOLDER / target).resolve() if target else FOLDER / name
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), f"{target}#{heading}"


@pytest.mark.parametrize("name", MARKDOWN)
def test_options_and_commands_that_are_named_exist(name: str) -> None:
    """Where help speaks of another option, or a page of a command."""
    ours = {o for c in COMMANDS.values() for p in c.params for o in (*p.opts, *p.secondary_opts)}
    ours |= {o for one in option_parser()._actions for o in one.option_strings}
    ours |= {o for p in typer.main.get_command(app).params for o in p.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", MADE[name])) <= ours
    named = re.findall(r"`maestrale ([a-z]+(?: [a-z]+)?)\b", MADE[name])
    for words in named:
        assert f"maestrale {words}" in COMMANDS or f"maestrale {words.split()[0]}" in COMMANDS
