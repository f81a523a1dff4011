"""Every command with hostile arguments and settings: words and an exit code, never a traceback.

1 is for what is around us (a database away, an extra not installed), 2 for what was handed in, 3
for a job that is not done; 70 would be a bug. A command that is new has to be put into `USUAL`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from bad_rows import ROWS, lines
from cli_builders import Ended
from sqlalchemy import create_engine
from test_bad_files import RECIPE, SUITE

from models.settings import Settings
from models.store.engine import Store
from producers.cli.app import app
from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
HOSTILE = (
    *("", "-1", "0", "nan", "inf", "1e400", "9" * 30, "x", "../../etc/passwd", "/dev/zero", "."),
    *("fifo", "a\nb", "\x1b[2J", "\udcff", "é" * 200, "{{ 7*7 }}", "--", "-", "%s%n", "[red]"),
    *("x" * 5000, "a=b", "=b", ",", "0x10", "1;2", "/proc/self/mem", "/nowhere/x", "job_x@y"),
)
EACH = 3
"""So many of them for every option, in turns: every value meets every command, not every option."""
USUAL: Mapping[str, tuple[str, ...]] = {
    "recipes": (),
    "jobs": (),
    "costs": (),
    "stores": (),
    "status": (),
    "down": (),
    "migrate": (),
    "doctor": (),
    "run": ("p", "--plan"),
    "generate": ("rows.jsonl", "-r", "r.toml", "--dry-run"),
    "embed": ("rows.jsonl", "--text", "{{ row.text }}", "--dry-run"),
    "evaluate": ("s.toml", "-m", "small", "--data", "rows.jsonl", "--dry-run"),
    "train": ("news", "--base", "ministral-8b-latest", "--trainer", "mistral", "--dry-run"),
    **dict.fromkeys(("show", "watch", "failures", "export", "retry", "pause"), ("job_x",)),
    **dict.fromkeys(("resume", "cancel", "report", "events"), ("job_x",)),
    "priority": ("job_x", "5"),
    "prune": ("--older-than", "30d", "--dry-run"),
    "backup": ("b.db",),
    "dataset make": ("made", "rows.jsonl"),
    **{f"dataset {name}": ("news",) for name in ("split", "show", "validate", "tokens")},
    "sweep show": ("job_x",),
    "models list": (),
    "models show": ("m",),
    "models export": ("m", "--to", "out"),
    "models serve": ("m",),
    "review make": ("job_x",),
    "review list": (),
    "review export": ("rev_x", "--out", "x.csv"),
    "review import": ("rev_x", "rows.jsonl", "--reviewer", "ada"),
    "review result": ("rev_x",),
    "review forget": ("rev_x", "--yes"),
    "webhooks add": ("https://example.com/hook",),
    "webhooks list": (),
    **{f"webhooks {name}": ("ep_x",) for name in ("test", "rotate", "disable", "enable")},
    "webhooks deliveries": (),
    "webhooks replay": ("dlv_x",),
}
"""Arguments that are right, or name what is not there; one of them at a time is made hostile."""
STARTING: Mapping[str, list[tuple[str, ...]]] = {
    "demo": [("--limit", "0"), ("--limit", "5"), ("--limit", "x"), ("more",)],
    "up": [
        ("--workers", "0"),
        ("--workers", "9" * 9),
        ("--flower-port", "70000"),
        ("--workers", "x"),
    ],
    "simulator": [],  # becomes another program, with its own options: tests/unit/simulator
}
"""Commands that start processes, where nothing stops them: wrong arguments alone."""


def leaves(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, *names, name)
    else:
        yield " ".join(names), command


COMMANDS = dict(leaves(typer.main.get_command(app)))


def attempts(name: str) -> Iterator[list[str]]:
    """The command's usual arguments with one that is hostile."""
    usual, turn = list(USUAL[name]), len(name)
    places = [param for param in COMMANDS[name].params if param.param_type_name == "argument"]
    for param in COMMANDS[name].params:
        for _ in range(EACH):
            turn += 7  # no divisor of their number: they come round
            value = HOSTILE[turn % len(HOSTILE)]
            if param in places:
                at = places.index(param)
                yield [*usual[:at], value, *usual[at + 1 :]]
            elif not getattr(param, "is_flag", True) and param.opts[0].startswith("--"):
                yield [*usual, f"{param.opts[0]}={value}"]


def what_is_wrong(ended: Ended) -> str:
    """With the end of a command; empty: nothing."""
    if ended.code not in (0, 1, 2, 3):
        return f"ended with {ended.code}"
    if "Traceback" in ended.out + ended.err:
        return "showed a traceback"
    if "\x1b" in ended.out + ended.err:
        return "moved the cursor"
    return "" if ended.code == 0 or ended.err or ended.out else "said nothing"


@pytest.fixture
def files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the usual arguments name."""
    for name, text in (("r.toml", RECIPE), ("s.toml", SUITE)):
        Path(name).write_text(text)
    Path("p").mkdir()
    told = '[[stages]]\nname = "a"\nkind = "generate"\ninput = "../rows.jsonl"\n'
    Path("p/pipeline.toml").write_text(f'name = "p"\ndescription = "d"\n{told}')
    Path("p/recipe.toml").write_text(RECIPE)
    Path("rows.jsonl").write_bytes(lines(ROWS))
    os.mkfifo("fifo")
    a_dataset_folder(home / "datasets")
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    monkeypatch.setenv("MISTRAL_BASE_URL", "http://127.0.0.1:1")


def test_the_table_names_every_command() -> None:
    """A new one is tried too."""
    assert {*USUAL, *STARTING} == {*COMMANDS}


@pytest.mark.parametrize("name", [name for name in USUAL if COMMANDS[name].params])
@pytest.mark.timeout(60)
def test_hostile_arguments_end_in_words(
    run: Run, user_store: Store, files: None, name: str
) -> None:
    """Nothing hangs on a FIFO or a device, either."""
    found = {}
    for arguments in attempts(name):
        told = what_is_wrong(run(*name.split(), *arguments))
        if told:
            found[" ".join(arguments)[:80]] = told
    assert found == {}


@pytest.mark.parametrize("name", USUAL)
def test_an_argument_that_is_not_utf8_is_named(run: Run, files: None, name: str) -> None:
    """As a shell hands over bytes of another encoding."""
    ended = run(*name.split(), "caf\udce9")
    assert ended.code == 2
    assert r"caf\udce9 is not UTF-8" in ended.err


def test_a_file_may_be_called_anything(run: Run, files: None) -> None:
    """One whose name is no UTF-8 is read, and shown escaped."""
    Path("rows.jsonl").rename("caf\udce9.jsonl")
    ended = run("generate", "caf\udce9.jsonl", "-r", "r.toml", "--detach")
    assert ended.code == 0, ended.err
    assert r"caf\udce9.jsonl" in ended.out


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, one) for name, them in STARTING.items() for one in them]
)
def test_nothing_is_started_by_wrong_arguments(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, arguments: tuple[str, ...]
) -> None:
    """A slip of the finger does not bring up a million workers."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", started)
    assert run(name, *arguments).code == 2


CONTRADICTIONS = [
    ("generate rows.jsonl -r r.toml --by 6h", "--via batch or auto"),
    ("generate rows.jsonl -r r.toml --limit 0", "greater than or equal to 1"),
    ("generate rows.jsonl -r r.toml --limit -5", "greater than or equal to 1"),
    ("generate rows.jsonl -r r.toml --budget -1USD", "-1USD"),
    ("generate rows.jsonl -r r.toml --budget nanUSD", "nanUSD"),
    ("generate rows.jsonl -r r.toml --max-rejected-share nan", "less than or equal"),
    ("generate rows.jsonl -r r.toml --max-failed-share 2", "less than or equal"),
    ("generate rows.jsonl -r r.toml --priority 10", "less than or equal to 9"),
    ("generate rows.jsonl -r r.toml --webhook ftp://x", "https://"),
    ("generate rows.jsonl -r r.toml --format xml", "xml"),
    ("generate rows.jsonl -r r.toml --out .", "name of a file"),
    ("generate rows.jsonl -r r.toml --out . --detach", "name of a file"),
    ("embed rows.jsonl", "--text"),
    ("embed rows.jsonl --text a --text-file r.toml", "--text"),
    ("embed rows.jsonl --text {{row.text}} --store ../x", "../x"),
    ("evaluate s.toml", "--models"),
    ("embed rows.jsonl --text a --detach --out .", "call it .parquet"),
    ("evaluate s.toml -m a@nobody --data rows.jsonl", "nobody"),
    ("evaluate s.toml -m a --data rows.jsonl --store x", "--store"),
    ("evaluate s.toml -m a --data rows.jsonl --attempts 0", "greater than or equal to 1"),
    ("run p --resume --again", "--resume"),
    ("run p --set nothing=1", "nothing"),
    ("train news --base b --steps 1 --epochs 1", "steps"),
    ("train news --base b --lr -1", "greater than or equal"),
    ("train news --base b --lr nan", "less than or equal to 1"),
    ("train news --base b --rank 100000", "less than or equal to 512"),
    ("dataset split news --train 0.9 --test 0.9", "sum to 1"),
    ("dataset make Bad/Name rows.jsonl", "cannot be called"),
    ("dataset make made rows.jsonl --forbid (", "--forbid"),
    ("review make --left-file rows.jsonl --right-file rows.jsonl", "itself"),
    ("prune --older-than 0d", "between a moment"),
    ("prune --older-than soon", "soon"),
    ("costs --since soon", "soon"),
    ("webhooks add http://example.com/x", "https"),
    ("webhooks add https://127.0.0.1/x", "127.0.0.1"),
    ("webhooks replay", "replay"),
    ("export job_x --out .", "there is no job"),
    ("jobs --state nonsense", "nonsense"),
]


@pytest.mark.parametrize(("words", "said"), CONTRADICTIONS)
def test_what_cannot_be_meant_is_named(run: Run, files: None, words: str, said: str) -> None:
    """Numbers out of bounds, names of nothing, options that exclude each other: no job is made."""
    ended = run(*words.split())
    assert ended.code == 2, ended.err
    assert said in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert run("jobs", "--json").facts == []


# -- documents -------------------------------------------------------------------------------------

BROKEN: Mapping[str, tuple[str, str]] = {
    "syntax": ("name = ", "not TOML"),
    "not UTF-8": ("\udcff", "not UTF-8"),
    "empty": ("", "missing"),
    "unknown key": ("GOODnonsense = 1\n", "nonsense"),
    "wrong type": ("GOODdescription = [1]\n", "description"),
    "a file outside": ("GOODTAIL_file = '../../secret.txt'\n", "secret.txt"),
    "a missing file": ("GOODTAIL_file = 'nowhere.j2'\n", "nowhere.j2"),
    "a huge file": ("# " + "x" * 1_100_000, "larger than"),
}
"""What a TOML file of ours says, after `GOOD`: the first lines of a good one."""
DOCUMENTS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "recipe": (
        ("generate", "rows.jsonl", "-r", "d.toml", "--detach"),
        RECIPE.partition("[[steps]]")[0],
        "[[steps]]\nname = 'a'\nprompt",
    ),
    "suite": (
        ("evaluate", "d.toml", "-m", "a", "--data", "rows.jsonl", "--detach"),
        'name = "s"\nkind = "samples"\n',
        "[prompts.p]\nprompt",
    ),
    "pipeline": (
        ("run", "d.toml", "--detach"),
        'name = "p"\n',
        "[[stages]]\nname = 'e'\nkind = 'embed'\ninput = 'rows.jsonl'\ntext",
    ),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_document_is_named(run: Run, files: None, kind: str, what: str) -> None:
    """By its file and what is wrong in it, with no job made. More of each: the tests of loading in
    `tests/unit/recipes`, `evaluating` and `pipelines`."""
    words, good, tail = DOCUMENTS[kind]
    text, said = BROKEN[what]
    Path("../secret.txt").write_text("do not read me")
    Path("d.toml").write_text(
        text.replace("GOOD", good).replace("TAIL", tail), errors="surrogateescape"
    )
    ended = run(*words)
    assert ended.code == 2, ended.err
    told = " ".join(ended.err.split())
    assert "d.toml" in told
    assert said in told
    assert "do not read me" not in told
    assert run("jobs", "--json").facts == []


# -- settings --------------------------------------------------------------------------------------

GARBAGE: Mapping[str, tuple[str, ...]] = {
    "MAESTRALE_LIMITS": ("garbage", "-1", "x=9/year"),
    "MAESTRALE_SHARDS_IN_FLIGHT": ("garbage", "0", "1e9", ""),
    "MAESTRALE_ROWS_IN_FLIGHT": ("garbage", "-1", "9" * 30),
    "MAESTRALE_CALL_TIMEOUT": ("garbage", "0", "nan", "-inf"),
    "MAESTRALE_LEASE": ("garbage", "1", "nan"),
    "MAESTRALE_DRAIN": ("garbage", "-1", "nan"),
    "MAESTRALE_WEBHOOK_NETWORKS": ("garbage", "10.0.0.1/8", "300.0.0.0/8"),
    "MAESTRALE_WEBHOOK_HTTP": ("garbage", "2"),
    "MAESTRALE_WEBHOOK_PORTS": ("garbage", "", "-1 x"),
    "MAESTRALE_LOG": ("garbage", ""),
    "MAESTRALE_METRICS": ("garbage", "localhost:", ":1", "a:65536", "a:²"),
}
ANYTHING = {
    "MAESTRALE_HOME": "a folder: below",
    "MAESTRALE_PRICES": "a file, asked for when it is needed: below",
    "MAESTRALE_SECRET_KEY": "any text",
    "MAESTRALE_TRAIN_PYTHON": "a program, asked for when it is needed",
    "MISTRAL_API_KEY": "any text",
    "MISTRAL_BASE_URL": "any text: `doctor` asks there",
    "WANDB_API_KEY": "any text",
    "DATABASE_URL": "below",
    "REDIS_URL": "below",
}
"""Settings that take more or less anything, and why."""


def test_every_setting_is_in_one_of_the_tables() -> None:
    """A new one is tried too."""
    names = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert names == {*GARBAGE, *ANYTHING}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in GARBAGE.items() for value in values]
)
def test_a_setting_of_garbage_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whatever the command: exit code 2, and the setting's name."""
    monkeypatch.setenv(name, value)
    for command in ("jobs", "doctor", "status"):
        ended = run(command)
        assert (ended.code, ended.out) == (2, ""), command
        assert name in ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", [*GARBAGE, *ANYTHING])
def test_a_setting_that_is_not_utf8_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing of ours could hash it, send it, or write it down."""
    monkeypatch.setenv(name, "caf\udce9")
    ended = run("status")
    if name == "MAESTRALE_HOME":  # folders may be called anything
        assert ended.code in (0, 2)
    else:
        assert ended.code == 2
        assert name in ended.err


def test_a_price_table_of_garbage_is_named(
    run: Run, files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its file: not TOML, not there, a folder, a FIFO, another table."""
    Path("table.toml").write_text("models = 5\n")
    for path in ("rows.jsonl", "nowhere.toml", "p", "table.toml"):
        monkeypatch.setenv("MAESTRALE_PRICES", path)
        ended = run("generate", "rows.jsonl", "-r", "r.toml", "--dry-run")
        assert ended.code in (1, 2), path
        assert path in ended.err


def test_a_home_that_cannot_be_is_named(
    run: Run, files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a place below one, a name too long."""
    for place in ("rows.jsonl", "rows.jsonl/x", "/proc/nowhere", "y" * 5000):
        monkeypatch.setenv("MAESTRALE_HOME", place)
        for command in (("jobs",), ("generate", "rows.jsonl", "-r", "r.toml", "--detach")):
            ended = run(*command)
            assert ended.code in (1, 2), (place, command)
            assert place[:10] in ended.err or "name too long" in ended.err
            assert "Traceback" not in ended.err


# -- what is away ----------------------------------------------------------------------------------

AWAY = [
    "postgresql://u:hidden@127.0.0.1:1/x",
    "sqlite:///p",
    "sqlite:///rows.jsonl",
    "sqlite:////dev/full",
]
NO_DATABASE = ["http://[::1", "nonsense", "mysql://u:hidden@h/x"]
"""What names none is the user's to mend."""


@pytest.mark.parametrize("url", AWAY + NO_DATABASE)
def test_a_database_that_is_away_is_said_with_what_to_do(
    run: Run, files: None, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """By every kind of command; the password is not shown."""
    import pytest_socket  # noqa: PLC0415 # to be refused by whoever is not there

    pytest_socket.enable_socket()
    monkeypatch.setenv("DATABASE_URL", url)
    submit = ("generate", "rows.jsonl", "-r", "r.toml", "--detach")
    for command in (("jobs",), ("show", "job_x"), ("webhooks", "list"), submit, ("migrate",)):
        ended = run(*command)
        assert ended.code == (2 if url in NO_DATABASE else 1), (command, ended.err)
        told = " ".join(ended.err.split())
        assert any(word in told for word in ("maestrale ", "DATABASE_URL")), told
        assert "hidden" not in told
        assert "Traceback" not in told
    assert run("doctor").code == 1


@pytest.mark.parametrize(
    "url",
    [
        *(
            "redis://127.0.0.1:1/0",
            "unix:///nowhere",
            "http://[::1",
            "amqp://u:hidden@x",
            "x" * 5000,
        ),
        *("redis://u:hidden@127.0.0.1:port/0", "redis://[::1"),
    ],
)
def test_a_broker_that_is_away_loses_no_job(
    run: Run, files: None, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """What was handed in is there, once; `doctor` says what is wrong, and no password is shown."""
    import pytest_socket  # noqa: PLC0415 # as above

    pytest_socket.enable_socket()
    monkeypatch.setenv("REDIS_URL", url)
    ended = run("generate", "rows.jsonl", "-r", "r.toml", "--detach", "--json")
    assert ended.code == 0, ended.err
    assert "maestrale up" in ended.err
    assert [job["id"] for job in run("jobs", "--json").facts] == [ended.facts["job"]["id"]]
    looks = [run(command) for command in ("status", "doctor")]
    for told in looks:
        assert told.code in (0, 1)
        assert "hidden" not in told.out + told.err
    assert "REDIS_URL" in looks[-1].out


def test_the_database_itself_is_left_alone(files: None) -> None:
    """The table's first file is no database, and stays none."""
    engine = create_engine("sqlite:///rows.jsonl")
    engine.dispose()
    assert Path("rows.jsonl").read_bytes() == lines(ROWS)
