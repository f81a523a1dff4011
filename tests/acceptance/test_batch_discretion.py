"""What goes by batch is as secret as what goes at once: the canaries of `test_promises` again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.canaries import holds
from models.payloads import Options
from models.store import events
from proving.stage import Stage

OnStage = Callable[..., Stage]
KEY, PROMPT = "sk-CANARYKEY0123456789", "CANARYPROMPT0123456789"
LINES = ("fail_400=0.2", "fail_500=0.2")
OF_OURS = ("remote_operations", "events", "jobs", "doubts")
"""Tables whose words people are shown."""


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(("errors_as=response", "break_downloads=1"), id="lines with a status"),
        pytest.param(("errors_as=error", "drop_creates=1", "fail_jobs=1"), id="lines without"),
    ],
)
def test_no_key_and_no_prompt_leaks_by_batch(
    on_stage: OnStage, tmp_path: Path, faults: tuple[str, ...]
) -> None:
    """A canary key and a canary prompt go through batches that fail in every way; then we grep."""
    options = [word for fault in (*LINES, *faults) for word in ("--batch", fault)]
    on = on_stage(*options, workers=1, MISTRAL_API_KEY=KEY)
    source = tmp_path / "canary.jsonl"
    rows = [{"id": f"c{n}", "text": f"{PROMPT} number {n}, a text."} for n in range(60)]
    source.write_text("\n".join(json.dumps(row) for row in rows))
    wished = Options(via="batch")
    job = on.client.generate(source, recipe="translate", max_failed_share=1.0, options=wished)
    job = on.client.wait(job.id)
    with on.client.store.read() as connection:
        told = [event.data for event in events.of_subject(connection, job.id)]
        for table in OF_OURS:
            query = "SELECT * FROM " + table
            told += [str(tuple(row)) for row in connection.exec_driver_sql(query)]
        left = connection.exec_driver_sql("SELECT COUNT(*) FROM batch_requests").scalar()
    seen = "\n".join([*told, *(str(f["detail"]) for f in on.client.failures(job.id))]).encode()
    seen += b"".join(p.read_bytes() for p in (on.home / "logs").iterdir())
    sent = b"".join(p.read_bytes() for p in (on.home / "redis").rglob("*.aof"))
    assert job.rows_done, "some lines had their answer"
    assert job.rows_failed, "the error paths were taken"
    assert b"run_shard" in sent, "what Redis was sent is in its file"
    assert not holds(seen + sent, KEY)
    assert not holds(seen + sent, PROMPT)
    database = b"".join(path.read_bytes() for path in on.home.glob("maestrale.db*"))
    assert PROMPT.encode() in database, "so it would be found where it must not be"
    assert KEY.encode() not in database
    assert left == 0, "requests are gone with their shards"
    files = [path for path in (on.home / "remote").rglob("*") if path.is_file()]
    assert files == [], "what went up and came down is gone"
    assert on.home.joinpath("remote").stat().st_mode & 0o077 == 0
