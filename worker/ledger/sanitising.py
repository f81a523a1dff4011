"""Makes a paid call storable before it is written anywhere: no odd value may cost an answer."""

from dataclasses import replace

from models.payloads import CallRecord, DoubtRecord, Usage
from models.store.rows import storable

LARGEST_COUNT = 2**31 - 1
"""Of the ledger's token and latency columns; a server that counts more is wrong."""
LARGEST_COST = 2**63 - 1


def storable_call(record: CallRecord) -> CallRecord:
    """`record` without NULs and lone surrogates, its numbers within their columns."""
    usage = record.usage
    return replace(
        record,
        model=storable(record.model),
        answer=storable(record.answer),
        usage=Usage(
            _count(usage.prompt_tokens),
            _count(usage.completion_tokens),
            _count(usage.cached_tokens),
        ),
        cost_nano=_cost(record.cost_nano),
        latency_ms=_count(record.latency_ms),
    )


def storable_doubt(record: DoubtRecord) -> DoubtRecord:
    """`record` without NULs and lone surrogates, its cost within its column."""
    return replace(record, model=storable(record.model), cost_nano=_cost(record.cost_nano))


def _count(number: int) -> int:
    return max(0, min(number, LARGEST_COUNT))


def _cost(nano: int | None) -> int | None:
    return None if nano is None else max(0, min(nano, LARGEST_COST))
