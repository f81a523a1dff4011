"""Command lines of the engines, word by word."""

import sys

import pytest

from worker.serving.__main__ import main
from worker.serving.commands import rank_for, serving_command, vllm_command


def test_llama_cpp_serves_a_base_with_its_adapters():
    """Each adapter is followed by its name."""
    adapters = [("news", "/runs/a/adapter.gguf"), ("law", "/runs/b/adapter.gguf")]
    assert serving_command("smollm2", adapters, port=8081, threads=2, home="/home") == [
        sys.executable,
        *("-m", "worker.serving", "--base=smollm2"),
        *("--port=8081", "--threads=2", "--parallel=4", "--home=/home"),
        *("--adapter=/runs/a/adapter.gguf", "--name=news"),
        *("--adapter=/runs/b/adapter.gguf", "--name=law"),
    ]


def test_vllm_serves_folders_on_loopback():
    """As `vllm serve --help` has it: LoRA is switched on only with adapters."""
    start = ["vllm", "serve", "org/base", "--host", "127.0.0.1", "--port", "8000"]
    assert vllm_command("org/base", port=8000) == start
    adapters = [("news", "/runs/a/adapter"), ("law", "/runs/b/adapter")]
    assert vllm_command("org/base", adapters, port=8000, base_name="base", max_rank=20) == [
        *start,
        *("--served-model-name", "base", "--enable-lora"),
        *("--max-loras", "2", "--max-lora-rank", "32"),
        *("--lora-modules", "news=/runs/a/adapter", "law=/runs/b/adapter"),
    ]


@pytest.mark.parametrize(("rank", "known"), [(1, 8), (8, 8), (9, 16), (300, 320), (512, 512)])
def test_ranks_are_rounded_up_to_those_vllm_knows(rank: int, known: int):
    """Others it refuses."""
    assert rank_for(rank) == known


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--base=/no/such"], "no model at"),
        (["--base=some/hub-name"], "not there as a .gguf"),
        (["--base=smollm2", "--adapter=/no/such.gguf", "--name=x"], "no adapter at"),
        (["--base=smollm2", "--adapter=/no/such.gguf"], "its --name"),
    ],
)
def test_what_cannot_be_served_is_told(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    """With exit code 2, before the engine is started."""
    assert main(options) == 2
    assert said in capsys.readouterr().err
