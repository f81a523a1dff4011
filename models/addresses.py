"""Where webhooks may go: rules for URLs and for the very addresses that are dialled. Pure.

A URL is checked when it is handed in and again before each attempt; that stops mistakes. What
stops attackers is `is_forbidden`, asked with the address that is being dialled: only then is it
known what a name stands for at that moment.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self
from urllib.parse import SplitResult, urlsplit

from models.errors import BadInputError
from models.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_CHARACTERS = 2048
_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_ALMOST_AN_ADDRESS = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
"""Systems read a name that ends in a number as an IPv4 address, in many spellings."""
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_FORBIDDEN = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this host
            "100.64.0.0/10",  # behind a carrier's NAT; Alibaba's metadata is among them
            "168.63.129.16/32",  # Azure's own services for each machine, metadata among them
            "169.254.0.0/16",  # link-local, with nearly everybody's metadata
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "2001::/23",  # Teredo and other tunnels: an IPv4 address may hide in it
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: hides an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
"""On top of `is_global`, which takes some of these for public in Python 3.11."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator allows: networks that are not public, plain http, ports (none: any)."""

    networks: Sequence[str]
    http: bool
    ports: Sequence[int]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules as set by `MAESTRALE_WEBHOOK_NETWORKS`, `_HTTP` and `_PORTS`."""
        ports = () if settings.webhook_ports == "*" else tuple(settings.webhook_ports)
        return cls(tuple(settings.webhook_networks), settings.webhook_http, ports)

    def allows_port(self, port: int) -> bool:
        """Whether an endpoint may be behind `port`."""
        return port in self.ports if self.ports else 0 < port < 65536


def is_forbidden(address: str | Address, rules: Rules) -> bool:
    """Whether nothing may be sent to `address`: not public, and not in an allowed network.

    What is no address is forbidden too. Forms of IPv6 that hide an IPv4 address are.
    """
    try:
        at = ipaddress.ip_address(address)
    except ValueError:
        return True
    if any(at in network for network in _networks(tuple(rules.networks))):
        return False
    if isinstance(at, ipaddress.IPv6Address) and at not in _GLOBAL_UNICAST:
        return True  # mapped, compatible, NAT64, ULA, site-local, multicast ...
    return not at.is_global or at.is_multicast or any(at in network for network in _FORBIDDEN)


def check_url(url: str, rules: Rules) -> None:
    """Raises `BadInputError`, with advice, if `url` cannot be an endpoint under `rules`.

    A name is not resolved here. The message shows nothing of path and query: they may be secret.
    """
    parts = _parsed(url)
    if parts.scheme == "http" and not rules.http:
        raise BadInputError("the URL is http: use https, or set MAESTRALE_WEBHOOK_HTTP=true")
    if parts.scheme not in _PORTS:
        raise BadInputError("the URL of an endpoint begins with https://")
    if "@" in parts.netloc:
        raise BadInputError("the URL holds a user or password: the signature proves who sends")
    if "#" in url:
        raise BadInputError("the URL has a fragment (#...), which is never sent: leave it out")
    _check_port(parts, rules)
    _check_host((parts.hostname or "").removesuffix("."), rules)


def origin_of(url: str) -> str:
    """`scheme://host[:port]`: what may be shown of a URL. `?` for what is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "?"
    if not host or parts.scheme not in _PORTS:
        return "?"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


def _parsed(url: str) -> SplitResult:
    """The URL's parts; nothing that two parsers could read in two ways gets past here."""
    if len(url) > MOST_CHARACTERS:
        raise BadInputError(f"the URL is longer than {MOST_CHARACTERS} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadInputError(
            "the URL holds spaces, control characters, backslashes or letters beyond ASCII: "
            "write a host as xn--..., and the rest percent-encoded"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadInputError("the URL does not parse: write https://host[:port]/path") from None
    return parts


def _check_port(parts: SplitResult, rules: Rules) -> None:
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if not rules.allows_port(port):
        allowed = ", ".join(map(str, rules.ports)) or "1 to 65535"
        raise BadInputError(
            f"port {port} is not allowed (allowed: {allowed}): set MAESTRALE_WEBHOOK_PORTS"
        )


def _check_host(host: str, rules: Rules) -> None:
    address = _literal(host)
    if address is None and not _NAME.fullmatch(host):
        raise BadInputError("the URL has no host, or one that is no name and no address")
    if address is not None and is_forbidden(address, rules):
        raise BadInputError(
            f"{address} is not a public address: webhooks go there only if its network is in "
            "MAESTRALE_WEBHOOK_NETWORKS (10.2.0.0/16, ...)"
        )


def _literal(host: str) -> Address | None:
    """The address that `host` spells in any way a system would read; None: it is a name."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        if not _ALMOST_AN_ADDRESS.fullmatch(host):
            return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f.1, 2130706433, 0177.1
    except OSError:
        raise BadInputError("the URL's host ends in a number but is no address") from None


@lru_cache(maxsize=16)
def _networks(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))
