"""Standard Webhooks' signature, over the very bytes that are sent. Pure."""

import base64
import binascii
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"


def sign(secrets: Iterable[str], message_id: str, at: int, body: bytes) -> str:
    """`webhook-signature`: one `v1,<base64>` per secret (two while one is being rotated).

    `at`: seconds since the epoch, of the attempt. Raises `ValueError` for what is no secret.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), at, body)
    digests = (hmac.digest(key_of(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def key_of(secret: str) -> bytes:
    """The bytes that `whsec_<base64>` stands for. Raises `ValueError`, which shows none of it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not secret.startswith(PREFIX):
        raise ValueError("a webhook's secret is whsec_ and base64")
    return key


def headers(secrets: Iterable[str], message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secrets, message_id, at, body),
    }
