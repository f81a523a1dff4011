"""Libraries of the optional extras, looked for without importing them."""

import importlib.util
from collections.abc import Sequence

from models.errors import BadInputError


def missing(names: Sequence[str]) -> list[str]:
    """Those that this interpreter has not."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def require(what: str, names: Sequence[str], extra: str) -> None:
    """`BadInputError` (exit code 2) if one is missing: to be called before anything is paid.

    `what` needs them, and has a plural verb: "figures".
    """
    if found := missing(names):
        raise BadInputError(
            f"{what} need {', '.join(found)}, which is not installed: "
            f"pip install 'maestrale[{extra}]'"
        )
