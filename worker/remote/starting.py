"""Remote work is started once: whoever claims its operation after another looks for it first.

Only when a request to start it may have been carried out (noted before it) and the list does not
show it yet, the next one waits until it would.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from models.crashing import crash_point
from models.states import JobState
from models.store import remote
from models.store.remote import InHand
from models.tables import RemoteOperation
from worker.gateway.faults import Fault
from worker.gateway.remote import RemoteApi, RemoteJob
from worker.remote.outcomes import Later, Refused, Sent
from worker.remote.schedule import ANSWER_S, LAG_S

ASK_AGAIN_S = 10.0

Do = Callable[..., Awaitable[Any]]
Find = Callable[[float], Awaitable[Sequence[RemoteJob] | Fault]]


async def earlier(write: Do, hand: InHand, find: Find) -> Sent | Later | Refused | Fault | None:
    """What became of earlier claims; None: there is nothing over there, and it may be started.

    `find`: asks for the operation's jobs that were made after a time.
    """
    op = hand.op
    if op.claims > 1:
        found = await find(op.created_at - LAG_S)
        if isinstance(found, Fault):
            return found
        if found:
            return Sent(found[0])
    since_s = await write(remote.since_starting_s, op)
    if since_s is not None and since_s < ANSWER_S + LAG_S:
        return Later(ASK_AGAIN_S, "it may have been started: the provider's list will tell")
    if hand.job_state == JobState.CANCELLED:
        return Refused("cancelled before it was sent")
    return None


async def uploaded(
    api: RemoteApi,
    op: RemoteOperation,
    path: Path,
    name: str,
    purpose: Literal["batch", "fine-tune"],
) -> str | Fault:
    """The id of the file as it is sent now; what earlier claims left under its name is removed."""
    if op.claims > 1:
        there = await api.find_files(name)
        if isinstance(there, Fault):
            return there
        for stale in there:  # perhaps cut short: lines are cheap, a broken batch is not
            await api.delete_file(stale.id)
    sent = await api.upload(path, name, purpose)
    crash_point("remote.uploaded")
    return sent if isinstance(sent, Fault) else sent.id


async def start(
    write: Do, op: RemoteOperation, ask: Callable[[], Awaitable[RemoteJob | Fault]]
) -> Sent | Later | Fault:
    """Makes the request, noted before it; nothing, if another process has the operation by now."""
    if not await write(remote.starting, op):
        return Later(ASK_AGAIN_S, "another process has it in hand")
    crash_point("remote.noted")
    made = await ask()
    crash_point("remote.posted")
    if isinstance(made, RemoteJob):
        return Sent(made)
    if made.maybe_paid:  # a list may lag from now on, whenever it was asked for
        await write(remote.starting, op, ago_s=ANSWER_S)
    else:  # surely not started: the next try need not wait
        await write(remote.not_started, op)
    return made
