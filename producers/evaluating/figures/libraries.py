"""The libraries that figures are made with: the extra `maestrale[evaluate]`."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from models.errors import BadInputError

MODULES = ("scipy", "sklearn", "statsmodels")  # without matplotlib there are no charts, no more
PACKAGES = ("maestrale", "numpy", "scipy", "scikit-learn", "statsmodels", "matplotlib")


def require_libraries() -> None:
    """`BadInputError` (exit code 2) if the extra is not installed: to be called before paying."""
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise BadInputError(
            f"figures need {', '.join(missing)}, which is not installed: "
            "pip install 'maestrale[evaluate]'"
        )


def versions() -> list[tuple[str, str]]:
    """The packages that made the figures, with their versions."""
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    return found
