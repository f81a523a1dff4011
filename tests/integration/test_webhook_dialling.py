"""Nineteen ways to lead a webhook astray, against the real dialler: none arrives inside.

Inside is a server at 127.0.0.1, which no rule allows; outside is one at 127.0.0.2, which the
rules allow, so that nothing here leaves the machine.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import pytest
from sinks import Sink, a_sink, in_turn, ok, status

from models.addresses import Rules
from worker.webhooks import dialling
from worker.webhooks.dialling import open_session
from worker.webhooks.posting import Outcome, Trouble, post

SIGNED = {"webhook-id": "evt_1"}
EVERYTHING = ["0.0.0.0/0", "::/0"]


@dataclass
class Ground:
    """The two servers, a third behind a port that is not allowed, and what names stand for."""

    inside: Sink
    outside: Sink
    other_port: Sink
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """Answers, one after another; the last one from then on."""

    @property
    def rules(self) -> Rules:
        ports = [self.inside.port, self.outside.port]
        return Rules(networks=["127.0.0.2/32"], http=True, ports=ports)

    def look_up(self, host: str, port: int, family: int) -> list[object]:
        """Stands in for the system's resolver where we gave a name its addresses."""
        if host not in self.names:
            return _real_look_up(host, port, family)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(10 if ":" in a else 2, 1, 6, "", (a, port)) for a in addresses]


_real_look_up = dialling._look_up

BY_ADDRESS = {
    "a literal": "127.0.0.1",
    "this host": "0.0.0.0",
    "a decimal literal": "2130706433",
    "an octal literal": "0177.0.0.1",
    "a hexadecimal literal": "0x7f000001",
    "a short literal": "127.1",
    "fullwidth digits": "１２７.0.0.1",
    "IPv6 loopback": "[::1]",
    "mapped": "[::ffff:127.0.0.1]",
    "compatible": "[::127.0.0.1]",
    "NAT64": "[64:ff9b::7f00:1]",
    "6to4": "[2002:7f00:1::]",
    "userinfo": "outside.test@127.0.0.1",
}
BY_NAME = {
    "a name for a private address": [["127.0.0.1"]],
    "a name for a mapped address": [["::ffff:127.0.0.1"]],
    "a name for metadata": [["169.254.169.254"]],
}
"""Three more are tests of their own: DNS rebinding, a redirect, a proxy in the environment."""
REACHING = ["a literal", "this host", "a hexadecimal literal", "fullwidth digits", "mapped"]
"""On this machine, without rules; aiohttp itself knows some of the others."""


def test_they_are_nineteen() -> None:
    """As many as were stopped when this was designed."""
    assert len(BY_ADDRESS) + len(BY_NAME) + 3 == 19


@pytest.fixture
async def ground(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    """Servers and a resolver of our own."""
    async with (
        a_sink() as inside,
        a_sink(host="127.0.0.2") as outside,
        a_sink(host="127.0.0.2") as other_port,
    ):
        made = Ground(inside, outside, other_port)
        monkeypatch.setattr(dialling, "_look_up", made.look_up)
        yield made


async def posted(ground: Ground, url: str) -> Outcome:
    """As the deliverer does it."""
    async with open_session(ground.rules) as session:
        return await post(session, ground.rules, url, b"{}", SIGNED)


async def dialled(url: str, rules: Rules) -> None:
    """Past the check of the URL: the dialler alone."""
    async with open_session(rules) as session:
        with suppress(aiohttp.ClientError, OSError, ValueError):
            await session.post(url, data=b"{}", allow_redirects=False)


@pytest.mark.parametrize("host", BY_ADDRESS.values(), ids=BY_ADDRESS)
async def test_by_address(ground: Ground, host: str) -> None:
    """The URL is refused; and were it not, the dialler refuses."""
    url = f"http://{host}:{ground.inside.port}/"
    assert (await posted(ground, url)).trouble is Trouble.REFUSED_URL
    await dialled(url, ground.rules)
    assert ground.inside.received == []


@pytest.mark.parametrize("trick", REACHING)
async def test_without_rules_they_would_arrive(ground: Ground, trick: str) -> None:
    """The tricks are real: it is the rules that stop them."""
    url = f"http://{BY_ADDRESS[trick]}:{ground.inside.port}/"
    await dialled(url, Rules(networks=EVERYTHING, http=True, ports=[]))
    assert len(ground.inside.received) == 1


@pytest.mark.parametrize("answers", BY_NAME.values(), ids=BY_NAME)
async def test_by_name(ground: Ground, answers: list[list[str]]) -> None:
    """The URL is innocent; what its name stands for is refused when it is dialled."""
    ground.names["inside.test"] = answers
    outcome = await posted(ground, f"http://inside.test:{ground.inside.port}/")
    assert outcome.trouble is Trouble.REFUSED_ADDRESS
    assert outcome.status is None
    assert ground.inside.received == []


async def test_dns_rebinding(ground: Ground) -> None:
    """A name that is innocent at first and stands for another address a moment later."""
    ground.names["rebound.test"] = [["127.0.0.2"], ["127.0.0.1"]]
    port = ground.outside.port
    async with open_session(ground.rules) as session:
        connector = session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        outcomes = []
        for at in (port, ground.inside.port):
            url = f"http://rebound.test:{at}/"
            outcomes.append(await post(session, ground.rules, url, b"{}", SIGNED))
            connector.clear_dns_cache()
    assert [outcome.trouble for outcome in outcomes] == [Trouble.NONE, Trouble.REFUSED_ADDRESS]
    assert len(ground.outside.received) == 1
    assert ground.inside.received == []


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
async def test_a_redirect(ground: Ground, number: int) -> None:
    """Is not followed, inside or anywhere: it is a failure."""
    async with a_sink(status(number, Location=ground.inside.url), host="127.0.0.2") as sink:
        rules = Rules(networks=["127.0.0.2/32"], http=True, ports=[])
        async with open_session(rules) as session:
            outcome = await post(session, rules, sink.url, b"{}", SIGNED)
    assert (outcome.status, outcome.trouble) == (number, Trouble.REDIRECTED)
    assert ground.inside.received == []


async def test_a_proxy_in_the_environment(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not asked: it would dial for us."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, ground.inside.url)
    assert (await posted(ground, ground.outside.url)).status == 204
    assert len(ground.outside.received) == 1
    assert ground.inside.received == []


async def test_a_port_that_is_not_allowed(ground: Ground) -> None:
    """By URL, and by the dialler alone."""
    url = f"http://127.0.0.2:{ground.other_port.port}/"
    assert (await posted(ground, url)).trouble is Trouble.REFUSED_URL
    await dialled(url, ground.rules)
    assert ground.other_port.received == []


async def test_an_address_among_others(ground: Ground) -> None:
    """A name with an inner address first and an allowed one after: only the allowed is dialled."""
    ground.names["both.test"] = [["127.0.0.1", "127.0.0.2"]]
    outcome = await posted(ground, f"http://both.test:{ground.outside.port}/")
    assert outcome.status == 204
    assert ground.inside.received == []


async def test_a_cookie_of_an_endpoint_is_not_kept(ground: Ground) -> None:
    """Endpoints do not mark us."""
    answer = in_turn(status(200, **{"Set-Cookie": "a=b"}), ok)
    async with a_sink(answer, host="127.0.0.2") as sink:
        rules = Rules(networks=["127.0.0.2/32"], http=True, ports=[])
        async with open_session(rules) as session:
            for _ in range(2):
                await post(session, rules, sink.url, b"{}", SIGNED)
    assert not any("cookie" in received.headers for received in sink.received)


async def test_a_slow_name_server_holds_up_nobody(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are looked up in threads of their own: the loop's few stay free."""
    stuck = threading.Event()

    def look_up(host: str, port: int, family: int) -> list[object]:
        if host.startswith("slow"):
            stuck.wait(10)
            raise OSError("no such name")
        return ground.look_up(host, port, family)

    monkeypatch.setattr(dialling, "_look_up", look_up)
    ground.names["quick.test"] = [["127.0.0.2"]]
    rules = ground.rules
    async with open_session(rules) as session:
        port = ground.outside.port
        slow = [
            asyncio.create_task(post(session, rules, f"http://slow{n}.test:{port}/", b"", SIGNED))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        outcome = await post(session, rules, f"http://quick.test:{port}/", b"{}", SIGNED)
        assert outcome.status == 204
        assert not any(task.done() for task in slow)
        stuck.set()
        assert {o.trouble for o in await asyncio.gather(*slow)} == {Trouble.UNKNOWN_HOST}
