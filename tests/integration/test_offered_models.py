"""A model that the server does not have is refused before a job is made."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import SecretStr

from models.errors import BadInputError
from models.settings import Settings
from producers import Maestrale, offered
from producers.cli import main
from producers.offered import check_offered
from proving.pipelines_stage import edit, write_recipe
from simulator.catalogue import model_card

SMALL, NEMO, EMBED = "mistral-small-latest", "open-mistral-nemo", "mistral-embed"
OTHERS: list[Any] = [
    {"id": SMALL, "aliases": ["mistral-small-2603"]},
    {"id": "llama3:latest"},
    {"id": "openai/*"},
    {"id": "Maker/Model-7B"},
    {"id": EMBED, "aliases": None},
    {"id": "odd", "aliases": True},
    {"id": 7, "aliases": [{}, 3]},
    "no card",
]
SIMULATED = [model_card(name) for name in (SMALL, NEMO, EMBED)]


class Listing(BaseHTTPRequestHandler):
    """Lists models to whoever has the key, and counts how often."""

    asked: list[str]
    cards: list[Any]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        knows = self.headers.get("authorization") == "Bearer k"
        self.send_response(200 if knows else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"data": self.cards}).encode() if knows else b"{}")

    def log_message(self, *_: object) -> None: ...


class Trickling(Listing):
    """Begins its answer at once and never ends it."""

    is_over: Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.is_over.wait(0.05):
            self.wfile.write(b" ")


def served(kind: type[Listing], **told: Any) -> Iterator[tuple[str, list[str]]]:
    """A server's URL, and what it was asked."""
    asked: list[str] = []
    handler = type("Own", (kind,), {"asked": asked, **told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def listing() -> Iterator[tuple[str, list[str]]]:
    """One that calls itself the simulator, by its cards."""
    yield from served(Listing, cards=SIMULATED)


@pytest.fixture
def another() -> Iterator[tuple[str, list[str]]]:
    """One of another maker."""
    yield from served(Listing, cards=OTHERS)


@pytest.fixture
def trickling() -> Iterator[str]:
    """One whose answer has no end."""
    is_over = Event()
    for url, _ in served(Trickling, is_over=is_over):
        yield url
        is_over.set()


@pytest.fixture
def opened(make_settings: Callable[..., Settings], listing: tuple[str, list[str]]) -> Maestrale:
    """A client of the simulator."""
    return Maestrale(make_settings(base_url=listing[0], api_key=SecretStr("k")))


@pytest.fixture
def elsewhere(make_settings: Callable[..., Settings], another: tuple[str, list[str]]) -> Maestrale:
    """A client of another maker's."""
    return Maestrale(make_settings(base_url=another[0], api_key=SecretStr("k")))


@pytest.fixture
def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listing: tuple[str, list[str]]
) -> Callable[[str], None]:
    """A shell in a folder of its own; called with a URL, it asks that server instead."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("MISTRAL_BASE_URL", listing[0]), ("MISTRAL_API_KEY", "k")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAESTRALE_HOME", str(tmp_path / "home"))
    return lambda url: monkeypatch.setenv("MISTRAL_BASE_URL", url)


def jobs(capfd: pytest.CaptureFixture[str]) -> Any:
    """Those that there are."""
    capfd.readouterr()
    assert main(["jobs", "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_a_misspelt_name_is_refused(opened: Maestrale, listing: tuple[str, list[str]]):
    """With the one that was meant, and by one request for all names."""
    with opened, pytest.raises(BadInputError, match=f"did you mean {SMALL}"):
        check_offered([SMALL, "mistral-smal-latest"], opened)
    assert listing[1] == ["/v1/models"]
    with opened, pytest.raises(BadInputError, match=r"no model 'zzz': it has .*open-mistral-nemo"):
        check_offered(["zzz"], opened)


def test_only_what_does_the_work_is_advised(opened: Maestrale, monkeypatch: pytest.MonkeyPatch):
    """One that chats for who is to chat, one that embeds for who is to embed; or none at all."""
    with opened:
        with pytest.raises(
            BadInputError, match=f"no model 'mistral-tiny': .*({SMALL}|{NEMO})"
        ) as refused:
            check_offered(["mistral-tiny"], opened)
        assert EMBED not in str(refused.value)
        with pytest.raises(BadInputError, match=f"did you mean {EMBED}"):
            check_offered(["mistral-tiny"], opened, embedding=["mistral-tiny"])
        other = {**model_card("mistral-ocr"), "capabilities": {"completion_chat": False}}
        monkeypatch.setattr(offered, "cards", lambda *_: [model_card(EMBED), other])
        with pytest.raises(BadInputError, match=r"no model 'mistral-tiny'$"):
            check_offered(["mistral-tiny"], opened)


def test_the_provider_itself_refuses_too(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
):
    """On its own addresses, and not on one that only looks alike."""
    monkeypatch.setattr(offered, "cards", lambda *_: OTHERS)
    for url, is_refused in (
        (offered.PROVIDER, True),
        ("https://api.eu.mistral.ai/v1", True),
        ("https://notmistral.ai", False),
    ):
        with Maestrale(make_settings(base_url=url, api_key=SecretStr("k"))) as client:
            if is_refused:
                with pytest.raises(BadInputError, match=r"no model 'zzz'"):
                    check_offered(["zzz"], client)
            else:
                assert len(check_offered(["zzz"], client)) == 1


@pytest.mark.parametrize(
    "name",
    [
        *(SMALL, "mistral-small-2603", "ft:x:y:z", EMBED, "odd"),
        *("llama3", "openai/any", "maker/model-7b", "Maker/Model-7B:nitro", "MISTRAL-embed:latest"),
    ],
)
def test_what_the_server_answers_for_passes(elsewhere: Maestrale, name: str):
    """Aliases, names with and without a tag, in any case, patterns, and tuned models; whatever else
    stands among the cards."""
    with elsewhere:
        assert check_offered([name], elsewhere) == []


def test_another_makers_server_may_answer_for_more_than_it_lists(elsewhere: Maestrale):
    """Those that serve one model take any name: a word of it, and all goes on."""
    with elsewhere:
        (warning,) = check_offered([SMALL, "mistral-smal-latest"], elsewhere)
    assert "does not list a model 'mistral-smal-latest'" in warning
    assert f"did you mean {SMALL}?" in warning


def test_a_list_that_never_ends_holds_nobody_up(
    make_settings: Callable[..., Settings], trickling: str
):
    """The time is for all of the answer: a byte now and then does not begin it anew."""
    settings = make_settings(base_url=trickling, api_key=SecretStr("k"))
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no whole answer within 0\.3 s"):
        offered.cards(settings, 0.3)
    assert time.monotonic() - before < 10


def test_without_the_list_all_goes_on(
    make_settings: Callable[..., Settings], listing: tuple[str, list[str]]
):
    """No key, a key that is not taken, nobody who answers: the job tells."""
    for url, key in ((listing[0], ""), (listing[0], "other"), ("http://127.0.0.1:9", "k")):
        with Maestrale(make_settings(base_url=url, api_key=SecretStr(key))) as client:
            check_offered(["zzz"], client)


@pytest.mark.usefixtures("user")
def test_the_command_makes_no_job(capfd: pytest.CaptureFixture[str]):
    """`evaluate` and `embed` end with 2, and there is nothing to pause."""
    Path("q.jsonl").write_text('{"id": "1", "query": "news?", "label": "news_related"}\n')
    evaluate = ["evaluate", "tak", "-m", "mistral-smal-latest", "--data", "q.jsonl", "--detach"]
    embed = ["embed", "q.jsonl", "--text", "{{ row.query }}", "-m", "mistral-embd", "--detach"]
    for command in (evaluate, embed):
        assert main(command) == 2
        meant = EMBED if command[0] == "embed" else SMALL
        assert f"did you mean {meant}?" in capfd.readouterr().err
    assert jobs(capfd) == []


def test_on_another_makers_server_the_command_goes_on(
    user: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
    another: tuple[str, list[str]],
):
    """With a word on stderr, where programs do not read."""
    user(another[0])
    Path("q.jsonl").write_text('{"id": "1", "query": "news?"}\n')
    embed = ["embed", "q.jsonl", "--text", "{{ row.query }}", "-m", "any-embed", "--dry-run"]
    assert main([*embed, "--json"]) == 0
    told = capfd.readouterr()
    assert "does not list a model 'any-embed'" in told.err
    assert json.loads(told.out)["estimate"]


WRONG = "mistral-smal-latest"
JUDGED = """
[judge]
ask = { prompt = "{{ first }}{{ second }}" }
[[judge.criteria]]
name = "c"
description = "d"
"""


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("recipe.toml", f'model = "{SMALL}"', f'model = "{WRONG}"'),
        ("pipeline.toml", 'kind = "generate"', f'kind = "generate"\nmodel = "{WRONG}"'),
        ("pipeline.toml", 'base = "open-mistral-nemo"', f'base = "{WRONG}"'),
        ("pipeline.toml", f'["{SMALL}"', f'["{WRONG}@bare"'),
        ("pipeline.toml", f'["{SMALL}"', '["{{ vars.wrong }}"'),
        ("pipeline.toml", "[[stages]]\n", f"{{embed}}model = '{WRONG}'\n[[stages]]\n"),
        ("pipeline.toml", f'["{SMALL}"', f'judge = "{WRONG}"\nmodels = ["{SMALL}"'),
    ],
    ids=["recipe", "generate", "base", "models", "variable", "embed", "judge"],
)
@pytest.mark.parametrize("how", ["--plan", "--detach"])
def test_a_run_is_refused_before_its_first_stage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, new: str, how: str
):
    """Whoever of its stages asks for a model that is not there, when it is planned and begun."""
    folder = write_recipe(tmp_path / "small")
    edit(folder, "pipeline.toml", "steps = 10", f'steps = 10\nwrong = "{WRONG}"')
    if "judge" in new:
        suite = (folder / "suite.toml").read_text().partition("[classification]")[0]
        (folder / "suite.toml").write_text(suite.replace("classification", "pairwise") + JUDGED)
        old = f"models = {old}"
    vectors = '[[stages]]\nname = "v"\nkind = "embed"\ntext = "{{ row.text }}"\n'
    text = (folder / file).read_text()
    (folder / file).write_text(text.replace(old, new.replace("{embed}", vectors), 1))
    assert main(["run", str(folder), how]) == 2
    assert f"no model {WRONG!r}: did you mean {SMALL}?" in capfd.readouterr().err
    assert jobs(capfd) == []


@pytest.mark.usefixtures("user")
def test_a_run_of_models_that_are_there_asks_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], listing: tuple[str, list[str]]
):
    """What a stage trains, or serves on this machine, is not asked for."""
    folder = write_recipe(tmp_path / "small")
    assert main(["run", str(folder), "--plan"]) == 0
    assert listing[1] == ["/v1/models"]
    edit(folder, "pipeline.toml", 'base = "open-mistral-nemo"', 'base = "smollm2"')
    edit(folder, "pipeline.toml", 'trainer = "mistral"', 'trainer = "local"')
    edit(folder, "pipeline.toml", f'["{SMALL}"', '["smollm2"')
    main(["run", str(folder), "--plan"])
    assert "no model" not in capfd.readouterr().err
