"""`python -m producers.train DATASET --base MODEL`: `maestrale train` as a script."""

import sys

from producers.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
