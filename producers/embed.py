"""`python -m producers.embed FILE --text TEMPLATE`: `maestrale embed` as a script."""

import sys

from producers.cli import main

if __name__ == "__main__":
    sys.exit(main(["embed", *sys.argv[1:]]))
