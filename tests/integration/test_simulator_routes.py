"""Every route of the simulator, asked what comes to schemathesis' mind, in a process of its own."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from drawn import some
from schemas_tried import asked, the_schema
from simulator_routes import BODIES, MODEL, QUERIES, SAID, described

import simulator
from simulator.inference import Simulation
from simulator.server import application
from simulator.settings import Config

KEY = "the-one-key"
CALM = {
    "_faults": "{}",
    "_limits": '{"requests": {}, "tokens": {}, "window_s": 60}',
    "_batch": "{}",
}
"""What ends faults and limits again."""
ROUTES = sorted(
    (route.method, route.resource.canonical)
    for route in application(Simulation(Config())).router.routes()
    if route.resource is not None and route.method not in ("HEAD", "*")
)
SCHEMA = the_schema(described(ROUTES, {"model": MODEL}))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A simulator that wants a key, and faults that nobody asked for never happen."""
    with simulator.spawn("--key", KEY) as running:
        yield running.url


@pytest.fixture(scope="module")
def known() -> Iterator[requests.Session]:
    """Who has the key."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield session


@pytest.fixture(scope="module")
def stranger() -> Iterator[requests.Session]:
    """Who has not."""
    with requests.Session() as session:
        yield session


def test_no_query_is_missing_from_the_description() -> None:
    """Whatever a route reads from its query string is drawn, and each body has its schema."""
    sources = "".join(path.read_text() for path in Path(simulator.__file__).parent.rglob("*.py"))
    read = re.findall(r"query\.get\(\"(\w+)\"", sources)
    read += re.findall(r"(?:moment_of|flag_of|words_of)\((?:request\.)?query, \"(\w+)\"", sources)
    assert set(read) == set(QUERIES)
    bodiless = {path for method, path in ROUTES if method == "POST"} - {path for _, path in BODIES}
    assert all(path.endswith(("/start", "/cancel", "/_reset")) for path in bodiless)


@SCHEMA.parametrize()
@some(25)
def test_no_route_falls_over(
    case: Any, url: str, known: requests.Session, stranger: requests.Session
) -> None:
    """An answer in time, never 5xx, never a trace; nothing of the API without the key."""
    try:
        answer = asked(case, url, session=known)
        if answer.status_code in (400, 404, 409, 422):
            assert answer.json(), "refusals say why"
    finally:
        if (name := case.operation.path.strip("/")) in CALM:
            known.post(f"{url}/{name}", data=CALM[name], timeout=20)
    if case.operation.path.startswith("/v1/"):
        assert asked(case, url, session=stranger).status_code in (401, 404, 405)


def test_it_works_as_before(url: str, known: requests.Session) -> None:
    """After all of it a call is answered."""
    body = {"model": MODEL, "messages": SAID}
    answer = known.post(f"{url}/v1/chat/completions", json=body, timeout=20)
    assert answer.status_code == 200, answer.text


ENDLESS = [
    {"type": "array", "minItems": 10**7},
    {"type": "array", "minItems": 9000, "items": {"type": "array", "minItems": 9000}},
    {"type": "array", "minItems": "x"},
    {"type": "string", "minLength": 10**9},
    {"type": "object", "minProperties": 10**9},
    {"$ref": "#"},
]
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
NESTED = "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--"
NAMELESS = 'Content-Disposition: form-data; name="\x1f"\r\n\r\nx'


@pytest.mark.parametrize("schema", ENDLESS, ids=str)
def test_a_schema_demands_no_more_than_fits(
    url: str, known: requests.Session, schema: dict[str, Any]
) -> None:
    """What no answer could hold is refused at once, in words."""
    form = {"type": "json_schema", "json_schema": {"name": "q", "schema": schema}}
    body = {"model": MODEL, "messages": SAID, "response_format": form}
    answer = known.post(f"{url}/v1/chat/completions", json=body, timeout=20)
    assert (answer.status_code, "cannot be filled" in answer.text) == (400, True)


def test_a_billion_answers_are_refused(url: str, known: requests.Session) -> None:
    """The specification names no bound; memory does."""
    body = {"model": MODEL, "messages": SAID, "n": 10**9}
    answer = known.post(f"{url}/v1/chat/completions", json=body, timeout=20)
    assert answer.status_code == 422


@pytest.mark.parametrize("part", [NESTED, NAMELESS], ids=["parts in parts", "control character"])
def test_a_part_that_is_none_is_refused(url: str, known: requests.Session, part: str) -> None:
    """An upload that does not hold a file of ours."""
    content = f"--b\r\n{part}\r\n--b--\r\n"
    answer = known.post(f"{url}/v1/files", data=content, headers=MULTIPART, timeout=20)
    assert (answer.status_code, "multipart" in answer.text) == (422, True)


@pytest.mark.parametrize("rules", ["null", "5", '{"window_s": 0}', '{"window_s": 1e308}'])
def test_limits_that_make_no_sense_are_refused(
    url: str, known: requests.Session, rules: str
) -> None:
    """And change nothing."""
    assert known.post(f"{url}/_limits", data=rules, timeout=20).status_code == 400
