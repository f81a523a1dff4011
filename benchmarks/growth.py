"""How the database grows: bytes per row and call, on SQLite and PostgreSQL, and what prune frees.

    python -m benchmarks.growth [ROWS]

Runs the recipe `translate` (one call a row) and then the whole sample of `amira` (four calls a
row, abstracts) against the simulator.
"""

import sys
import tempfile
from pathlib import Path

from sqlalchemy import text

from models.store import deliveries, sqlite_file
from models.store.engine import Store
from producers.keeping import Pruner
from proving.stage import Stage, databases, stage, write_rows

SAMPLE = Path(__file__).parents[1] / "recipes" / "amira" / "sample.jsonl"


def size(store: Store) -> int:
    """Bytes of the database, its log written back to it."""
    if store.is_sqlite:
        raw = store.engine.raw_connection()
        raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        return sqlite_file.path_of(store).stat().st_size
    with store.read() as connection:
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)


def ledger_size(store: Store) -> int:
    """Bytes of the ledger with its indexes; PostgreSQL tells by table, SQLite does not."""
    with store.read() as connection:
        return int(connection.scalar(text("SELECT pg_total_relation_size('calls')")) or 0)


def measure(name: str, on: Stage, source: Path, recipe: str) -> None:
    """One job, and what it added."""
    store = on.client.store
    before = size(store)
    job = on.client.wait(on.client.generate(source, recipe=recipe).id)
    grown = size(store) - before
    told = f"{name:<10} {recipe:<9} {job.rows_done:>6} rows {job.calls_made:>6} calls "
    told += f"{grown / 1e6:>7.1f} MB = {grown / job.rows_done:>6,.0f} B/row "
    print(told + f"= {grown / job.calls_made * 1000 / 1e6:.1f} MB per 1,000 calls")


def prune(name: str, on: Stage) -> None:
    """What pruning everything leaves, ledger kept."""
    store = on.client.store
    with store.write() as connection:
        while deliveries.relay(connection):
            pass
    on.services.stop()
    before = size(store)
    done = Pruner(store, 0.001).run()
    if store.is_sqlite:
        left = f"compacting freed {sqlite_file.compact(store) / 1e6:.1f}"
    else:
        left = f"the ledger is {ledger_size(store) / 1e6:.1f}"
    took = f"{done.entries:,} entries in {done.busy_s:.1f} s of transactions"
    print(f"{name:<10} pruned: {left} of {before / 1e6:.1f} MB; {took}")


def main() -> None:
    """Measures both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder, databases() as found:
        source = write_rows(Path(folder) / "texts.jsonl", count)
        for name, url in found.items():
            with stage(workers=1, DATABASE_URL=url) as on:
                measure(name, on, source, "translate")
                measure(name, on, SAMPLE, "amira")
                prune(name, on)


if __name__ == "__main__":
    main()
