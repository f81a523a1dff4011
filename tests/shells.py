"""A user's shell for tests of pages: a folder, a home beside it, our commands on its path."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from producers.processes import free_port

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".venv" / "bin"
OURS = ("MAESTRALE_", "MISTRAL_", "FLOWER_", "REDIS_", "DATABASE_", "WANDB_", "WEBHOOK_")
PORTS = ("8099", "8000", "5555", "9464")
"""Ports that pages name; each session takes free ones in their place."""
CLONE = "/home/you/maestrale"
"""Where pages say that the commands are typed."""
_LEARNT = {
    "id": r"\b(?:job|ep|rev)_[a-z0-9]{8}\b",
    "secret": r"\bwhsec_[A-Za-z0-9+/]+=*",
    "model": r"\bft:[\w.:-]+",
    "pid": r"(?<=pid )\d+",
}
"""What differs from run to run and is named again: kinds and their patterns."""
_VARIES = {
    "lasts": r"(?<=in )\d+ (?:s|ms|min \d\d s)\b",
    "fast": r"(?<= )[\d,.]+ calls/s(?:, .*)?$",
    "redis": r"(?<=127\.0\.0\.1:)\d+(?: \(ours\))?$",
    "disk": r"(?<=, )[\d.]+ [GT]B free",
    "workers": r"\d+ alive, \d+ shards",
    "made": r"\b\d{4}-\d\d-\d\d(?:T[\d:+]+)?\b",
    "ago": r"\bjust now|\d+ (?:s|min) ago",
    "figure": r"[\d.,]+%? \[[\d., -]+\] n=\d+",
    "money": r"(?<=\$)\d+\.\d{4,}",
    "digest": r"\b[0-9a-f]{16,64}\b",
}
"""What differs from run to run and matters to nobody: any other of its kind will do."""
_VOLATILE = re.compile(
    "|".join(
        [
            r"(?P<any>\.\.\.)",
            *(f"(?P<{kind}>{told})" for kind, told in (_LEARNT | _VARIES).items()),
        ]
    )
)
_BEHIND = r"\(\?<=.*?\)"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"[Ss]ave (?:this|it) as `([^`]+)`")


class Shell:
    """Runs blocks of commands, each in a shell of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        self.environment |= {"MAESTRALE_HOME": str(folder / "home"), **environment}

    def run(self, commands: str) -> str:
        """Runs a block to its end, which must be good; what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@dataclass(frozen=True)
class Said:
    """A command of a page, and what the page says that it answers (`...`: whatever)."""

    command: str
    answer: str


def said(page: str) -> list[Said]:
    """Every `$ command` of the page's console blocks with the lines below it."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, going_on, rest = "", True, part
            while going_on:  # a line that ends with a backslash goes on
                line, _, rest = rest.partition("\n")
                command += line + "\n"
                going_on = line.endswith("\\")
            found.append(Said(command.strip(), rest.strip("\n")))
    return found


@dataclass(frozen=True)
class Step:
    """A block of a page: its language, what stands in it, and as what it is to be saved."""

    language: str
    text: str
    name: str


def steps(page: str) -> list[Step]:
    """All blocks of a page in their order; a name is what the words before it say."""
    found, at = [], 0
    for block in _FENCE.finditer(page):
        named = _NAMED.findall(page[at : block.start()])
        found.append(Step(block[1], block[2], named[-1] if named else ""))
        at = block.end()
    return found


class Session:
    """One shell that lives as long as a page, so that exports and background jobs stay."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self._log = shell.folder / "answer.txt"
        self._known = {port: str(free_port()) for port in PORTS} | {CLONE: str(shell.folder)}
        self._process = subprocess.Popen(
            ["bash"], cwd=shell.folder, env=shell.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, command: str) -> tuple[str, int]:
        """What a command prints on both streams, and its exit code."""
        assert self._process.stdin and self._process.stdout
        log = shlex.quote(str(self._log))
        self._process.stdin.write(f"{{ {self.ours(command)}\n}} > {log} 2>&1; echo $?\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline()
        return self._log.read_text(), int(code)

    def ours(self, text: str) -> str:
        """The page's ids and ports, replaced by those of this session."""
        for theirs, own in self._known.items():
            text = text.replace(theirs, own)
        return text

    def do(self, step: Step) -> None:
        """What a reader does with a block: types it, saves it, runs it, or only reads it."""
        if step.name:
            (self.shell.folder / step.name).write_text(self.ours(step.text))
        elif step.language == "console":
            for one in said(f"```console\n{step.text}```"):
                self.check(one)
        elif step.language == "python":
            (self.shell.folder / "lines.py").write_text(self.ours(step.text))
            told, code = self.ask("python lines.py")
            assert code == 0, told

    def check(self, one: Said) -> None:
        """Runs a command; its answer is the page's. Ids that are new are learnt from it."""
        answer, _ = self.ask(one.command)
        pattern, names = self._pattern(one.answer)
        match = re.fullmatch(pattern, _bare(answer))
        assert match, f"$ {one.command}\n--- the page\n{one.answer}\n--- the answer\n{answer}"
        self._known |= dict(zip(names, match.groups(), strict=True))

    def _pattern(self, answer: str) -> tuple[str, list[str]]:
        names: list[str] = []
        lines = [
            r"(?:.*\n)*?" if line.strip() == "..." else self._line(line, names) + r"\n"
            for line in _bare(answer).splitlines()
        ]
        return "".join(lines), names

    def _line(self, line: str, names: list[str]) -> str:
        """The pattern of a line; what is new in it goes to `names`, a group for each."""
        parts, at = [], 0
        for found in _VOLATILE.finditer(line):
            parts.append(self._plain(line[at : found.start()]))
            parts.append(self._part(found, names))
            at = found.end()
        return "".join(parts) + self._plain(line[at:])

    def _plain(self, text: str) -> str:
        """Words as they are, columns as wide as they like."""
        return re.sub(r"(?:\\ ){2,}", " {2,}", re.escape(self.ours(text)))

    def _part(self, found: re.Match[str], names: list[str]) -> str:
        text, kind = found[0], found.lastgroup or ""
        if kind == "any":
            return ".*?"
        if kind in _VARIES:
            return f"(?:{re.sub(_BEHIND, '', _VARIES[kind]).removesuffix('$')})"
        if text in self._known:
            return re.escape(self._known[text])
        if text in names:
            return rf"(?P=i{names.index(text)})"
        names.append(text)
        return rf"(?P<i{len(names) - 1}>{_LEARNT[kind]})"

    def end(self) -> None:
        """Ends the shell and what it has started in the background."""
        self.ask("maestrale down; kill $(jobs -p); wait")
        self._process.communicate()


def _bare(text: str) -> str:
    """Without spaces at the ends of lines and empty lines around."""
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n") + "\n" if any(lines) else ""


@contextmanager
def a_session(folder: Path) -> Iterator[Session]:
    """A fresh home in a folder, with the recipes beside it as in a clone."""
    for name in ("recipes", "examples", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    session = Session(Shell(folder))
    try:
        yield session
    finally:
        session.end()
