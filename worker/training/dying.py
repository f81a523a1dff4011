"""A child that does not outlive its parent, gives way to others, and stops when it is told to."""

import ctypes
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
_LOOK_S = 0.2


class Stop:
    """Whether SIGTERM or SIGINT came; asked between steps."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """From here on those signals only set the flag."""
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, self._hear)

    def _hear(self, *_: object) -> None:
        self.asked = True


def give_way() -> None:
    """Lets the machine's other work go first."""
    os.nice(_NICENESS)


def die_with(parent: int, *, watch_input: bool = True) -> None:
    """Kills this process as soon as `parent` is gone, however that came about.

    `watch_input`: by the end of the input as well; who reads its input sees that by itself.

    A killed run loses the steps since its checkpoint; one that trained on unseen would hold the
    device against the run that takes its place.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
    if watch_input:
        threading.Thread(target=_die_at_end_of_input, daemon=True).start()


def _die_at_end_of_input() -> None:
    while os.read(0, 1):  # os.read: a buffered read would hold a lock at interpreter shutdown
        pass
    os._exit(1)


def hold_device(lock: Path, stop: Stop, on_wait: Callable[[], None]) -> bool:
    """Waits until no other run has the device; False if told to stop before that.

    The lock is the kernel's: it is free again when its holder dies, whatever killed it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)  # stays open for the process's life
    told = False
    while not _is_ours(held):
        if not told:
            on_wait()
            told = True
        if stop.asked:
            return False
        time.sleep(_LOOK_S)
    return not stop.asked


def _is_ours(held: int) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
