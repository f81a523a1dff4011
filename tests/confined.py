"""Code under limits that the kernel keeps: address space and processor time of a forked child.

What eats memory fails with `MemoryError`, what runs for ever is killed: in Python or in C, and
whoever swallows exceptions. The parent is told the example that was under way.
"""

import os
import pickle
import resource
import signal
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

MB = 2**20


class Limits:
    """The child's own view of its limits: `begin` before each example gives it all of them."""

    def __init__(self, note: Path, memory_mb: int, cpu_s: int) -> None:
        self._note = note
        self._memory = memory_mb * MB
        self._cpu_s = cpu_s

    def begin(self, example: object) -> None:
        """So much memory more than now, and so many seconds from now on."""
        self._note.write_text(repr(example)[:2000], "utf-8", "backslashreplace")
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + self._memory
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent_s = int(used.ru_utime + used.ru_stime) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (spent_s + self._cpu_s, resource.RLIM_INFINITY))


def confined(work: Callable[[Limits], object], *, memory_mb: int = 256, cpu_s: int = 5) -> object:
    """What `work` answers, in a child of its own; `AssertionError` for whatever it fails with."""
    with tempfile.TemporaryDirectory() as folder:
        note, told = Path(folder, "example"), Path(folder, "told")
        note.touch()
        child = os.fork()
        if child == 0:
            _be_the_child(work, Limits(note, memory_mb, cpu_s), told)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            name = signal.Signals(-code).name
            raise AssertionError(f"killed by {name} with {note.read_text('utf-8')}")
        kind, answer = pickle.loads(told.read_bytes())
    assert kind == "answer", answer
    return answer


def _be_the_child(work: Callable[[Limits], object], limits: Limits, told: Path) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = ("answer", work(limits))
    except BaseException:  # told to the parent, who raises
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        answer = ("failed", traceback.format_exc(limit=-8)[-6000:])
    told.write_bytes(pickle.dumps(answer))
    os._exit(0)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether it came of memory that was not there, however it is dressed."""
    while error is not None:
        if isinstance(error, MemoryError) or "MemoryError" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
