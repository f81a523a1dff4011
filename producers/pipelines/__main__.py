"""`python -P -m producers.pipelines`: the conductor as a service, until it is told to end."""

import logging
import signal
import sys
from contextlib import suppress

from models.errors import BadInputError, SetupError
from models.settings import settings_of_process
from producers.client import Maestrale
from producers.pipelines.conductor import Conductor


def main() -> int:
    """Conducts all runs of the database; SIGTERM ends it in good order."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with Maestrale(settings_of_process()) as maestrale:
        if problem := _unusable(maestrale):
            sys.stderr.write(f"the conductor cannot start: {problem}\n")
            return problem.exit_code
        conductor = Conductor(maestrale)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: conductor.stop())
        conductor.run()
        conductor.close()
    return 0


def _unusable(maestrale: Maestrale) -> BadInputError | None:
    """What is wrong with how the database is named; one that is away may come back."""
    try:
        with suppress(SetupError):
            _ = maestrale.store
    except BadInputError as error:
        return error
    return None


if __name__ == "__main__":
    sys.exit(main())
