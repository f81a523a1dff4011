"""The options of `maestrale simulator`, which has a parser of its own."""

import argparse
import re
from collections.abc import Iterator

from reference.markdown import code, table
from simulator.command_line import option_parser

_DEFAULT = re.compile(r"\s*\(default: ([^)]*)\)$")


def options_of_the_simulator() -> str:
    """A table of them, and the names that some of them take."""
    parser = option_parser()
    found = [action for group in _groups(parser) for action in group._group_actions]
    rows = [_row(action) for action in found if action.dest != "help"]
    named = [_named(group) for group in _groups(parser) if group.description]
    options = table(("option", "takes", "default", "what it does"), rows)
    return "\n\n".join([options.strip(), *named])


def _groups(parser: argparse.ArgumentParser) -> Iterator[argparse._ArgumentGroup]:
    yield from (group for group in parser._action_groups if group._group_actions)


def _named(group: argparse._ArgumentGroup) -> str:
    """`Limits: per minute ...`; what its options may name."""
    told = (group.description or "").removeprefix("Names: ")
    what = "names of " if told != group.description else ""
    return f"{(what + (group.title or '')).capitalize()}: {told}."


def _row(action: argparse.Action) -> list[str]:
    names = ", ".join(map(code, action.option_strings))
    text = (action.help or "").replace("%(default)s", str(action.default))
    told = _DEFAULT.search(text)
    default = told[1] if told else _default(action)
    return [names, _takes(action), default, _DEFAULT.sub("", text)]


def _default(action: argparse.Action) -> str:
    is_number = isinstance(action.default, int | float) and action.default is not False
    return f"{action.default:g}" if is_number else ""


def _takes(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    repeated = "; repeatable" if action.default == [] else ""
    return code(str(action.metavar or action.dest.upper())) + repeated
