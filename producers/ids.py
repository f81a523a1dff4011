"""Ids of what is asked for: short, without letters and digits that look alike."""

import secrets

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_id(prefix: str) -> str:
    """`job_k7aa6dvy` for `job`."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
