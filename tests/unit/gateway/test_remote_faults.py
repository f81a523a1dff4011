"""Faults of the remote routes: what may have happened over there, and whom a 404 means."""

import pytest

from worker.gateway.faults import Fault, FaultKind
from worker.gateway.normalising import normalise
from worker.gateway.remote_faults import (
    DISK,
    NOT_TRAINABLE,
    Call,
    disk_fault,
    judged,
    keys_in,
    unreadable,
)

CREATE = Call("POST", ("v1", "batch", "jobs"))
LOOK = Call("GET", ("v1", "batch", "jobs", "1"), names_one=True)
CANCEL = Call("POST", ("v1", "batch", "jobs", "1", "cancel"), names_one=True)
LIST = Call("GET", ("v1", "batch", "jobs"))
CLOSED = b'{"detail": "Model not available for this type of fine-tuning. Available model(s): "}'


def told(status: int, call: Call, body: bytes = b'{"detail": "Not Found"}') -> Fault:
    """The fault of such a response to such a call."""
    return judged(normalise(status, {}, body), call)


@pytest.mark.parametrize("status", [408, 409, 499, 500, 502, 503, 504, 520, 529])
def test_these_leave_in_doubt_whether_a_job_was_made(status: int) -> None:
    """Whoever gets one looks before creating again."""
    fault = told(status, CREATE)
    assert fault.maybe_paid
    assert fault.status == status


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 425, 429])
def test_a_refusal_made_no_job(status: int) -> None:
    """So the next try need not look."""
    assert not told(status, CREATE).maybe_paid


def test_looking_never_leaves_doubt() -> None:
    """A GET changes nothing, however it ends."""
    assert not told(504, LOOK).maybe_paid
    assert not judged(Fault(FaultKind.TIMEOUT, "", maybe_paid=True), LOOK).maybe_paid
    assert not unreadable(LIST, 200, "x").maybe_paid


def test_a_dropped_or_garbled_creation_leaves_doubt() -> None:
    """The job may run."""
    assert judged(Fault(FaultKind.TRANSIENT, "", maybe_paid=True), CREATE).maybe_paid
    assert not judged(Fault(FaultKind.TRANSIENT, "no connection"), CREATE).maybe_paid
    assert unreadable(CREATE, 200, "x").maybe_paid


@pytest.mark.parametrize("call", [LOOK, CANCEL])
def test_a_404_about_one_thing_means_the_thing(call: Call) -> None:
    """And not the model, the route or the key: those would pause the job with wrong advice."""
    fault = told(404, call)
    assert (fault.kind, fault.status) == (FaultKind.REJECTED, 404)
    assert fault.message == "the provider knows no such thing (HTTP 404): Not Found"


@pytest.mark.parametrize("call", [CREATE, LIST])
def test_a_404_about_none_means_the_route(call: Call) -> None:
    """A server without batches."""
    fault = told(404, call)
    assert fault.kind is FaultKind.ACCOUNT
    assert "MISTRAL_BASE_URL" in fault.message


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_model_that_may_not_be_trained_is_a_lasting_refusal(status: int) -> None:
    """Whatever its status; the provider's words are kept."""
    fault = told(status, Call("POST", ("v1", "fine_tuning", "jobs")), CLOSED)
    assert (fault.kind, fault.code, fault.maybe_paid) == (FaultKind.REJECTED, NOT_TRAINABLE, False)
    assert "Model not available for this type of fine-tuning" in fault.message
    assert "Available model(s):" in fault.message


def test_a_disk_that_refuses_is_named_without_its_paths() -> None:
    """It is ours and not the provider's."""
    error = OSError(28, "No space left on device", "/home/anna/secret")
    fault = disk_fault(error, "op_1.output cannot be written")
    assert (fault.kind, fault.code, fault.status) == (FaultKind.TRANSIENT, DISK, None)
    assert fault.message == "op_1.output cannot be written: No space left on device"


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({"integrations": [{"type": "wandb", "api_key": "k" * 40}, "odd"]}, ["k" * 40]),
        ({"integrations": [{"api_key": None}]}, []),
        ({"integrations": None}, []),
        (None, []),
    ],
)
def test_foreign_keys_in_a_body_are_found(body: dict[str, object] | None, keys: list[str]) -> None:
    """Weights & Biases wants its key in the request."""
    assert keys_in(body) == keys
