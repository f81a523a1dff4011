"""The command line: `maestrale ...`. Nothing heavy is imported before a command needs it."""

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (of `sys.argv` unless told) and answers its exit code."""
    from producers.cli.app import run  # noqa: PLC0415 # importing `producers.cli` costs nothing

    return run(arguments)
