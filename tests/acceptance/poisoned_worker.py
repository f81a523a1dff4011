"""A worker that dies at once of a row whose text is POISON, as an extension in C might."""

import os
import signal
import sys

from models.payloads import RowOutcome
from worker.celery import app
from worker.kinds import generate
from worker.rows import RowRun

run_row = generate.run_row


async def _run(run: RowRun) -> RowOutcome:
    if run.row.data["text"] == "POISON":
        os.kill(os.getpid(), signal.SIGKILL)
    return await run_row(run)


generate.run_row = _run
sys.exit(app.worker_main(["worker", "--without-gossip", "--without-mingle", "-n", "poisoned@%h"]))
