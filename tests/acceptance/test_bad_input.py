"""Bad input as users hand it in: real processes, real pipes and files that may not be read."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.payloads import JobSpec
from models.states import JobState
from producers.pipelines.hand import run_folder
from proving.stage import Stage

MAESTRALE = str(Path(sys.executable).with_name("maestrale"))
ROWS = "".join(json.dumps({"id": f"r{n}", "text": f"text {n}"}) + "\n" for n in range(30))
MORTAL = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
"""Root, whom file modes bind like everybody else."""
Words = tuple[str, ...]
Ended = subprocess.CompletedProcess[bytes]
Typed = Callable[..., Ended]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Runs `maestrale ...` in a folder of its own; it must end, and in words."""

    def run(*words: str | bytes, stdin: bytes = b"", before: Words = (), **own: str) -> Ended:
        environment = {**os.environ, "MAESTRALE_HOME": str(tmp_path / "home"), **own}
        ended = subprocess.run(
            [*before, MAESTRALE, *words],
            input=stdin,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in ended.stderr + ended.stdout
        return ended

    return run


def test_what_comes_by_a_pipe_is_held_to_the_same(typed: Typed) -> None:
    """UTF-16 is named, a broken line is listed."""
    submit = ("generate", "-", "-r", "translate", "--detach", "--json")
    ended = typed(*submit, stdin=ROWS.encode("utf-16"))
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"<stdin> is UTF-16" in ended.stderr
    ended = typed(*submit, stdin=ROWS.encode() + b"\xff\n")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["input"]["rejected_by_code"] == {"invalid_utf8": 1}


def test_a_fifo_is_not_waited_for(typed: Typed, tmp_path: Path) -> None:
    """Nobody writes to it, and every command that reads says so at once."""
    os.mkfifo(tmp_path / "fifo")
    for words in (
        ("generate", "fifo", "-r", "translate"),
        ("dataset", "make", "d", "fifo"),
        ("evaluate", "tak", "-m", "a", "--data", "fifo"),
    ):
        ended = typed(*words)
        assert ended.returncode == 2
        assert b"FIFO" in ended.stderr


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may read everything"
)
def test_a_file_without_permission_is_named(typed: Typed, tmp_path: Path) -> None:
    """By each command that reads rows."""
    path = tmp_path / "rows.jsonl"
    path.write_text(ROWS)
    path.chmod(0)
    before = MORTAL if os.geteuid() == 0 else ()
    for words in (
        ("generate", path.name, "-r", "translate"),
        ("embed", path.name, "--text", "{{ row.text }}"),
        ("evaluate", "tak", "-m", "a", "--data", path.name),
        ("dataset", "make", "d", path.name),
        ("run", "tak", "--input", path.name, "--detach"),
    ):
        ended = typed(*words, before=before)
        assert ended.returncode == 2, (words, ended.stderr)
        assert b"permission" in ended.stderr.lower()


def test_bytes_of_another_encoding_are_named(typed: Typed) -> None:
    """As an argument, and as a setting."""
    ended = typed("show", b"job_caf\xe9")
    assert ended.returncode == 2
    assert b"is not UTF-8" in ended.stderr
    ended = typed("jobs", MISTRAL_API_KEY="caf\udce9")
    assert ended.returncode == 2
    assert b"MISTRAL_API_KEY" in ended.stderr
    assert b"caf" not in ended.stderr


def test_a_run_lists_what_its_stages_left_out(
    on_stage: Callable[..., Stage], typed: Typed, tmp_path: Path
) -> None:
    """One bad line of thirty: the others are done, and the run's folder says which was not."""
    on = on_stage(workers=1)
    folder = tmp_path / "p"
    folder.mkdir()
    shutil.copyfile("recipes/translate/recipe.toml", folder / "recipe.toml")
    told = 'name = "p"\n[[stages]]\nname = "answers"\nkind = "generate"\n'
    (folder / "pipeline.toml").write_text(told)
    (tmp_path / "rows.jsonl").write_text(ROWS + "oops\n")
    own = {
        "MAESTRALE_HOME": str(on.home),
        "MISTRAL_BASE_URL": on.url,
        "MISTRAL_API_KEY": "sk-stage",
    }
    ended = typed("run", "p", "--input", "rows.jsonl", "--json", **own)
    assert ended.returncode == 0, ended.stderr
    run = on.client.get(json.loads(ended.stdout)["run"]["id"])
    assert run.state == JobState.SUCCEEDED
    assert JobSpec.model_validate_json(run.spec).pipeline is not None
    path = run_folder(on.client.settings, run.id) / "answers.rejects.jsonl"
    (reject,) = map(json.loads, path.read_text().splitlines())
    assert (reject["line"], reject["code"], reject["excerpt"]) == (31, "broken_json", "oops\\n")
