"""Logs tell where an exception came from, never what it says."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest

from models.settings import Settings
from worker.logs import Discreet, JsonLines, Pretty, bind, bound, configure

CANARY = "PROMPT CANARY"


def a_record() -> logging.LogRecord:
    """A record of an exception that quotes a prompt, caused by another that does."""
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as cause:
            raise RuntimeError(f"again {CANARY}") from cause
    except RuntimeError:
        info = sys.exc_info()
    return logging.LogRecord("worker", logging.ERROR, "f.py", 1, "row %s", (7,), info)


@pytest.mark.parametrize("formatter", [Discreet("%(message)s"), Pretty(), JsonLines()])
def test_no_word_of_an_exception_is_logged(formatter: logging.Formatter) -> None:
    """Types and places of the error and its cause, and no canary."""
    line = formatter.format(a_record())
    assert CANARY not in line
    for told in ("row 7", "RuntimeError", "ValueError", "test_logs.py"):
        assert told in line


def test_json_lines_are_json_with_the_ids_bound() -> None:
    """One object a line; job, shard and row where they are known."""
    record = a_record()
    record.job = "job_x"
    told = orjson.loads(JsonLines().format(record))
    assert (told["job"], told["level"], told["message"]) == ("job_x", "error", "row 7")


class Kept(logging.Handler):
    """Keeps every line as it would be written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(formatter)
        self.addFilter(bind)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def kept(formatter: logging.Formatter) -> Iterator[tuple[logging.Logger, list[str]]]:
    """A logger of its own, and what it wrote."""
    log, handler = logging.getLogger("test of ids"), Kept(formatter)
    log.addHandler(handler)
    yield log, handler.lines
    log.removeHandler(handler)


async def test_tasks_inherit_the_ids_and_shards_do_not_mix() -> None:
    """Two shards at once: each line has its own ids, also from tasks of tasks, and none after."""
    with kept(JsonLines()) as (log, lines):

        async def row(seq: int) -> None:
            await asyncio.sleep(0)
            with bound(row=seq):
                log.warning("a row")

        async def shard(job: str, no: int) -> None:
            with bound(job=job, shard=no):
                await asyncio.gather(*(row(seq) for seq in range(2)))
                log.warning("a shard")

        await asyncio.gather(shard("job_a", 1), shard("job_b", 2))
        log.warning("nobody")
    told = [orjson.loads(line) for line in lines]
    seen = {(line.get("job"), line.get("shard"), line.get("row")) for line in told[:-1]}
    shards = (("job_a", 1), ("job_b", 2))
    assert seen == {(job, no, row) for job, no in shards for row in (0, 1, None)}
    assert not {"job", "shard", "row"} & set(told[-1])


def test_work_handed_to_a_loop_in_another_thread_keeps_the_ids() -> None:
    """As Celery's thread hands a shard to the runtime's loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with kept(Pretty()) as (log, lines):

            async def work() -> None:
                log.warning("at work")

            with bound(job="job_a", shard=7):
                asyncio.run_coroutine_threadsafe(work(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert lines[0].endswith("W test of ids: [job=job_a shard=7] at work")


def test_an_id_given_with_a_line_goes_before_the_bound_one() -> None:
    """A line about another job says so."""
    with kept(JsonLines()) as (log, lines), bound(job="job_a"):
        log.warning("about another", extra={"job": "job_b"})
    assert orjson.loads(lines[0])["job"] == "job_b"


def test_configured_logs_have_the_ids(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both ways of logging, through the root logger as the worker sets it up."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        for form, told in (("json", '"job":"job_a"'), ("pretty", "[job=job_a]")):
            configure(make_settings(log_format=form))
            with bound(job="job_a"):
                logging.getLogger("any").warning("here")
            assert told in capsys.readouterr().err
    finally:
        root.handlers[:] = before
        root.setLevel(level)
