"""What a process said last is told in the message of its end."""

from pathlib import Path

from models.log_tail import last_line


def test_the_last_line_that_says_anything_is_told(tmp_path: Path) -> None:
    """Empty lines after it and half a character before it disturb nothing."""
    log = tmp_path / "a.log"
    log.write_bytes("é".encode() * 5_000 + b"\nit broke\n\n  \n")
    assert last_line(log) == "it broke"


def test_what_moves_a_cursor_is_escaped(tmp_path: Path) -> None:
    """A log holds what libraries, and data, made them write."""
    log = tmp_path / "a.log"
    log.write_text("\x1b[2Jgone\n")
    assert last_line(log) == r"\x1b[2Jgone"


def test_no_log_says_nothing(tmp_path: Path) -> None:
    """Nor does an empty one."""
    (tmp_path / "empty.log").touch()
    assert [last_line(tmp_path / name) for name in ("none.log", "empty.log")] == ["", ""]
