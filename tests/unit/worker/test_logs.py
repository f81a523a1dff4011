"""Logs tell where an exception came from, never what it says."""

import logging
import sys

import orjson
import pytest

from worker.logs import Discreet, JsonLines

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


@pytest.mark.parametrize("formatter", [Discreet("%(message)s"), JsonLines()])
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
