"""Foreign text made harmless to show: in a page, in Markdown, in names of files. Pure."""

import re
import unicodedata

from models.words import safe

MOST = 20_000
"""Characters of a text that are shown; the outcomes have all of it."""
_MARKS = re.compile(r"([\\`*\[\]<>|~]|(?<!\w)_|_(?!\w))")


def plain(text: object, limit: int = 300) -> str:
    """One line; control, bidi and other unseen characters are written out."""
    return safe(_spaced(str(text)[: limit + 1]), limit)


def lines(text: object, limit: int = MOST) -> str:
    """The same for texts of several lines."""
    whole = str(text)
    shown = _spaced(whole[:limit]).expandtabs(4).replace("\r\n", "\n")
    kept = "\n".join(safe(line, limit) for line in shown.split("\n"))
    return f"{kept} …" if len(whole) > limit else kept


def markdown(text: object, limit: int = 300) -> str:
    """One line of Markdown that says just this."""
    return _MARKS.sub(r"\\\1", plain(text, limit).replace("&", "&amp;")).replace("\\<", "&lt;")


def fenced(text: object, limit: int = MOST) -> str:
    """A block of Markdown that shows the text as it is, whatever is in it."""
    shown = lines(text, limit)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


def slug(text: object) -> str:
    """`Accuracy by model` as `accuracy-by-model`, of letters that any file system takes."""
    ascii_only = unicodedata.normalize("NFKD", str(text)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:60] or "chart"


def _spaced(text: str) -> str:
    """Spaces of other widths (before a French colon, say) as plain ones."""
    return "".join(" " if unicodedata.category(one) == "Zs" else one for one in text)
