"""Lines of batch files: a request out, an answer or a named fault in (pure)."""

import json
from typing import Any

import orjson

from models.payloads import CallRecord, DoubtRecord, Usage
from models.prices import PriceTable
from models.states import FailureCode
from models.store.batch_lines import LineFault
from models.store.rows import storable
from models.tables import RemoteOperation
from worker.gateway.mistral import chat_problem, read_usage, vectors_problem
from worker.gateway.vectors import compact
from worker.ledger.sanitising import storable_call, storable_doubt

MOST_DETAIL = 300
PASSING = frozenset({408, 425, 429, 499})
"""Statuses below 500 that say nothing about the request."""


def request_line(key: str, body: str) -> bytes:
    """`{"custom_id", "body"}`; the model is the batch's."""
    request = orjson.loads(body)
    request.pop("model", None)
    return orjson.dumps({"custom_id": key, "body": request}) + b"\n"


def read_line(
    line: bytes, op: RemoteOperation, prices: PriceTable
) -> CallRecord | LineFault | None:
    """What a line of an output or error file says, priced as batches are; None: it names no call.

    An answer without use is a fault that was paid for, and says so by its `doubt`.
    """
    said = _parsed(line)
    if not isinstance(said, dict) or not isinstance(said.get("custom_id"), str):
        return None
    key, response = said["custom_id"], said.get("response")
    if not isinstance(response, dict):
        return _fault(key, None, said.get("error"))
    status, body = response.get("status_code"), response.get("body")
    if isinstance(body, str):  # some servers send the body as they got it
        body = _parsed(body)
    if status != 200 or not isinstance(body, dict):
        return _fault(key, status, said.get("error") or body)
    usage = read_usage(body)
    cost_nano = prices.cost_nano(op.model, usage or Usage(), batch=True)
    problem = vectors_problem(body, len(body["data"])) if _is_list(body) else chat_problem(body)
    if problem:
        detail, nonce = f"unusable answer: {problem}", f"{op.id}:{key}"
        doubt = DoubtRecord(key, op.job_id, op.model, "unusable", cost_nano, nonce)
        paid = storable_doubt(doubt) if usage else None
        return LineFault(key, False, FailureCode.SERVER_ERROR, detail, paid)
    record = CallRecord(
        key=key,
        endpoint=op.endpoint,
        model=op.model,
        answer=_written(compact(body) if _is_list(body) else body),
        usage=usage or Usage(),
        cost_nano=cost_nano,
        latency_ms=0,
        job_id=op.job_id,
    )
    return storable_call(record)


def _is_list(body: dict[str, Any]) -> bool:
    return isinstance(body.get("data"), list) and bool(body["data"])


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)  # not orjson: it refuses lone surrogates, and what was paid is kept
    except (ValueError, RecursionError):
        return None


def _written(answer: dict[str, Any]) -> str:
    try:
        return orjson.dumps(answer).decode()
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return json.dumps(answer, ensure_ascii=False)


def _fault(key: str, status: object, said: object) -> LineFault:
    is_lasting = isinstance(status, int) and 400 <= status < 500 and status not in PASSING
    code = FailureCode.REQUEST_REJECTED if is_lasting else FailureCode.SERVER_ERROR
    words = said.get("message") or said.get("detail") if isinstance(said, dict) else said
    detail = f"batch, status {status or 'none'}: {_words(words)}"
    return LineFault(key, is_lasting, code, storable(detail[:MOST_DETAIL]))


def _words(said: object) -> str:
    return said if isinstance(said, str) else json.dumps(said, default=str)
