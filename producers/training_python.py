"""The interpreter that trains, asked for one answer: no key of ours goes along."""

import os
import subprocess
from collections.abc import Sequence

from models.training import surroundings
from models.words import printable

Answered = subprocess.CompletedProcess[bytes]


def ask(command: Sequence[str], told: bytes = b"") -> Answered:
    """Runs it to its end, with `told` on its standard input. Raises `OSError` if none starts."""
    return subprocess.run(  # noqa: S603 # the operator's interpreter, words as words
        command, input=told, capture_output=True, env=surroundings.of_child(os.environ), check=False
    )


def last_words(answered: Answered) -> str:
    """The last line of its standard error, fit to show."""
    return printable(answered.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2], 300)
