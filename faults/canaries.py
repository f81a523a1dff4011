"""How a secret word may lie in bytes: as it is, or inside something that was written as base64.

kombu writes the body of each message as base64: a word in a task's arguments is in Redis, and in
its append-only file, in that form alone.
"""

from base64 import b64encode


def forms(word: str) -> list[bytes]:
    """The word, and what base64 makes of it behind 0, 1 or 2 bytes (of a multiple of three).

    The letters that depend on its neighbours are left out.
    """
    plain = word.encode()
    return [plain, *(_inside(plain, before) for before in range(3))]


def _inside(plain: bytes, before: int) -> bytes:
    first = -(-before * 8 // 6)  # the first letter that has no bit of what stands before
    last = (before + len(plain)) * 8 // 6
    return b64encode(b"\0" * before + plain)[first:last]


def holds(piece: bytes, word: str) -> bool:
    """Whether the word is in these bytes, in any of its forms."""
    return any(form in piece for form in forms(word))
