"""Lines of batch files: what goes out, and what the forms of an answer mean."""

import orjson
import pytest

from models.payloads import CallRecord, Usage
from models.prices import load_prices
from models.states import FailureCode
from models.store.batch_lines import LineFault
from models.tables import RemoteOperation
from models.vectors import from_text, unpack
from worker.remote.batch_file import read_line, request_line

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "mistral-small-latest",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Oui."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}


PRICES = load_prices()
OP = RemoteOperation(
    id="op",
    job_id="job",
    kind="batch",
    endpoint="chat",
    model="mistral-small-latest",
    next_check_at=0,
    created_at=0,
)


def read(raw: bytes) -> CallRecord | LineFault | None:
    """The line, as of a batch of chat calls."""
    return read_line(raw, OP, PRICES)


def line(status: object = 200, body: object = ANSWER, error: object = None) -> bytes:
    """A line of an output file."""
    response = None if status is None else {"status_code": status, "body": body}
    return orjson.dumps({"id": "x", "custom_id": "k", "response": response, "error": error})


def test_a_request_names_its_call_and_leaves_the_model_to_the_batch() -> None:
    """One line of JSON whatever is in the text."""
    out = request_line("k", '{"model":"m","messages":[{"content":"a\\nb\\u2028"}]}')
    assert out.count(b"\n") == 1
    assert orjson.loads(out) == {
        "custom_id": "k",
        "body": {"messages": [{"content": "a\nb\u2028"}]},
    }


@pytest.mark.parametrize("body", [ANSWER, orjson.dumps(ANSWER).decode()])
def test_an_answer_is_priced_as_a_batch(body: object) -> None:
    """Half of the real-time price; the answer is kept as it came."""
    record = read(line(body=body))
    assert isinstance(record, CallRecord)
    assert record.usage == Usage(1000, 500)
    whole = PRICES.cost_nano("mistral-small-latest", record.usage)
    assert whole is not None
    assert record.cost_nano == whole // 2
    assert orjson.loads(record.answer) == ANSWER


def test_an_answer_without_use_was_paid_for() -> None:
    """Its price is on record as a doubt, once however often the file is read."""
    fault = read(line(body=ANSWER | {"choices": []}))
    assert isinstance(fault, LineFault)
    assert fault.doubt is not None
    whole = PRICES.cost_nano("mistral-small-latest", Usage(1000, 500))
    assert whole is not None
    assert (fault.doubt.cost_nano, fault.doubt.nonce) == (whole // 2, "op:k")
    unpaid = read(line(500, ANSWER))
    assert isinstance(unpaid, LineFault)
    assert unpaid.doubt is None


@pytest.mark.parametrize(
    ("raw", "is_lasting", "words"),
    [
        (line(400, {"detail": "too long"}), True, "too long"),
        (line(422, {"message": "no such field"}), True, "no such field"),
        (line(429, {"message": "slow"}), False, "slow"),
        (line(408, None), False, "408"),
        (line(500, {"message": "oops"}), False, "oops"),
        (line(None, error={"message": "expired"}), False, "expired"),
        (line(None, error="gone"), False, "gone"),
        (line(200, {"choices": []}), False, "unusable"),
        (line(200, "<html>"), False, "status 200"),
    ],
)
def test_a_line_without_an_answer_says_whether_to_ask_again(
    raw: bytes, is_lasting: bool, words: str
) -> None:
    """4xx about the request itself last; all else passes."""
    said = read(raw)
    assert isinstance(said, LineFault)
    assert (said.is_lasting, said.key) == (is_lasting, "k")
    assert words in said.detail
    wanted = FailureCode.REQUEST_REJECTED if is_lasting else FailureCode.SERVER_ERROR
    assert said.code == wanted


def test_what_was_paid_is_kept_though_it_is_odd() -> None:
    """A lone surrogate goes, the rest of the answer stays; no NUL reaches the database."""
    odd = line().replace(b"Oui.", b"Oui\\ud800.")
    said = read(odd)
    assert isinstance(said, CallRecord)
    assert "Oui" in said.answer
    fault = read(line(500, {"message": "a\0b"}))
    assert isinstance(fault, LineFault)
    assert "\0" not in fault.detail
    empty = read(line(200, {"data": []}))
    assert isinstance(empty, LineFault), "no vector came"


@pytest.mark.parametrize("raw", [b"{", b"[]\n", b'{"custom_id": 3}', b"\n"])
def test_what_names_no_call_is_passed_over(raw: bytes) -> None:
    """Its call gets no answer, and goes into another batch."""
    assert read(raw) is None


def test_vectors_are_kept_compactly() -> None:
    """As base64 of float32, which is what real-time answers are kept as; the rest as it came."""
    data = [{"object": "embedding", "index": 0, "embedding": [0.5, -1]}]
    body = {"id": "e", "model": "mistral-embed", "data": data, "usage": {"prompt_tokens": 7}}
    found = read(line(body=body))
    assert isinstance(found, CallRecord)
    kept = orjson.loads(found.answer)
    assert unpack(from_text(kept["data"][0]["embedding"])) == [0.5, -1.0]
    assert {**kept, "data": data} == body
    assert found.usage == Usage(7)
