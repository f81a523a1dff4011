"""How the API is reached: its root and key checked, one pool, and what every call carries.

Shared by the hot path (`gateway`) and the client of files, batches and training (`remote`).
"""

from collections.abc import Mapping
from importlib import metadata

import aiohttp
from pydantic import SecretStr
from yarl import URL

from models.errors import SetupError

CONNECT_S = 10.0
IDLE_S = 4.0
"""Idle connections are dropped after this. uvicorn, vLLM and llama.cpp do so after 5 s: whoever
sends on a connection that the server is just closing cannot know whether the request was read."""


def open_session(
    headers: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,
    *,
    connections: int = 0,
) -> aiohttp.ClientSession:
    """A pool on the running loop, without cookies, and without the environment's proxies;
    `connections`: the most at once, 0: no bound."""
    connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE_S, ttl_dns_cache=60)
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def headers_with(key: str) -> dict[str, str]:
    """Sent with every call. `identity`: inflating costs more than a data centre's bytes."""
    headers = {
        "User-Agent": f"maestrale/{_version()}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    return headers | ({"Authorization": f"Bearer {key}"} if key else {})


def checked_root(base_url: str) -> URL:
    """The API's root, with or without `/v1` in the setting; raises `SetupError` if it is none."""
    try:
        root = URL(base_url.rstrip("/").removesuffix("/v1") + "/")
    except ValueError:
        root = URL()
    if root.scheme not in ("http", "https") or not root.host or root.user or root.query_string:
        raise SetupError("MISTRAL_BASE_URL is not the root of an API: write https://host[:port]")
    return root


def checked_key(api_key: SecretStr) -> str:
    """The key without the line end that files bring along; never shown in an error."""
    key = api_key.get_secret_value().strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise SetupError("MISTRAL_API_KEY holds characters that no key has: set it again")
    return key


def _version() -> str:
    try:
        return metadata.version("maestrale")
    except metadata.PackageNotFoundError:
        return "0"
