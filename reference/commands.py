"""`commands.md`: every command, argument and option of `maestrale`, and the exit codes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import typer

from producers.cli.app import app
from producers.cli.codes import EXIT_CODES
from reference.kinds import PLAIN, kind_of, span
from reference.markdown import anchor, code, table
from reference.simulated import options_of_the_simulator

_INTRODUCTION = """\
# Commands

Made from `producers/cli` by `make reference`: change it there. `maestrale COMMAND --help` (or `-h`)
tells the same.

* `--json` prints facts as JSON on standard output; words then go to standard error.
* Jobs, reviews and endpoints are named by their id, or by any beginning of it that is unique.
* Options may stand before or after arguments. A switch with two names has the one that is its
  default in the column of defaults. **needed** has no default; an empty default means: none.
* What the environment has to hold: [settings](settings.md).

"""
_DEFAULT = re.compile(r"\s*\\?\[default: (.*)\]$")
_NAME = "maestrale"


@dataclass(frozen=True, slots=True)
class Command:
    """A command with the words that call it."""

    words: str
    parsed: Any
    panel: str


def commands() -> list[Command]:
    """Every command and subcommand, in the order of help."""
    return list(_below(typer.main.get_command(app), _NAME, ""))


def _below(group: Any, words: str, panel: str) -> Iterator[Command]:
    for name, parsed in group.commands.items():
        own = getattr(parsed, "rich_help_panel", "")
        title = own if isinstance(own, str) else panel
        called = f"{words} {name}"
        if hasattr(parsed, "commands"):
            yield from _below(parsed, called, title)
        else:
            yield Command(called, parsed, title)


def page() -> str:
    """The whole page."""
    found = commands()
    parts = [_INTRODUCTION, _index(found), _codes(), *map(_section, found)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _index(found: list[Command]) -> str:
    panels = list(dict.fromkeys(one.panel for one in found))
    ordered = sorted(found, key=lambda one: panels.index(one.panel))
    rows = [
        [f"[`{one.words}`](#{anchor(one.words)})", one.panel, _first_line(one)] for one in ordered
    ]
    whole = table(("option", "what it does"), _global_options())
    return (
        f"{table(('command', 'for', 'what it does'), rows)}\n"
        f"`{_NAME}` itself takes these, and then does nothing else:\n\n{whole}"
    )


def _first_line(one: Command) -> str:
    return " ".join((one.parsed.help or "").split("\n\n")[0].split())


def _global_options() -> list[list[str]]:
    parsed = typer.main.get_command(app)
    told = [parameter for parameter in parsed.params if not getattr(parameter, "hidden", False)]
    return [[_names(parameter), _meaning(parameter)[0]] for parameter in told]


def _codes() -> str:
    rows = [[str(number), meaning] for number, meaning in EXIT_CODES.items()]
    told = (
        "Commands that stay with a job until it ends (`generate`, `embed`, `train`, `evaluate`, "
        "`run`,\n`watch`) end with 3 if it did not succeed. Where a command gives a code for a "
        "reason of its own,\nits section says so.\n"
    )
    return f"## Exit codes\n\n{told}\n{table(('code', 'means'), rows)}"


def _section(one: Command) -> str:
    parameters = [p for p in one.parsed.params if not getattr(p, "hidden", False)]
    arguments = [p for p in parameters if _is_argument(p)]
    options = [p for p in parameters if not _is_argument(p) and p.name != "help"]
    parts = [f"## `{one.words}`", _usage(one.words, arguments, options), _text(one.parsed.help)]
    if arguments:
        parts.append(table(("argument", "what it is"), map(_argument, arguments)))
    if one.words == f"{_NAME} simulator":
        parts.append(options_of_the_simulator())
    elif options:
        rows = map(_option, options)
        parts.append(table(("option", "takes", "default", "what it does"), rows))
    return "\n\n".join(part.strip("\n") for part in parts)


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _usage(words: str, arguments: list[Any], options: list[Any]) -> str:
    needed = [f"{option.opts[0]} {option.metavar}" for option in options if option.required]
    told = [one.metavar if one.required else f"[{one.metavar}]" for one in arguments]
    more = ["[options]"] if len(needed) < len(options) or words.endswith("simulator") else []
    return f"```sh\n{' '.join([words, *told, *needed, *more])}\n```"


def _text(help_text: str | None) -> str:
    paragraphs = (help_text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _argument(parameter: Any) -> list[str]:
    meaning, default = _meaning(parameter)
    more = f" Default: {default}." if default else ""
    return [_value(parameter), meaning + more]


def _option(parameter: Any) -> list[str]:
    meaning, default = _meaning(parameter)
    return [_names(parameter), _value(parameter), default or _default(parameter), meaning]


def _names(parameter: Any) -> str:
    return ", ".join(map(code, (*parameter.opts, *parameter.secondary_opts)))


def _meaning(parameter: Any) -> tuple[str, str]:
    """What help says, and the default where it is said in words."""
    text = parameter.help or ""
    told = _DEFAULT.search(text)
    return (text[: told.start()], told[1]) if told else (text, "")


def _value(parameter: Any) -> str:
    """What follows the option: its metavar, and its kind where that says more."""
    if getattr(parameter, "is_bool_flag", False):
        return ""
    kind = _kind(parameter)
    told = [code(parameter.metavar)] if parameter.metavar else []
    told += [kind] if not told or kind != PLAIN[str] else []
    is_repeated = parameter.multiple and "repeatable" not in (parameter.help or "")
    return ": ".join(told) + ("; repeatable" if is_repeated else "")


def _kind(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if get_origin(annotation) is list:
        annotation = annotation.__args__[0]
    bounds = span(getattr(parameter, "min", None), getattr(parameter, "max", None))
    kind = "text" if annotation is Path and parameter.metavar else kind_of(annotation)
    return f"{kind}, {bounds}" if bounds else kind


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**needed**"
    value = parameter.default
    if getattr(parameter, "is_bool_flag", False):
        return code(parameter.opts[0]) if parameter.secondary_opts and value else ""
    if value is None or value in ("", [], ()):
        return ""
    return code(f"{value:.10f}".rstrip("0") if isinstance(value, float) else str(value))
