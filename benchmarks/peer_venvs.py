"""Venvs for the peers of `benchmarks.peers`: their dependencies and ours do not go together.

Pinned but without hashes: nothing of theirs is shipped, or run by anything but this benchmark.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

STAMP = "installed"


class NotInstalledError(Exception):
    """A peer that does not install here; pip's last word."""


def interpreter(folder: Path, requirements: Path) -> Path:
    """The peer's Python below `folder`, its venv built anew if the requirements changed.

    A venv without our stamp is somebody's own, and is taken as it is.
    """
    venv = folder / requirements.stem
    python, stamp = venv / "bin" / "python", venv / STAMP
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if python.exists() and (not stamp.exists() or stamp.read_text() == wanted):
        return python
    print(f"building {venv} (once; some minutes)", file=sys.stderr, flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    try:
        _run(sys.executable, "-m", "venv", str(venv))
        stamp.write_text("under way")  # one that was cut off is built again
        pip = ("-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps")
        _run(str(python), *pip, "-r", str(requirements))  # pinned to the last one
        stamp.write_text(wanted)
    except NotInstalledError:
        shutil.rmtree(venv, ignore_errors=True)
        raise
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalledError(said[-1] if said else f"exit code {done.returncode}")
