"""Signatures: ours, and what two other libraries say of them."""

import json
import time

import pytest
from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix
from svix.webhooks import WebhookVerificationError

from worker.webhooks.signing import headers, key_of, sign

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
BODY = '{"type":"job.failed","data":{"name":"ünïcode \\u2028"}}'.encode()


@pytest.mark.parametrize(
    ("secret", "message_id", "at", "body", "signature"),
    [
        (
            OLD,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (NEW, "evt_0001", 1750000000, b"{}", "v1,beYcMGV4ttzvyq4TUlz08/9LJhowFi/Pd3YmAL9wLQY="),
    ],
)
def test_the_published_vectors(
    secret: str, message_id: str, at: int, body: bytes, signature: str
) -> None:
    """What others sign for the same bytes."""
    assert sign([secret], message_id, at, body) == signature


@pytest.mark.parametrize("library", [Standard, Svix])
@pytest.mark.parametrize("secret", [OLD, NEW])
def test_other_libraries_verify_ours(library: type, secret: str) -> None:
    """`standardwebhooks` and `svix` accept it with the secret as shown; and while one is rotated
    with either of both."""
    now = int(time.time())
    for secrets in ([secret], [NEW, OLD]):
        signed = headers(secrets, "evt_job_1_7", now, BODY)
        told = library(secret).verify(BODY, signed)  # svix answers None, and raises if it is none
        assert told in (None, json.loads(BODY))


@pytest.mark.parametrize("library", [Standard, Svix])
@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "webhook-signature", ""])
def test_other_libraries_refuse_what_was_changed(library: type, changed: str) -> None:
    """Id, time, signature and body are all under the signature."""
    now = int(time.time())
    signed = headers([OLD], "evt_job_1_7", now, BODY)
    others = {"webhook-id": "evt_job_1_8", "webhook-timestamp": str(now - 1)}
    others["webhook-signature"] = sign([NEW], "evt_job_1_7", now, BODY)
    body = BODY if changed else BODY + b" "
    if changed:
        signed[changed] = others[changed]
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        library(OLD).verify(body, signed)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", "AAECAwQFBgc=", "whsec_AAEC\n!"])
def test_what_is_no_secret_is_refused_unseen(secret: str) -> None:
    """And the error shows nothing of it."""
    with pytest.raises(ValueError, match="whsec_ and base64") as told:
        key_of(secret)
    assert told.value.__context__ is None
