"""`python -m producers.generate FILE --recipe NAME`: `maestrale generate` as a script."""

import sys

from producers.cli import main

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
