"""How one process comes to agree with the others on what is believed of a model. Pure."""

from worker.limiter.adaptive import hold_until
from worker.limiter.beliefs import Belief, Change


class Outlook:
    """The belief all agreed on, with what happened here since and is not agreed on yet.

    Whoever proposes on the newest version wins. A loser adopts the winner's belief, applies its
    own changes to that (they do nothing if the winner saw the same) and proposes again.
    """

    def __init__(self, belief: Belief) -> None:
        self.version = 0
        self.now = belief
        """Agreed, and the pending changes on top: what this process acts on."""
        self._agreed = belief
        self._pending: list[Change] = []

    def change(self, change: Change) -> bool:
        """Believe something else from now on; whether it made a difference."""
        changed = change(self.now)
        if changed == self.now:
            return False
        self.now = changed
        self._pending.append(change)
        return True

    def confirm(self, proposed: Belief, count: int, version: int) -> None:
        """The others took `proposed`, which had the first `count` pending changes in it."""
        self.version = version
        self._rebase(proposed, self._pending[count:])

    def adopt(self, belief: Belief, version: int) -> None:
        """Others were faster: theirs, with our changes on top."""
        self.version = version
        self._rebase(belief, self._pending)

    def pending_count(self) -> int:
        """How many changes are pending."""
        return len(self._pending)

    def hold_until(self, proposed: Belief) -> float:
        """Until when all wait (Redis time) if `proposed` has a refusal new to the others."""
        return hold_until(self._agreed.search, proposed.search)

    def differs(self, proposed: Belief) -> bool:
        """Whether `proposed` is news to the others."""
        return proposed != self._agreed

    def _rebase(self, agreed: Belief, pending: list[Change]) -> None:
        self._agreed = self.now = agreed
        self._pending = []
        for change in pending:
            self.change(change)
