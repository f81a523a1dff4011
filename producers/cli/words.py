"""Numbers, money, times and foreign text as people read them. Pure."""

from models.tables import NANO
from producers.readers.rejects import printable

UNKNOWN_COST = "unknown (the model is not in the price table)"


def safe(text: object, limit: int = 300) -> str:
    """Text that came from data, made harmless for a terminal: one line, control codes escaped.

    Rich markup in it stays text because our consoles (`voice.py`) interpret no markup at all.
    """
    whole = str(text)
    return printable(whole, limit) + ("…" if len(whole) > limit else "")


def safe_lines(text: str) -> str:
    """Like `safe`, for messages of several lines."""
    return "\n".join(safe(line, 4000) for line in text.split("\n"))


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,234 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(nano: int) -> str:
    """Nano-USD as `$12.34`, with four decimals below a dollar."""
    usd = nano / NANO
    if 0 < usd < 0.0001:
        return "under $0.0001"
    return f"${usd:,.2f}" if usd >= 1 or not usd else f"${usd:.4f}"


def cost(nano: int, *, calls: int, unpriced: int) -> str:
    """What paid calls cost, never less than is known: `unpriced` of them have no price."""
    if calls and unpriced >= calls:
        return UNKNOWN_COST
    if unpriced:
        return f"at least {money(nano)} ({counted(unpriced, 'call')} without a known price)"
    return money(nano)


def estimated_cost(usd: float | None) -> str:
    """`about $0.41`, or unknown; never zero for want of a price."""
    return UNKNOWN_COST if usd is None else f"about {money(round(usd * NANO))}"


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
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
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
