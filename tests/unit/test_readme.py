"""The README is true: its commands, options, settings, events, failures and diagram exist."""

import re
from pathlib import Path

import pytest
import typer

from models.events import EVENT_TYPES
from models.settings import Settings
from models.states import JOB_TRANSITIONS, FailureCode, lifecycle_diagram
from models.training.grid import child_name
from producers.cli.app import app
from producers.training import default_name
from simulator.command_line import read_options

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    README,
    *((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("recipes", "suites")),
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] # it is a group


def test_every_command_named_exists_and_every_command_is_named() -> None:
    """`maestrale X` in the text is a command, and no command is missing from the README."""
    named = set(re.findall(r"`?maestrale ([a-z]+)\b", README)) - {"turns"}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=["README", "recipes", "suites"])
def test_every_option_named_exists(page: str) -> None:
    """An option in the text is one of some command of ours, of Celery's, or of docker's."""
    every = list(COMMANDS.values())
    every += [c for group in COMMANDS.values() for c in getattr(group, "commands", {}).values()]
    ours = {o for c in every for p in c.params for o in (*p.opts, *p.secondary_opts)}
    others = {"--without-gossip", "--without-mingle", "--profile"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= ours | others


def test_every_setting_named_exists() -> None:
    """Ours are in the code; all of them, with their defaults, are in docs/reference/settings.md."""
    fields = {str(f.validation_alias) for f in Settings.model_fields.values()}
    families = {name for name in fields if name.startswith("MAESTRALE_WEBHOOK_")}
    named = set(re.findall(r"\b(?:MAESTRALE|MISTRAL|REDIS|DATABASE)_[A-Z_]+[A-Z]\b", README))
    assert named - {"MAESTRALE_WEBHOOK"} <= fields and families
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)) <= fields


def test_events_failures_and_states_named_are_those_of_the_code() -> None:
    """Events named are in the vocabulary, every failure name is listed, and none else."""
    events = set(re.findall(r"`((?:job|budget|endpoint)\.[a-z]+)`", README))
    assert events <= set(EVENT_TYPES)
    assert {name for name in EVENT_TYPES if name.startswith("job.")} <= events
    section = README.split("the row fails by name: ", 1)[1].split("`maestrale retry`", 1)[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) == set(FailureCode)


def test_the_diagram_is_generated_from_the_lifecycle() -> None:
    """The Mermaid block equals what `models.states` draws."""
    assert f"```mermaid\n{lifecycle_diagram(JOB_TRANSITIONS)}\n```" in README


def test_the_tuned_model_asked_for_is_one_that_the_commands_make() -> None:
    """A run of the sweep, by the dataset and the base that stand above it."""
    made = re.search(r"maestrale train (\w+) --base (\w+) --sweep", README)
    served = re.search(r"maestrale models serve ([\w.-]+)", README)
    assert made and served
    name = child_name(default_name(*made.groups()), 1)
    assert served[1] == name
    assert f"--model {name}\n" in README


def test_every_file_linked_is_there() -> None:
    """Relative links lead somewhere."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_simulator_listens_where_the_readme_says() -> None:
    """The address of "Try it without a key" is the simulator's own."""
    told = re.search(r"MISTRAL_BASE_URL=(\S+)\n", README)
    assert told
    config = read_options([])
    assert told[1] == f"http://{config.host}:{config.port}"
