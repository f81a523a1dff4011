"""`python -m reference [FOLDER]` (or `make reference`): writes the pages, removes stale ones."""

import argparse
from pathlib import Path

from reference.pages import HOME, write

if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m reference", description=__doc__)
    options.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=HOME)
    folder = options.parse_args().folder
    print(f"{len(write(folder))} files in {folder}")  # noqa: T201 # a command tells what it did
