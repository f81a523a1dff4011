"""Models of our own are kept from the provider."""

import asyncio
from typing import Any

import pytest

from models.errors import StoreBusyError
from models.payloads import JobSpec
from models.states import JobKind
from worker import ours
from worker.jobs import JobInHand
from worker.ours import OurModels

PROVIDER = "https://api.mistral.ai"


class Registry:
    """Answers for names, and counts how often it was asked. `away`: so often it does not answer."""

    def __init__(self, trainer: str = "local", *, away: int = 0) -> None:
        self.trainer = trainer
        self.away = away
        self.asked = 0

    async def read(self, _function: Any, name: str) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.away:
            raise StoreBusyError("busy")
        return self if name == "tuned" else None


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask again takes none here, and what is known is known for good."""
    monkeypatch.setattr(ours, "ASK_AGAIN_S", 0)
    monkeypatch.setattr(ours, "KNOWN_S", 10**6)


@pytest.mark.parametrize(
    ("base_url", "model", "trainer", "is_withheld"),
    [
        (PROVIDER, "tuned", "local", True),
        (PROVIDER, "tuned", "mistral", False),
        (PROVIDER, "mistral-small-latest", "local", False),
        ("http://127.0.0.1:8080", "tuned", "local", False),
    ],
)
async def test_what_was_trained_here_is_not_sent_to_the_provider(
    base_url: str, model: str, trainer: str, *, is_withheld: bool
) -> None:
    """A server of the user's may have it."""
    assert await OurModels(Registry(trainer).read, base_url).withholds(model) is is_withheld


@pytest.mark.parametrize(("model", "is_withheld"), [("tuned", True), ("mistral-small", False)])
async def test_not_to_know_is_no_reason_to_send(model: str, *, is_withheld: bool) -> None:
    """While the database is away the question waits; its answer is the registry's."""
    registry = Registry(away=3)
    assert await OurModels(registry.read, PROVIDER).withholds(model) is is_withheld
    assert registry.asked == 4


async def test_a_stop_ends_the_wait_for_the_registry() -> None:
    """As it ends all others."""
    withholding = OurModels(Registry(away=10**9).read, PROVIDER)
    job = JobInHand("job_a", JobKind.GENERATE, JobSpec(), 5, lambda *_: None)
    shard = job.take()

    async def wait() -> str:
        with shard.waiting():
            await withholding.withholds("tuned")
        return shard.stop_reason

    waiting = asyncio.create_task(wait())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    job.stop("paused")
    assert await asyncio.wait_for(waiting, 10) == "paused"


async def test_a_registry_that_cannot_be_read_is_told_to_who_only_asks() -> None:
    """For a better message nobody waits."""
    with pytest.raises(StoreBusyError):
        await OurModels(Registry(away=1).read, PROVIDER).has("tuned")


async def test_all_who_ask_at_once_share_one_look() -> None:
    """Whether it succeeds or not, and though the first of them is cancelled."""
    registry = Registry(away=1)
    ours_known = OurModels(registry.read, PROVIDER)
    asking = [asyncio.create_task(ours_known.withholds("tuned")) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert await asyncio.gather(*asking[1:]) == [True] * 99
    assert registry.asked == 2


async def test_the_registry_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for every call; what was learnt is forgotten after a while."""
    registry = Registry()
    known = OurModels(registry.read, PROVIDER)
    assert [await known.has("tuned") for _ in range(3)] == [True] * 3
    assert registry.asked == 1
    monkeypatch.setattr(ours, "KNOWN_S", 0)
    await known.has("other")
    while "other" in known._looks:
        await asyncio.sleep(0)
    await known.has("other")
    assert registry.asked == 3
