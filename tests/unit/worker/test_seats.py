"""Seats of a local server: held with the permit, given back with it, apart from told limits."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from models import served
from models.limits import Limit
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.local import LocalGateway
from worker.gateway.routes import Routes
from worker.limiter import Flow, Limiter
from worker.limiter.waiting import ALONE
from worker.seats import Seated, Seats


class FakeLimiter:
    """Grants at once and says for which model; or refuses to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.endings: list[str] = []
        self.error: BaseException | None = None

    async def acquire(self, model: str, _tokens: int, *, priority: int, flow: Flow) -> Any:
        self.asked.append(model)
        if self.error is not None:
            raise self.error
        return self

    def settle(self, **_: Any) -> None:
        self.endings.append("settled")

    def refused(self, _fault: Fault) -> None:
        self.endings.append("refused")

    def abandon(self) -> None:
        self.endings.append("abandoned")


@pytest.fixture
def limiter() -> FakeLimiter:
    """Behind the seats."""
    return FakeLimiter()


@pytest.fixture
def seats(tmp_path: Path, limiter: FakeLimiter) -> Seats:
    """A server that answers one request at a time."""
    served.note(tmp_path, 8080, ("tuned",), parallel=1)
    local = LocalGateway(Routes(tmp_path), timeout_s=1)
    return Seats(limiter, local)  # type: ignore[arg-type] # it has what is used


async def taken(seats: Seats) -> Seated:
    """A seat and a permit for the model."""
    return await seats.acquire("tuned", 10, priority=0, flow=ALONE)


async def test_who_finds_no_seat_waits_for_the_one_before(
    seats: Seats, limiter: FakeLimiter
) -> None:
    """The second is let go by the first one's outcome, whatever that is."""
    first = await taken(seats)
    second = asyncio.create_task(taken(seats))
    await asyncio.sleep(0)
    assert not second.done()
    first.settle(tokens=3, limits=None)
    third = asyncio.create_task(taken(seats))
    (await second).refused(Fault(FaultKind.TRANSIENT, "no"))
    (await third).abandon()
    assert limiter.endings == ["settled", "refused", "abandoned"]
    assert limiter.asked == ["served:tuned"] * 3


async def test_a_seat_is_given_back_once(seats: Seats) -> None:
    """A second outcome does nothing."""
    first = await taken(seats)
    first.abandon()
    first.abandon()
    await taken(seats)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(taken(seats), 0.01)


async def test_who_gets_no_permit_gives_the_seat_back(seats: Seats, limiter: FakeLimiter) -> None:
    """A job that is stopped while it waits for the limiter."""
    limiter.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await taken(seats)
    limiter.error = None
    await asyncio.wait_for(taken(seats), 1)


async def test_limits_of_the_provider_do_not_hold_for_a_model_served_here(fake_redis: Any) -> None:
    """What is told for `*` is the account's; what is told for its very name holds."""
    told = {"*": Limit(6.0), "slow": Limit(60.0)}
    async with Limiter(fake_redis, "account", told) as limiter:
        for model in ("served:tuned", "served:slow", "tuned"):
            (await limiter.acquire(model, 1)).abandon()
        limits = {use.model: use.limit for use in limiter.snapshot()}
    assert limits == {"served:tuned": Limit(), "served:slow": Limit(60.0), "tuned": Limit(6.0)}
