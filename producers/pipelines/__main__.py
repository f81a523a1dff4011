"""`python -P -m producers.pipelines`: the conductor as a service, until it is told to end."""

import logging
import signal
import sys

from models.settings import Settings
from producers.client import Maestrale
from producers.pipelines.conductor import Conductor


def main() -> int:
    """Conducts all runs of the database; SIGTERM ends it in good order."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with Maestrale(Settings()) as maestrale:
        conductor = Conductor(maestrale)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: conductor.stop())
        conductor.run()
        conductor.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
