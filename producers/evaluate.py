"""`python -m producers.evaluate`: a kind of job that this release does not have yet; it says so."""

import sys

from producers.cli.planned import refuse

if __name__ == "__main__":
    sys.exit(refuse("evaluate"))
