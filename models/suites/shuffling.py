"""Options in the order of an attempt: the same for every model, so that comparisons are paired.

An option has two letters: its own in the row, and the one it is shown under. Pure.
"""

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.schema import Choice

_EDGES = " \t\r\n.:()[]"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a row. `own`: its letter in the row; `letter`: the one it is shown under."""

    letter: str
    own: str
    text: str


def options_of(told: Choice, row: Mapping[str, Json]) -> list[Option]:
    """The row's options as they stand in it; `RowProblem` where they cannot be asked."""
    given = row.get(told.options)
    pairs = _pairs(given, told.options)
    if not 2 <= len(pairs) <= len(string.ascii_uppercase):
        _refuse(f"{told.options} has {len(pairs)} options; 2 to 26 can be asked")
    said = {" ".join(text.casefold().split()) for _, text in pairs}
    if len(said) < len(pairs):
        _refuse(f"{told.options}: two options say the same")
    shown = string.ascii_uppercase
    return [Option(shown[at], own, text) for at, (own, text) in enumerate(pairs)]


def shown_options(
    told: Choice, row: Mapping[str, Json], *, seed: int, row_id: str, attempt: int
) -> list[Option]:
    """The row's options in the order in which an attempt shows them."""
    options = options_of(told, row)
    if not told.shuffle:
        return options
    places = permutation(len(options), f"{seed}/{attempt}/{row_id}")
    chosen = [options[place] for place in places]
    letters = string.ascii_uppercase
    return [Option(letters[at], one.own, one.text) for at, one in enumerate(chosen)]


def permutation(count: int, key: str) -> list[int]:
    """The places 0..count-1 in an order drawn by `key`; every order is equally likely.

    The key's SHA-256 is read as a number in the factorial base: the same on every machine and with
    every Python, and 2^256 is so much more than 26! that no order is favoured by more than 2^-167.
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest())
    left, order = list(range(count)), []
    for size in range(count, 0, -1):
        number, place = divmod(number, size)
        order.append(left.pop(place))
    return order


def gold_letter(told: Choice, row: Mapping[str, Json]) -> str:
    """The right option's letter as the row has it, given there by letter or by text.

    `RowProblem` where it is neither, or where letter and text would mean two options.
    """
    given = row.get(told.gold)
    if not isinstance(given, str | int) or isinstance(given, bool):
        _refuse(f"{told.gold} is {given!r}; it has to be an option's letter or text")
    said = " ".join(str(given).casefold().split())
    options = options_of(told, row)
    meant = {one.own for one in options if one.own.casefold() == said.strip(_EDGES)}
    meant |= {one.own for one in options if " ".join(one.text.casefold().split()) == said}
    if len(meant) != 1:
        why = "means two options, by letter and by text" if meant else "is none of the options"
        _refuse(f"{told.gold}: {given!r} {why}")
    return meant.pop()


def order_shown(options: Sequence[Option]) -> str:
    """The row's letters in the order shown."""
    return "".join(one.own for one in options)


def _pairs(given: Json, field: str) -> list[tuple[str, str]]:
    if isinstance(given, list):
        given = dict(zip(string.ascii_uppercase, given, strict=False)) if len(given) <= 26 else {}
    if not isinstance(given, dict):
        _refuse(f"{field} has to be a list of texts, or texts by letter")
    pairs = [(key.strip(_EDGES), _text(text, field)) for key, text in given.items()]
    wrong = next((key for key, _ in pairs if len(key) != 1 or not key.isalnum()), None)
    if wrong is not None:
        _refuse(f"{field}: {wrong!r} is no letter")
    if len({key.casefold() for key, _ in pairs}) < len(pairs):
        _refuse(f"{field}: two options have the same letter")
    return pairs


def _text(given: Json, field: str) -> str:
    text = str(given).strip() if isinstance(given, str | int | float) else ""
    if not text or isinstance(given, bool):
        _refuse(f"{field}: every option has to be a text")
    return text


def _refuse(detail: str) -> NoReturn:
    raise RowProblem(FailureCode.BAD_ROW, detail)
