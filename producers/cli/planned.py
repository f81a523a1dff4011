"""The kinds of job that the design names and this release does not have."""

from importlib.metadata import version

from models.errors import BadInputError
from producers.cli.voice import complain


def refuse(kind: str) -> int:
    """Says that the kind comes with a later release; answers the exit code of a wrong input."""
    complain(
        f"`{kind}` jobs come with a later release: {version('maestrale')} has `maestrale generate`"
    )
    return BadInputError.exit_code
