"""Commands that ask models take the same options for how it is done."""

from collections.abc import Callable
from dataclasses import fields
from inspect import signature

import pytest

from models.errors import BadInputError
from producers.cli.commands.embedding import embed
from producers.cli.commands.evaluating import evaluate
from producers.cli.commands.generating import generate
from producers.cli.runs.asking import How

COMMANDS = pytest.mark.parametrize("command", [generate, evaluate, embed])


def defaults(command: Callable[..., None]) -> dict[str, object]:
    """A command's parameters as they are when none is given."""
    return {one.name: one.default for one in signature(command).parameters.values()}


@COMMANDS
def test_each_option_means_the_same_everywhere(command: Callable[..., None]):
    """All are there, with one default."""
    assert How.of(defaults(command)) == How.of(defaults(generate))


@COMMANDS
def test_what_is_given_goes_to_the_job(command: Callable[..., None]):
    """Every option of the submission is the command's own."""
    given = {**defaults(command), "priority": 2, "budget": "5EUR", "fresh": True, "again": True}
    terms = How.of(given).terms([])
    assert (terms["priority"], terms["budget"], terms["again"]) == (2, "5EUR", True)
    assert terms["options"] is not None
    assert terms["options"].fresh


@COMMANDS
def test_an_option_that_would_be_passed_over_is_refused(command: Callable[..., None]):
    """What a batch ended without needs a batch."""
    given = {**defaults(command), "on_timeout": "realtime"}
    with pytest.raises(BadInputError, match="--on-timeout goes with"):
        How.of(given)
    assert How.of({**given, "via": "auto"}).on_timeout == "realtime"


def test_no_field_is_forgotten():
    """A parameter that a command lacks is told at once, and not taken for its default."""
    given = defaults(generate)
    for one in fields(How):
        with pytest.raises(KeyError, match=one.name):
            How.of({name: value for name, value in given.items() if name != one.name})
