"""docs/operations.md is true: commands, options, settings, links and alarms are those there are."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from models.events import EVENT_TYPES
from models.settings import Settings
from producers.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
TOP = typer.main.get_command(app)
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
FOREIGN = {
    *("--rm", "--scale", "--profile", "--username", "--format", "--file", "--clean", "--if-exists"),
    *("--no-owner", "--dbname"),
}
"""Options of docker, pg_dump and pg_restore."""


def anchor(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def lines() -> list[str]:
    """Every command line of ours: in the blocks, and between backticks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)).splitlines()
    prose = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.S))
    found = [re.search(r"\bmaestrale ([a-z]+\b.*)", line) for line in (*blocks, *prose)]
    return sorted({match[1] for match in found if match} - {"maestrale > maestrale.dump"})


@pytest.mark.parametrize("line", lines())
def test_every_command_and_its_options_exist(line: str):
    """Each line names a command of ours, and only options of that command."""
    words = line.split()
    command = TOP
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_option_in_the_prose_exists():
    """An option that stands alone is one of some command of ours, or of a tool named."""

    def options_of(command: object) -> set[str]:
        below = getattr(command, "commands", {}).values()
        own = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}  # type: ignore[attr-defined]
        return own.union(*map(options_of, below))

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= options_of(TOP) | FOREIGN


def test_settings_services_and_events_named_exist():
    """Variables are settings, `docker compose` names services, events are in the vocabulary."""
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    named = set(re.findall(r"`\$?((?:MAESTRALE|MISTRAL|REDIS|DATABASE)_[A-Z_]+)", PAGE))
    assert named <= settings
    for words in re.findall(r"docker compose (?:stop|run --rm|exec -T) ([a-z ]+)", PAGE):
        assert words.split()[0] in SERVICES
    assert set(re.findall(r"`((?:job|budget|endpoint)\.[a-z]+)`", PAGE)) <= set(EVENT_TYPES)


def test_every_link_leads_somewhere():
    """Anchors of this page, and files."""
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_every_alarm_has_its_section_and_every_section_its_alarm():
    """The rules are the headings below `What each alarm means`, and their links lead there."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    told = PAGE.split("## What each alarm means", 1)[1]
    assert re.findall(r"^### (\w+)$", told, re.M) == [alert["alert"] for alert in alerts]
    for alert in alerts:
        linked = [text for text in alert["annotations"].values() if "operations.md#" in text]
        assert linked, alert["alert"]
        assert all(text.endswith(f"#{anchor(alert['alert'])}") for text in linked)
