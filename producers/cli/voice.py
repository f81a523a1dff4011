"""Where words and facts go: with `--json` stdout carries facts alone, words go to stderr."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

PLAIN_WIDTH = 160
"""Columns where nobody looks: files and pipes have no edge, and tables should not wrap."""


class Voice:
    """One command's way to speak. `words` is for people, `facts` for programs."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.words = console(stderr=as_json)

    @property
    def is_live(self) -> bool:
        """Whether a display that moves makes sense."""
        return self.words.is_terminal and not self.words.is_dumb_terminal

    def say(self, *what: RenderableType) -> None:
        """Prints words; markup in them is text."""
        for part in what:
            if self.words.is_terminal:
                self.words.print(part)
            else:
                self._write_plain(part)

    def _write_plain(self, part: RenderableType) -> None:
        """Without the blanks that fill tables up: they are noise in a file."""
        with self.words.capture() as captured:
            self.words.print(part)
        lines = (line.rstrip() for line in captured.get().split("\n"))
        self.words.file.write("\n".join(lines))
        self.words.file.flush()

    def commands(self, *commands: str) -> None:
        """Prints commands whole, however long, so that they can be copied."""
        for command in commands:
            self.words.print(Text(f"    {command}", style="bold"), soft_wrap=True)

    @contextmanager
    def busy(self, doing: str) -> Iterator[None]:
        """Turns a quiet wheel while something takes its time; nothing where nobody looks."""
        if not self.is_live:
            yield
            return
        wheel = Spinner("dots", text=Text(f"{doing} ...", style="dim"), style="dim")
        with Live(Padding(wheel, (0, 0, 0, 2)), console=self.words, transient=True):
            yield

    def facts(self, facts: Any, *words: RenderableType) -> None:
        """Prints facts as JSON if asked for, else the words for them."""
        if self.as_json:
            sys.stdout.write(json.dumps(facts, indent=2, default=_plain) + "\n")
            sys.stdout.flush()
        else:
            self.say(*words)

    def fact_line(self, facts: Any) -> None:
        """Prints facts as one line of JSON, for those that come one by one."""
        sys.stdout.write(json.dumps(facts, default=_plain) + "\n")
        sys.stdout.flush()


def console(*, stderr: bool) -> Console:
    """A console that interprets no markup: what comes from data can only be text."""
    stream = sys.stderr if stderr else sys.stdout
    watched = stream.isatty() or "COLUMNS" in os.environ
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if watched else PLAIN_WIDTH,
        soft_wrap=not watched,
    )


def complain(message: str) -> None:
    """An error, on stderr."""
    console(stderr=True).print(Text.assemble(("Error: ", "bold red"), message))


def remark(what: RenderableType) -> None:
    """Something that may be wrong and holds nothing up, on stderr."""
    console(stderr=True).print(what)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
