"""Where webhooks may go: addresses in all their forms, URLs in all their spellings."""

import ipaddress
import random

import pytest

from models.addresses import Rules, check_url, is_forbidden, origin_of
from models.errors import BadInputError
from models.settings import Settings

STRICT = Rules(networks=[], http=False, ports=[443, 8443])

FORBIDDEN = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.255.254",
    "this host": "0.0.0.0",
    "private 10": "10.1.2.3",
    "private 172": "172.31.255.255",
    "private 192": "192.168.0.1",
    "metadata": "169.254.169.254",
    "metadata of ECS": "169.254.170.2",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of Azure": "168.63.129.16",
    "metadata of Oracle": "192.0.0.192",
    "carrier NAT": "100.64.0.1",
    "benchmarks": "198.18.0.1",
    "documentation": "203.0.113.7",
    "6to4 relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "global multicast": "233.252.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "loopback 6": "::1",
    "unspecified 6": "::",
    "mapped": "::ffff:127.0.0.1",
    "mapped and public": "::ffff:8.8.8.8",
    "compatible": "::127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "local NAT64": "64:ff9b:1::7f00:1",
    "6to4": "2002:7f00:1::",
    "Teredo": "2001:0:53aa:64c:0:0:0:1",
    "ORCHID": "2001:20::1",
    "documentation 6": "2001:db8::1",
    "new documentation 6": "3fff::1",
    "ULA": "fd00:ec2::254",
    "link-local 6": "fe80::1",
    "site-local": "fec0::1",
    "multicast 6": "ff0e::1",
    "discard": "100::1",
    "SRv6": "5f00::1",
    "beyond all": "e000::1",
    "no address": "example.com",
    "nothing": "",
}


@pytest.mark.parametrize("address", FORBIDDEN.values(), ids=FORBIDDEN)
def test_it_is_forbidden(address: str) -> None:
    """What is not plainly public is forbidden, and what hides another address."""
    assert is_forbidden(address, STRICT)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "99.255.255.255", "2606:4700::1111", "2a00:1450:4001::200e"]
)
def test_public_is_allowed(address: str) -> None:
    """As text and as an address."""
    assert not is_forbidden(address, STRICT)
    assert not is_forbidden(ipaddress.ip_address(address), STRICT)


def test_own_networks_are_allowed_and_nothing_beside_them() -> None:
    """An intranet's operator names it; the forms that hide an address stay forbidden."""
    rules = Rules(networks=["10.2.0.0/16", "fd12::/16"], http=False, ports=[])
    allowed = ["10.2.0.1", "10.2.255.255", "fd12::1"]
    assert not any(is_forbidden(address, rules) for address in allowed)
    hidden = ["10.3.0.1", "127.0.0.1", "::ffff:10.2.0.1", "64:ff9b::a02:1", "fd13::1"]
    assert all(is_forbidden(address, rules) for address in hidden)


def test_nothing_that_python_calls_private_gets_through() -> None:
    """Whatever `ipaddress` warns of is forbidden, over many addresses of both kinds."""
    dice = random.Random(7)
    some = [ipaddress.IPv4Address(dice.getrandbits(32)) for _ in range(3000)]
    some6 = [ipaddress.IPv6Address(dice.getrandbits(128)) for _ in range(3000)]
    for address in [*some, *some6]:
        if not address.is_global or address.is_multicast or address.is_link_local:
            assert is_forbidden(address, STRICT), address


def test_the_rules_are_the_operators() -> None:
    """Read from the settings; no ports in the list: any port."""
    rules = Rules.of(
        Settings(
            _env_file=None,
            MAESTRALE_WEBHOOK_NETWORKS="10.0.0.0/8 fd00::/8",
            MAESTRALE_WEBHOOK_HTTP="true",
            MAESTRALE_WEBHOOK_PORTS="*",
        )
    )
    assert rules.http
    assert rules.allows_port(9)
    assert not rules.allows_port(0)
    check_url("http://10.0.0.1:9999/hook", rules)
    assert not STRICT.allows_port(80)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "https://EXAMPLE.com:8443/hook?token=x%20y",
        "https://xn--bcher-kva.example",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:443/",
        "https://example.com./",
        "https://hooks-1.my_own.example.com/",
        "https://1.example.com/",
        "https://face.b00c/",
    ],
)
def test_a_good_url_passes(url: str) -> None:
    """Names, public addresses, allowed ports."""
    check_url(url, STRICT)


REFUSED = {
    "http://example.com/": "MAESTRALE_WEBHOOK_HTTP",
    "ftp://example.com/": "https://",
    "example.com/hook": "https://",
    "": "https://",
    "file:///etc/passwd": "https://",
    "https://user:secret@example.com/": "user or password",
    "https://@example.com/": "user or password",
    "https://example.com@127.0.0.1/": "user or password",
    "https://example.com/#part": "fragment",
    "https://example.com/#": "fragment",
    "https://example.com:80/": "MAESTRALE_WEBHOOK_PORTS",
    "https://example.com:22/": "MAESTRALE_WEBHOOK_PORTS",
    "https://example.com:0/": "MAESTRALE_WEBHOOK_PORTS",
    "https://example.com:99999/": "does not parse",
    "https://example.com:x/": "does not parse",
    "https:///hook": "no host",
    "https://:443/": "no host",
    "https://a..b/": "no host",
    "https://exa%6dple.com/": "no host",
    "https://-example.com/": "no host",
    "https://[fe80::1%25eth0]/": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://[::1/": "does not parse",
    "https://example.com /": "spaces",
    "https://example.com\\@127.0.0.1/": "backslashes",
    "https://example.com/\r\nX: y": "control",
    "https://exämple.com/": "xn--",
    "https://１２７.0.0.1/": "xn--",
    "https://example.com/" + "a" * 2048: "2048",
    "https://localhost/": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://a.LOCALHOST./": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://127.0.0.1/": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://127.1/": "127.0.0.1 is not a public address",
    "https://2130706433/": "127.0.0.1 is not a public address",
    "https://0x7f000001/": "127.0.0.1 is not a public address",
    "https://0x7f.1/": "127.0.0.1 is not a public address",
    "https://0177.0.0.01/": "127.0.0.1 is not a public address",
    "https://127.0.0.1./": "127.0.0.1 is not a public address",
    "https://0/": "0.0.0.0 is not a public address",
    "https://169.254.43518/": "169.254.169.254 is not a public address",
    "https://[::ffff:7f00:1]/": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://[64:ff9b::169.254.169.254]/": "MAESTRALE_WEBHOOK_NETWORKS",
    "https://1.2.3.4.5/": "ends in a number",
    "https://999999999999/": "ends in a number",
    "https://example.0x/": "ends in a number",
}


@pytest.mark.parametrize(("url", "advice"), REFUSED.items())
def test_a_bad_url_is_refused_with_advice(url: str, advice: str) -> None:
    """The message says what is wrong and which setting would allow it; it repeats no path."""
    with pytest.raises(BadInputError) as told:
        check_url(url, STRICT)
    assert advice in str(told.value)
    assert "hook" not in str(told.value).replace("webhooks", "")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://user:pass@example.com:8443/a/b?token=1#x", "https://example.com:8443"),
        ("http://[::1]:80/x", "http://[::1]:80"),
        ("https://EXAMPLE.com", "https://example.com"),
        ("https://[::1", "?"),
        ("https://x:port/", "?"),
        ("javascript:alert(1)", "?"),
        ("", "?"),
    ],
)
def test_an_origin_shows_no_secrets(url: str, origin: str) -> None:
    """Scheme, host and port; nothing of what may be secret, and no failure for garbage."""
    assert origin_of(url) == origin
