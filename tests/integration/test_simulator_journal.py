"""What the simulator notes of calls: whoever checks a history from outside relies on each word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from builders import eventually

from faults.history import Line, read
from simulator.fault_plan import FaultRules
from simulator.serving import serve
from simulator.settings import Config

CHAT = "/v1/chat/completions"
MODEL = "mistral-small-latest"
QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "Which gene is it?"}]}


@asynccontextmanager
async def journalled(
    folder: Path, *script: str | None, **options: Any
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a simulator that writes its journal there."""
    config = Config(journal=folder / "simulator.jsonl", faults=FaultRules(script=script), **options)
    async with (
        serve(config) as serving,
        aiohttp.ClientSession(serving.url, headers={"Authorization": "Bearer k"}) as session,
    ):
        yield session


async def asked(session: aiohttp.ClientSession, **more: Any) -> bytes:
    """The answer, or nothing where there is none to be had."""
    with suppress(aiohttp.ClientError):
        async with session.post(CHAT, json={**QUESTION, **more}) as answer:
            return await answer.read()
    return b""


def told(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """What was written, without times."""
    return [(line.what, dict(line.facts)) for line in read(folder)]


def of(folder: Path, what: str) -> list[Line]:
    return [line for line in read(folder) if line.what == what]


async def test_a_call_arrives_runs_is_answered_and_leaves(tmp_path: Path) -> None:
    """In this order, under one number, with the port it came from and the tokens it took."""
    async with journalled(tmp_path) as session:
        await asked(session)
    (arrived, executed, answered, left) = told(tmp_path)
    assert arrived[0] == "arrived"
    assert arrived[1] == {"n": 1, "peer": arrived[1]["peer"], "cuts": False}
    assert arrived[1]["peer"] > 0
    assert executed[0] == "executed"
    assert set(executed[1]) == {"n", "digest", "model", "tokens_in", "tokens_out", "cached"}
    assert executed[1]["tokens_in"] > 0
    assert answered == ("answered", {"n": 1, "status": 200, "whole": True})
    assert left == ("left", {"n": 1})


async def test_the_same_request_has_the_same_digest_and_another_has_not(tmp_path: Path) -> None:
    """By it calls that were paid twice are found; the API key and the time do not matter."""
    async with journalled(tmp_path) as session:
        await asked(session)
        await asked(session)
        await asked(session, temperature=0.5)
    one, same, other = (line["digest"] for line in of(tmp_path, "executed"))
    assert one == same != other


@pytest.mark.parametrize("fault", ["rate_limited", "server_error", "html_520", "empty_body"])
async def test_what_is_refused_is_answered_and_not_executed(tmp_path: Path, fault: str) -> None:
    """Its answer is whole, and nothing is paid for."""
    async with journalled(tmp_path, fault) as session:
        await asked(session)
    assert [what for what, _ in told(tmp_path)] == ["arrived", "answered", "left"]
    (answered,) = of(tmp_path, "answered")
    assert answered["whole"]
    assert answered["status"] >= 400


@pytest.mark.parametrize("fault", ["half_body", "cut_body", "empty_answer", "reset_after"])
async def test_what_is_cut_off_was_executed_and_not_answered_whole(
    tmp_path: Path, fault: str
) -> None:
    """It says so when it arrives, and again when it is answered."""
    async with journalled(tmp_path, fault) as session:
        await asked(session)
    (arrived,), (answered,) = of(tmp_path, "arrived"), of(tmp_path, "answered")
    assert (arrived["cuts"], answered["whole"]) == (True, False)
    assert len(of(tmp_path, "executed")) == 1


async def test_a_reset_before_anything_was_read_is_not_executed(tmp_path: Path) -> None:
    """Nobody can tell it from the one after, but the journal."""
    async with journalled(tmp_path, "reset_before") as session:
        await asked(session)
    assert not of(tmp_path, "executed")
    assert of(tmp_path, "arrived")[0]["cuts"]


@pytest.mark.parametrize(("fault", "runs"), [("hang", 0), ("hang_paid", 1), (None, 1)])
async def test_who_hangs_up_leaves_and_is_not_answered(
    tmp_path: Path, fault: str | None, runs: int
) -> None:
    """A client that gives up, as a killed one does: it left, and no answer was sent."""
    async with journalled(tmp_path, fault, latency_median_s=60, latency_p95_s=90) as session:
        with suppress(TimeoutError):
            await asyncio.wait_for(asked(session), 0.3)
        await asyncio.to_thread(eventually, lambda: of(tmp_path, "left"), "it has left")
    assert not of(tmp_path, "answered")
    assert len(of(tmp_path, "executed")) == runs


async def test_calls_at_once_are_told_apart(tmp_path: Path) -> None:
    """Each has a number of its own, whatever their order."""
    async with journalled(tmp_path, latency_median_s=0.01, latency_p95_s=0.05) as session:
        await asyncio.gather(*(asked(session, max_tokens=10 + number) for number in range(20)))
    for what in ("arrived", "executed", "answered", "left"):
        assert sorted(line["n"] for line in of(tmp_path, what)) == list(range(1, 21))
