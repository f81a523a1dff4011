"""`python -m reference [FOLDER]` (or `make reference`): writes the pages, removes stale ones."""

import sys
from pathlib import Path

from reference.pages import HOME, write

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME
    print(f"{len(write(folder))} files in {folder}")  # noqa: T201 # a command tells what it did
