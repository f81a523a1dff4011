"""Numbers, money, times and foreign text as people read them, in a terminal or a browser. Pure."""

from datetime import UTC, datetime

from models.nano import NANO

UNKNOWN_COST = "unknown (the model is not in the price table)"


def printable(text: str, limit: int = 200) -> str:
    """`text` with all that could move a cursor or hide (ANSI, bidi, surrogates) escaped, cut."""
    escaped = "".join(c if c.isprintable() else _escape(c) for c in text[:limit])
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def safe(text: object, limit: int = 300) -> str:
    """Text that came from data, made harmless to show: one line, control codes escaped.

    A terminal or a template still has to take its markup for text (Rich's, HTML's).
    """
    whole = str(text)
    return printable(whole, limit) + ("…" if len(whole) > limit else "")


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(nano: int) -> str:
    """Nano-USD as `$12.34`, with four decimals below a dollar; what is less, with its first digit:
    a sum, and never words, so that `about` and `of` may stand before it."""
    usd = nano / NANO
    if 0 < usd < 0.0001:
        return f"${usd:.{10 - len(str(nano))}f}"
    return f"${usd:,.2f}" if usd >= 1 or not usd else f"${usd:.4f}"


def dollars(usd: float) -> str:
    """The same of a sum in USD."""
    return money(round(usd * NANO))


def is_unknown_cost(*, calls: int, unpriced: int) -> bool:
    """Whether not one of the paid calls has a known price: such a cost is never told as 0."""
    return bool(calls) and unpriced >= calls


def cost(nano: int, *, calls: int, unpriced: int) -> str:
    """What paid calls cost, never less than is known: `unpriced` of them have no price."""
    if is_unknown_cost(calls=calls, unpriced=unpriced):
        return UNKNOWN_COST
    if unpriced:
        return f"at least {money(nano)} ({counted(unpriced, 'call')} without a known price)"
    return money(nano)


def iso(at: float) -> str:
    """A moment (seconds since the epoch) as programs read it: ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    if hours:
        return f"{hours} h {minutes_left:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def ago(seconds: float) -> str:
    """`just now`, `5 min ago`, `3 h ago`, `2 d ago`."""
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size_s:
            return f"{int(seconds // size_s)} {unit} ago"
    return "just now"


def size(number: float) -> str:
    """Bytes as `512 B`, `3.4 MB`, `120 GB` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def share(part: float) -> str:
    """`97%`; a share under one per cent keeps a decimal."""
    return f"{part:.1%}" if 0 < part < 0.01 else f"{part:.0%}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
