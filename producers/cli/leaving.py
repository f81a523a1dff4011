"""How a command ends on an error: a message that says what to do, and an exit code."""

import errno
import time
import traceback
from pathlib import Path

from models.errors import MaestraleError
from models.settings import Settings
from producers.cli import codes
from producers.cli.rendering.words import safe, safe_lines
from producers.cli.voice import complain


def explain(error: Exception) -> int:
    """Tells the user of `error` without a traceback; answers the exit code."""
    match error:
        case MaestraleError():
            complain(safe_lines(str(error)))
            return error.exit_code
        case OSError(errno=errno.ENAMETOOLONG | errno.ELOOP):  # of a name that was handed in
            complain(f"{safe(error.strerror)}: {safe(error.filename, 80)}. Give another name")
            return codes.WRONG_INPUT
        case OSError():
            where = f" {safe(error.filename, 1000)}" if error.filename else ""
            complain(f"{safe(error.strerror or error)}{where}: `maestrale doctor` may tell more")
            return codes.NEEDS_ATTENTION
        case _:
            complain(f"a bug in Maestrale ({type(error).__name__}){_report(error)}")
            return codes.BUG


def _report(error: Exception) -> str:
    """Writes the traceback to a file and says where; it may hold data, so it is not printed."""
    try:
        folder: Path = Settings().home / "logs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"bug-{time.strftime('%Y%m%d-%H%M%S')}.txt"
        path.write_text("".join(traceback.format_exception(error)), "utf-8")
    except Exception:
        return ": please report it"
    return f": please report it with {path}"
