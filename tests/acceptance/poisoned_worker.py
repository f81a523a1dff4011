"""A worker that dies at once of a row whose text is POISON, as an extension in C might."""

import os
import signal
import sys

from models.payloads import RowOutcome
from models.states import JobKind
from worker.celery import app
from worker.kinds import generate
from worker.shards import RUNS


async def _run(run: generate.RowRun) -> RowOutcome:
    if run.row.data["text"] == "POISON":
        os.kill(os.getpid(), signal.SIGKILL)
    return await generate.run_row(run)


RUNS[JobKind.GENERATE] = _run
sys.exit(app.worker_main(["worker", "--without-gossip", "--without-mingle", "-n", "poisoned@%h"]))
