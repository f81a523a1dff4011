"""Who may open Flower: everybody on loopback, elsewhere only who gives name and password."""

import ipaddress
import os
from pathlib import Path
from typing import Any

from models.errors import SetupError

PASSWORD_FILE = "FLOWER_BASIC_AUTH_FILE"  # noqa: S105 # where the password is, not what it is
"""Environment variable that names a file with one `name:password` a line (a mounted secret)."""


def secure(options: Any) -> None:
    """Takes the password from its file; refuses a door that is open to the network.

    `options` are Flower's (Tornado's). Raises `SetupError`. Without a password Flower's API is
    closed, so its buttons are taken away as well.
    """
    if path := os.environ.get(PASSWORD_FILE):
        options.basic_auth = read_passwords(Path(path))
    for pair in options.basic_auth or []:
        _check(pair)
    is_locked = bool(options.basic_auth or options.auth)
    if not is_locked and not options.unix_socket and not is_loopback(options.address):
        raise SetupError(
            f"Flower would listen on {options.address or 'every address'} without a password: "
            f"set FLOWER_BASIC_AUTH=name:password (or {PASSWORD_FILE}), or FLOWER_ADDRESS=127.0.0.1"
        )
    options.read_only = options.read_only or not is_locked


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`; Flower's empty address means all of them."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def read_passwords(path: Path) -> list[str]:
    """The `name:password` lines of a secret's file. Raises `SetupError` if there are none."""
    try:
        found = path.read_text("utf-8").split()
    except OSError as error:
        raise SetupError(f"{PASSWORD_FILE} cannot be read ({error.strerror}): {path}") from error
    if not found:
        raise SetupError(f"{PASSWORD_FILE} is empty: write name:password into {path}")
    return found


def _check(pair: str) -> None:
    name, _, password = pair.partition(":")
    if not name or not password:
        raise SetupError("Flower's password is set as name:password, and one of the two is missing")
    if not pair.isascii():  # Flower could not compare it, and would answer 500 to everybody
        raise SetupError("Flower's name and password must be of ASCII letters, digits and signs")
