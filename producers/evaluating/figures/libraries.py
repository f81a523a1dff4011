"""The libraries that figures are made with: the extra `maestrale[evaluate]`."""

from importlib.metadata import PackageNotFoundError, version

from models import extras

MODULES = ("scipy", "sklearn", "statsmodels")  # without matplotlib there are no charts, no more
PACKAGES = ("maestrale", "numpy", "scipy", "scikit-learn", "statsmodels", "matplotlib")


def require_libraries() -> None:
    """`BadInputError` (exit code 2) if the extra is not installed: to be called before paying."""
    extras.require("figures", MODULES, "evaluate")


def versions() -> list[tuple[str, str]]:
    """The packages that made the figures, with their versions."""
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    return found
