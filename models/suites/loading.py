"""From a name, folder or file to a checked `Suite`; every complaint names the file and the key."""

from collections.abc import Mapping
from pathlib import Path

from models.recipes import documents
from models.recipes.loading import IN_FILES
from models.recipes.strict_json import Json
from models.suites.checking import complaints
from models.suites.schema import Suite

SUITE_FILE = "suite.toml"
SHAPE = documents.Shape(Suite, IN_FILES)


def load_suite(name_or_path: str) -> tuple[Suite, Path | None]:
    """A shipped suite by its recipe's name, or the one in a folder or TOML file; and where the
    rows are that it names itself.

    Raises `RecipeError` naming the file, the key and what to do.
    """
    path = documents.find(name_or_path, SUITE_FILE, "a suite")
    suite = parse_suite(documents.inlined(documents.read_document(path), SHAPE, path), str(path))
    return suite, path.parent / suite.data if suite.data else None


def shipped_suites() -> dict[str, str]:
    """Description by name of the suites that come with Maestrale."""
    return documents.shipped(SUITE_FILE)


def parse_suite(data: Mapping[str, Json], source: str) -> Suite:
    """Check a suite whose files are inlined; `source` is what complaints name as the file."""
    suite = documents.validated(Suite, data, SHAPE, source)
    documents.refuse(complaints(suite), source)
    return suite
