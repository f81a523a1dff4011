"""`python -m producers.evaluate SUITE --models A,B`: `maestrale evaluate` as a script."""

import sys

from producers.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
