"""Where a first evaluation goes wrong: said before anything is paid, with what to do about it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended

from models.errors import RecipeError
from models.suites.loading import load_suite
from producers import Maestrale
from producers.evaluating import Evaluating, Wish

Run = Callable[..., Ended]
SUITE = """
name = "moods"
kind = "classification"
[classification]
labels = ["happy", "sad", "neutral"]
gold = "mood"
[prompts.default]
prompt = "{{ row.text }}"
"""
LABELS = ("happy", "sad", "neutral")


@pytest.fixture
def suite(home: Path) -> str:
    """A suite of three moods, without rows of its own."""
    Path("moods.toml").write_text(SUITE)
    return "moods.toml"


def rows(*moods: str) -> str:
    """A CSV of so many texts."""
    lines = "".join(f"r{no},text {no},{mood}\n" for no, mood in enumerate(moods))
    Path("rows.csv").write_text("id,text,mood\n" + lines)
    return "rows.csv"


def test_labels_of_another_suite_are_refused(run: Run, suite: str):
    """Nothing is enqueued, and the label is named with those that there are."""
    refused = run("evaluate", suite, "-m", "a,b", "--data", rows(*["angry"] * 10), "--detach")
    assert refused.code == 2
    assert "mood is 'angry', and none of the labels (happy, sad, neutral)" in refused.err
    assert "10 bad_value" in refused.err
    assert run("jobs", "--json").facts == []


def test_a_few_wrong_labels_are_rejects(run: Run, suite: str):
    """As rows without a field are: the others are asked."""
    data = rows(*LABELS * 10, "angry")
    told = run("evaluate", suite, "-m", "a,b", "--data", data, "--dry-run", "--json").facts
    assert (told["input"]["accepted"], told["input"]["rejected"]) == (30, 1)
    assert "cannot be asked" not in json.dumps(told)


def test_a_letter_that_is_no_option_is_refused(run: Run):
    """The right answer of a choice has to be one."""
    text = SUITE.replace("classification", "choice").replace(
        'labels = ["happy", "sad", "neutral"]', ""
    )
    Path("s.toml").write_text(text.replace('gold = "mood"', 'options = "options"\ngold = "right"'))
    row = {"id": "1", "text": "which?", "options": ["this", "that"], "right": "E"}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    refused = run("evaluate", "s.toml", "-m", "a", "--data", "rows.jsonl", "--detach")
    assert refused.code == 2
    assert "right: 'E' is none of the options" in refused.err


def test_a_suite_without_rows_says_what_rows_need(run: Run, suite: str):
    """Their fields, and how a file is named."""
    refused = run("evaluate", suite, "-m", "a")
    assert refused.code == 2
    assert "rows that have `mood`, `text`" in refused.err
    assert "--data FILE" in refused.err


def test_what_was_submitted_before_leads_to_its_report(run: Run, suite: str):
    """With the folder that was asked for; the job is named once."""
    evaluate = ("evaluate", suite, "-m", "a,b", "--data", rows(*LABELS), "--detach")
    job_id = run(*evaluate, "--json").facts["job"]["id"]
    refused = run(*evaluate, "--report", "rep2")
    assert refused.code == 2
    assert f"before: {job_id} exists" in refused.err
    assert f"maestrale report {job_id} --out rep2" in refused.err


def test_a_folder_that_may_be_written_now_may_be_written_then(run: Run, suite: str):
    """Who leaves an evaluation is told a command that works: one rule for both."""
    Path("rep").mkdir()
    there = {"maestrale": "0", "job_id": "job_before", "name": "moods"}
    Path("rep/report.json").write_text(json.dumps(there))
    evaluate = ("evaluate", suite, "-m", "a,b", "--data", rows(*LABELS), "--detach")
    told = run(*evaluate, "--report", "rep")
    assert told.code == 0
    assert "--out rep" in told.out
    assert "--overwrite" not in told.out
    Path("rep/report.json").write_text(json.dumps({**there, "name": "another"}))
    refused = run(*evaluate, "--report", "rep")
    assert refused.code == 2
    assert "the report of job_before" in refused.err


def test_texts_embedded_before_lead_to_their_store(run: Run, home: Path):
    """Whoever embeds the same again is told where it is."""
    embed = ("embed", rows(*LABELS), "--text", "{{ row.text }}", "--store", "moods", "--detach")
    job_id = run(*embed, "--json").facts["job"]["id"]
    refused = run(*embed)
    assert refused.code == 2
    assert "Its store is moods" in refused.err
    assert f"maestrale export {job_id}" in refused.err


def test_a_single_request_is_one(run: Run, home: Path):
    """`about 1 request`."""
    told = run("embed", rows("happy"), "--text", "{{ row.text }}", "--dry-run")
    assert "about 1 request in real time" in told.out


def test_a_misspelt_key_is_told_with_what_it_lacks(home: Path):
    """The cause first, then what is missing for it; up to five at once."""
    Path("s.toml").write_text(SUITE.replace("labels =", "lables ="))
    with pytest.raises(RecipeError) as refused:
        load_suite("s.toml")
    told = str(refused.value)
    assert "classification.lables: there is no such key; did you mean labels?; " in told
    assert "classification.labels: it is missing; add it" in told
    assert "more)" not in told
    Path("s.toml").write_text(SUITE + "".join(f"x{no} = 1\n" for no in range(7)))
    with pytest.raises(RecipeError, match=r"x0: .*x4: .*\(and 2 more\)"):
        load_suite("s.toml")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://user:secret@127.0.0.1:8790/v1", "127.0.0.1:8790"),
        ("http://localhost:1234", "localhost:1234"),
        ("http://[::1]:9", "[::1]:9"),
        ("https://api.mistral.ai", ""),
        ("http://10.0.0.1:1", ""),
        ("http://127.0.0.1:x", ""),
    ],
)
def test_whose_answers_they_are_is_kept(
    suite: str, monkeypatch: pytest.MonkeyPatch, url: str, server: str
):
    """A server on this machine stands in the evaluation, without its path or any password; it
    changes nothing of what is asked."""
    monkeypatch.setenv("MISTRAL_BASE_URL", url)
    wish = Wish(suite=suite, models=("a", "b"), data=rows(*LABELS))
    with Maestrale() as maestrale, Evaluating(maestrale).plan(wish) as plan:
        assert plan.evaluation.asked_as.get("server", "") == server
        moved = plan.evaluation.model_copy(update={"asked_as": {}})
        assert moved.hash == plan.evaluation.hash
