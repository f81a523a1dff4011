"""`models serve`: noted below the home for workers, asked by name, and never by batch."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_stored_job
from cli_builders import Ended

from models import served
from models.store import registry
from models.store.engine import Store
from models.tables import TunedModel

Run = Callable[..., Ended]


@pytest.fixture
def commands(
    user_store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[list[str], list[served.Served]]]:
    """What `serve` became, with the notes as they were; there is a model `tuned` of `org/smol`."""
    folder = home / "runs" / "job_a"
    (folder / "adapter").mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"base": "/b/smol", "gguf": "adapter.gguf"}))
    values = {"base": "org/smol", "trainer": "local", "place": "runs/job_a/adapter"}
    model = TunedModel(
        name="tuned", job_id=a_stored_job(user_store), parameters="{}", created_at=0.0, **values
    )
    with user_store.write() as connection:
        registry.register(connection, model, {})
    seen: list[tuple[list[str], list[served.Served]]] = []
    became = lambda _program, command: seen.append((command, served.serving(home)))  # noqa: E731 # two words
    monkeypatch.setattr("os.execvp", became)
    monkeypatch.setattr("producers.processes.free_port", lambda: 23456)
    monkeypatch.setattr("producers.processes.is_free", lambda _port: True)
    return seen


def test_what_is_served_is_noted_before_the_process_becomes_the_server(
    run: Run, commands: list[tuple[list[str], list[served.Served]]]
) -> None:
    """By this pid, which the server keeps; the hint asks by name and needs no other address."""
    ended = run("models", "serve", "tuned", "--port", "9999", "--parallel", "3")
    assert ended.code == 0, ended.err
    assert "maestrale generate FILE --recipe NAME --model tuned" in ended.err
    assert "MISTRAL_BASE_URL" not in ended.err
    ((command, (note,)),) = commands
    assert command[command.index("--base-name") + 1] == "smol"
    assert (note.url, note.models) == ("http://127.0.0.1:9999", ("tuned", "smol"))
    assert (note.pid, note.parallel) == (os.getpid(), 3)


def test_a_free_port_is_chosen_before_it_is_noted(
    run: Run, commands: list[tuple[list[str], list[served.Served]]]
) -> None:
    """The note and the server have the same."""
    assert run("models", "serve", "tuned", "--port", "0").code == 0
    ((command, (note,)),) = commands
    assert (command[command.index("--port") + 1], note.url) == ("23456", "http://127.0.0.1:23456")


def test_a_gpu_serves_under_the_same_names(
    run: Run, commands: list[tuple[list[str], list[served.Served]]]
) -> None:
    """vLLM would call the base by its folder."""
    assert run("models", "serve", "tuned", "--engine", "vllm").code == 0
    ((command, (note,)),) = commands
    assert command[command.index("--served-model-name") + 1] == "smol"
    assert (note.models, note.parallel > 4) == (("tuned", "smol"), True)


@pytest.mark.parametrize("model", ["tuned", "smol"])
def test_a_model_of_our_own_takes_no_batches(
    run: Run,
    commands: list[tuple[list[str], list[served.Served]]],
    home: Path,
    tmp_path: Path,
    model: str,
) -> None:
    """Said before anything is submitted; in real time it goes on."""
    served.note(home, 9999, ("other", "smol"), parallel=1)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "a", "text": "Hello"}\n')
    asked = ("generate", str(rows), "--recipe", "translate", "--model", model, "--dry-run")
    refused = run(*asked, "--via", "batch")
    assert (refused.code, "take --via realtime" in " ".join(refused.err.split())) == (2, True)
    assert run(*asked).code == 0
    assert run(*asked[:4], "--dry-run", "--via", "batch").code == 0


def test_nothing_served_here_stands_before_a_model_of_the_api(
    run: Run, user_store: Store, commands: list[tuple[list[str], list[served.Served]]]
) -> None:
    """A base of such a name is not noted; a tuned model of such a name is not served."""
    table = registry.models
    with user_store.write() as connection:
        connection.execute(table.update().values(base="org/mistral-small-latest"))
    assert run("models", "serve", "tuned").code == 0
    ((_, (note,)),) = commands
    assert (note.models, note.base) == (("tuned",), "/b/smol")
    with user_store.write() as connection:
        connection.execute(table.update().values(name="mistral-small-latest"))
    ended = run("models", "serve", "mistral-small-latest")
    assert (ended.code, "another --name" in ended.err) == (2, True)
    assert len(commands) == 1


def test_bases_of_one_name_have_answers_of_their_own() -> None:
    """A tuned model's name is unique in its registry, its base's is not."""
    first, second = (served.Served("", ("tuned", "base"), 1, "b", base=at) for at in ("/1", "/2"))
    assert first.identity("tuned") == second.identity("tuned")
    assert first.identity("base") != second.identity("base")


@pytest.mark.parametrize(("price", "is_served"), [("1.0", False), ("0", True)])
def test_a_model_of_the_operator_s_table_is_the_api_s_unless_it_is_free(
    run: Run,
    commands: list[tuple[list[str], list[served.Served]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    price: str,
    is_served: bool,
) -> None:
    """Whoever gives a model of their own a price, for a budget, gives it 0."""
    prices = tmp_path / "prices.toml"
    entry = f"{{ input = {price}, output = {price} }}"
    prices.write_text(f'as_of = "2026-11-01"\n[models]\n"tuned" = {entry}\n"smol" = {entry}\n')
    monkeypatch.setenv("MAESTRALE_PRICES", str(prices))
    ended = run("models", "serve", "tuned", "--port", "9999")
    assert (ended.code == 0) is is_served, ended.err
    assert ("the name of a model of the API" in ended.err) is not is_served
