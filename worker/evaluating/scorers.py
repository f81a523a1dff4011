"""One child at a time reads rows to a model: all that wait for one model, then those for the next.

The child of the last model stays for some seconds, for the next shard; then it gives the device
back, to trainings among others.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from worker.training.events import Died, Failed
from worker.training.scored import Conversation, Reading, Scored, Unscored
from worker.training.scorer import Scorer, Told

log = logging.getLogger(__name__)

Start = Callable[[Reading], Awaitable[Scorer]]
MOST_AT_ONCE = 16
"""Rows sent together: a stopped job waits for them at most."""
IDLE_S = 5.0
MOST_DEATHS = 2
"""Of children over one row, or before a model was loaded: then it is their fault."""


@dataclass(slots=True, eq=False)
class _Wish:
    row: Conversation
    answer: "asyncio.Future[Told]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    deaths: int = 0

    def settle(self, told: Told) -> None:
        if not self.answer.done():
            self.answer.set_result(told)


class Scorers:
    """The children of one process that read. Belongs to its event loop."""

    def __init__(self, start: Start, *, idle_s: float = IDLE_S) -> None:
        """`idle_s`: how long a child without rows keeps its model."""
        self._idle_s = idle_s
        self._waiting: dict[Reading, list[_Wish]] = {}
        self._came = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._hand = _Hand(start)
        self._closing = False

    async def score(self, reading: Reading, row: Mapping[str, Any]) -> Told:
        """What the model makes of the row (`messages`, perhaps `tools`), or why it cannot.

        Cancelled, the row is forgotten. A row that cannot be sent raises here, before it waits with
        others, who would fail with it.
        """
        wish = _Wish(Conversation(id=0, messages=row["messages"], tools=row.get("tools")))
        self._waiting.setdefault(reading, []).append(wish)
        self._came.set()
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await wish.answer

    async def close(self) -> None:
        """Ends the child; who still waits is left without an answer, cancelled."""
        self._closing = True
        self._came.set()
        await self._hand.put_down()  # its reader hears of a death, and looks whether to go on
        if self._serving is not None:
            await self._serving
        for wish in self._all():
            wish.answer.cancel()
        self._waiting.clear()

    async def _serve(self) -> None:
        try:
            while await self._has_more():
                known = self._hand.reading
                await self._step(known if known in self._waiting else next(iter(self._waiting)))
        except Exception as error:
            log.exception("reading rows to a model failed by an error of ours")
            for wish in self._all():
                wish.settle(Failed(code="broken", detail=f"{type(error).__name__}: see the log"))
        finally:
            await self._hand.put_down()
            self._serving = None
            if self._waiting and not self._closing:  # who came meanwhile
                self._serving = asyncio.create_task(self._serve())

    async def _has_more(self) -> bool:
        """Whether to go on: any row waits, now or within the idle time."""
        self._tidy()
        if not self._waiting:
            self._came.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), self._idle_s)
            self._tidy()
        return bool(self._waiting) and not self._closing

    async def _step(self, reading: Reading) -> None:
        """Some rows of one model to their answers; those that a death left go on alone."""
        scorer = await self._hand.take(reading)
        if isinstance(scorer, Failed):
            self._give_up(reading, scorer)
        elif not self._closing:
            await self._read(reading, scorer)

    async def _read(self, reading: Reading, scorer: Scorer) -> None:
        batch = _take(self._waiting[reading])
        named = dict(enumerate(batch))
        try:
            async for told in scorer.score([_said(number, wish) for number, wish in named.items()]):
                match told:
                    case Scored(id=number) | Unscored(id=number):
                        named.pop(number).settle(told)
                    case Failed():
                        self._give_up(reading, told, named.values())
                    case Died():
                        self._mourn(reading, told, named.values(), was_ready=scorer.is_ready)
        except BaseException:
            self._waiting.setdefault(reading, []).extend(named.values())  # others say their end
            raise
        if named:
            await self._hand.put_down()

    def _mourn(
        self, reading: Reading, told: Died, left: Iterable[_Wish], *, was_ready: bool
    ) -> None:
        """Rows on which a child died are tried again, each alone, unless it was theirs."""
        if not self._closing:
            log.warning("%s", told.detail)
        for wish in left:
            wish.deaths += not self._closing
            if wish.deaths >= MOST_DEATHS:
                wish.settle(told)
            else:
                self._waiting.setdefault(reading, []).append(wish)
        if not was_ready and any(wish.deaths >= MOST_DEATHS for wish in left):
            self._give_up(reading, told)

    def _give_up(self, reading: Reading, told: Told, left: Iterable[_Wish] = ()) -> None:
        """The model cannot be read to: so all who wait for it hear."""
        for wish in (*left, *self._waiting.pop(reading, [])):
            wish.settle(told)

    def _tidy(self) -> None:
        """Forgets rows that nobody waits for any more."""
        for reading, wishes in list(self._waiting.items()):
            left = [wish for wish in wishes if not wish.answer.done()]
            if left:
                self._waiting[reading] = left
            else:
                del self._waiting[reading]

    def _all(self) -> list[_Wish]:
        return [wish for wishes in self._waiting.values() for wish in wishes]


class _Hand:
    """The one child that there is, if any."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._scorer: Scorer | None = None
        self.reading: Reading | None = None

    async def take(self, reading: Reading) -> Scorer | Failed:
        """The child with this model; another's ends first."""
        if self._scorer is not None and self.reading == reading:
            return self._scorer
        await self.put_down()
        try:
            self._scorer = await self._start(reading)
        except OSError as error:
            return Failed(code="missing_extra", detail=f"no process for it: {error.strerror}")
        self.reading = reading
        return self._scorer

    async def put_down(self) -> None:
        """Ends it."""
        scorer, self._scorer, self.reading = self._scorer, None, None
        if scorer is not None:
            await scorer.stop()


def _take(wishes: list[_Wish]) -> list[_Wish]:
    """The next rows to go together; one that a child died over goes alone, behind the others."""
    wishes.sort(key=lambda wish: wish.deaths)
    fresh = [wish for wish in wishes[:MOST_AT_ONCE] if not wish.deaths]
    taken = fresh or wishes[:1]
    del wishes[: len(taken)]
    return taken


def _said(number: int, wish: _Wish) -> Conversation:
    return wish.row.model_copy(update={"id": number})
