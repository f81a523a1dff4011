"""A call's identity: the SHA-256 of its canonical request."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

NOT_PART_OF_THE_ANSWER = frozenset({"prompt_cache_key", "metadata"})
"""Request fields that change billing or bookkeeping and never the answer."""
SERVED_HERE = "served by maestrale"
"""The server of models that `maestrale models serve` answers for, whatever its port: the API's
answer to such a name is another. `models.served` says more of bases."""
SIMULATED = "What the simulator calls "
"""How the simulator's descriptions of its models begin: it answers for these and no others."""


def call_key(server: str, endpoint: str, body: Mapping[str, Any], sample: str = "") -> str:
    """64 hex characters: same server, endpoint, body and sample give the same key.

    `server` is the base URL, or `SERVED_HERE`: an answer of the simulator, or of a model of our
    own, is never taken for one of the API.
    `sample` tells repeated draws of the same request apart (`--fresh`, later: attempts).
    """
    asked = {name: value for name, value in body.items() if name not in NOT_PART_OF_THE_ANSWER}
    canonical = orjson.dumps([server, endpoint, sample, asked], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()
