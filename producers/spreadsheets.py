"""Cells that a spreadsheet shows and does not run. Pure."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet run a cell, their full-width forms among them."""


def disarmed(text: str) -> str:
    """`text` as a cell that is no formula: an apostrophe before what could begin one."""
    return "'" + text if text.startswith(_FORMULA) else text


def rearmed(cell: str) -> str:
    """What `disarmed` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
