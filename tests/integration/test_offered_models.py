"""A model that the server does not have is refused before a job is made."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from models.errors import BadInputError
from models.settings import Settings
from producers import Maestrale
from producers.cli import main
from producers.offered import check_offered

SMALL = "mistral-small-latest"
CARDS = [
    {"id": SMALL, "aliases": ["mistral-small-2603"]},
    {"id": "llama3:latest"},
    {"id": "openai/*"},
    {"id": "mistral-embed", "aliases": None},
]


class Listing(BaseHTTPRequestHandler):
    """Lists models to whoever has the key, and counts how often."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        knows = self.headers.get("authorization") == "Bearer k"
        self.send_response(200 if knows else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"data": CARDS}).encode() if knows else b"{}")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def listing() -> Iterator[tuple[str, list[str]]]:
    """Its URL, and what it was asked."""
    asked: list[str] = []
    handler = type("Own", (Listing,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def opened(make_settings: Callable[..., Settings], listing: tuple[str, list[str]]) -> Maestrale:
    """A client of that server."""
    return Maestrale(make_settings(base_url=listing[0], api_key=SecretStr("k")))


def test_a_misspelt_name_is_refused(opened: Maestrale, listing: tuple[str, list[str]]):
    """With the one that was meant, and by one request for all names."""
    with opened, pytest.raises(BadInputError, match=f"did you mean {SMALL}"):
        check_offered([SMALL, "mistral-smal-latest"], opened)
    assert listing[1] == ["/v1/models"]
    with opened, pytest.raises(BadInputError, match=r"no model 'zzz': it has .*llama3:latest"):
        check_offered(["zzz"], opened)


@pytest.mark.parametrize(
    "name", [SMALL, "mistral-small-2603", "llama3", "openai/any", "ft:x:y:z", "mistral-embed"]
)
def test_what_the_server_answers_for_passes(opened: Maestrale, name: str):
    """Aliases, names without their tag, patterns, and tuned models."""
    with opened:
        check_offered([name], opened)


def test_without_the_list_all_goes_on(
    make_settings: Callable[..., Settings], listing: tuple[str, list[str]]
):
    """No key, a key that is not taken, nobody who answers: the job tells."""
    for url, key in ((listing[0], ""), (listing[0], "other"), ("http://127.0.0.1:9", "k")):
        with Maestrale(make_settings(base_url=url, api_key=SecretStr(key))) as client:
            check_offered(["zzz"], client)


def test_the_command_makes_no_job(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    listing: tuple[str, list[str]],
):
    """`evaluate` and `embed` end with 2, and there is nothing to pause."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("MISTRAL_BASE_URL", listing[0]), ("MISTRAL_API_KEY", "k")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAESTRALE_HOME", str(tmp_path / "home"))
    Path("q.jsonl").write_text('{"id": "1", "query": "news?", "label": "news_related"}\n')
    evaluate = ["evaluate", "tak", "-m", "mistral-smal-latest", "--data", "q.jsonl", "--detach"]
    embed = ["embed", "q.jsonl", "--text", "{{ row.query }}", "-m", "mistral-embd", "--detach"]
    for command in (evaluate, embed):
        assert main(command) == 2
        assert "did you mean" in capfd.readouterr().err
    assert main(["jobs", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == []
