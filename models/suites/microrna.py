"""Names of microRNAs in all their spellings, recognised and compared. Pure.

`hsa-miR-21-5p`, `miR21`, `MIR21`, `microRNA 21` and `miRNA-21*` name one molecule; `miR-200a/b/c`,
`miR-15a and -16-1` and `miR-17~92` name several. Names are compared generously: abstracts seldom
say species or arm, and often only the family (`miR-23` where `miR-23b` was measured).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u00ad_", "-"))
_SPECIES = (
    "hsa|has|mmu|rno|ptr|mml|ggo|cfa|eca|bta|oar|chi|ssc|ocu|gga|xtr|xla|dre|ola|dme|bmo|aga|"
    "cel|ath|osa|zma|ebv|kshv|hcmv|mcmv|hsv1|hsv2|rlcv|sv40"
)
_UNIT = re.compile(
    r"\s?(?:%|\.\d|-?fold|h\b|hours?\b|days?\b|weeks?\b|months?\b|years?\b|min\b|patients?\b|genes?\b|"
    r"targets?\b|samples?\b|times\b|of\b|out\b)",
    re.IGNORECASE,
)
_LETTER = r"(?P<letter>[a-z]|a[a-z]|b[a-c])?"
_COPY = r"(?:-(?P<copy>[1-9]|1[01])(?![\dp])|(?<=[a-z])(?P<copied>\d{1,2}))?"
# miR-16-1 is a copy of a gene, miR-17-92 a cluster: no gene has more copies than eleven
_ARM = r"(?:[- ]?(?P<arm>[35]p)|(?P<star>\*))?"
_END = r"(?![a-z0-9])"
_HEAD = re.compile(
    rf"(?<![a-z0-9])(?:(?:antago|ago|onco|anti|pre|pri)-?)?(?:(?P<species>{_SPECIES})-?)?"
    r"(?:(?:antago|pre|pri)-)?"
    r"(?:(?P<stem>mi(?:cro)?-?r(?:na)?(?P<plural>s)?)\)?(?:-| {1,2})?"
    r"(?:(?P<odd>bart|bhrf1|k12|iab|ul|us)-?)?(?P<number>\d{1,5})"
    r"|(?:mi(?:cro)?-?r(?:na)?-?)?(?P<let>let)-?(?P<seven>7)|(?P<lin>lin)-(?P<four>4))"
    rf"{_LETTER}{_COPY}{_ARM}{_END}",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?P<apart>\s*(?:,\s*(?:and|or|&)|,|\band\b|\bor\b|&)\s*|\s?[/~]\s?|(?=-\d))"
    r"(?P<hyphen>-)?(?:(?P<onlyarm>[35]p)|(?P<onlystar>(?<=/)\*)|(?P<only>[a-z])"
    rf"|(?P<number>\d{{1,5}}){_LETTER}{_COPY}{_ARM}){_END}",
    re.IGNORECASE,
)
_ARTICLE_OR_LATER = frozenset("aghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class MicroRna:
    """One name, taken apart. Empty is what the name does not say."""

    family: str
    """`mir-21`, `let-7`, `lin-4`, `mir-bart3`."""
    letter: str = ""
    """The member of a family: b of miR-23b."""
    copy: str = ""
    """The gene: 1 of miR-16-1."""
    arm: str = ""
    """`5p`, `3p` or `*`."""
    species: str = ""

    @property
    def name(self) -> str:
        """As papers write it, without species, copy and arm: `miR-23b`."""
        return self.family.replace("mir-", "miR-") + self.letter


class Likeness(IntEnum):
    """How well one name matches another."""

    NONE = 0
    """Other molecules: `miR-200a` and `miR-200b`."""
    FAMILY = 1
    """One of them names no member: `miR-23` and `miR-23b`."""
    MEMBER = 2
    """The same member, of another copy or arm: `miR-21-5p` and `miR-21-3p`."""
    SAME = 3
    """The same as far as both say; species never count."""


def likeness(one: MicroRna, other: MicroRna) -> Likeness:
    """How well two names match, whichever stands in the question."""
    if one.family != other.family:
        return Likeness.NONE
    if one.letter != other.letter:
        return Likeness.NONE if one.letter and other.letter else Likeness.FAMILY
    differ = (one.copy and other.copy and one.copy != other.copy) or (
        one.arm and other.arm and one.arm != other.arm
    )
    return Likeness.MEMBER if differ else Likeness.SAME


def names_in(text: str) -> list[MicroRna]:
    """The molecules that a text names, each once, in their order."""
    return list(dict.fromkeys(_names_in(text.translate(_HYPHENS))))


def _names_in(text: str) -> Iterator[MicroRna]:
    at = 0
    while found := _HEAD.search(text, at):
        first = _first(found, text)
        at = found.end()
        if first is None:
            at = found.start() + 1
            continue
        yield first
        last, is_loose = first, bool(found["plural"])
        while (more := _MORE.match(text, at)) and (named := _next(more, found, last, is_loose)):
            yield named
            last, at = named, more.end()
            is_loose = is_loose or bool(named.letter)


def _first(found: re.Match[str], text: str) -> MicroRna | None:
    """The molecule that a list begins with; None for what only looks like one."""
    number = found["number"] or found["seven"] or found["four"]
    letter = (found["letter"] or "").lower()
    if int(number) == 0 or (not found["odd"] and letter == "p" and number in "35"):
        return None
    is_apart = bool(found["number"]) and text[found.start("number") - 1] == " "
    if is_apart and not letter and _UNIT.match(text, found.end()):
        return None  # "in miRNAs 5 days after"
    kind = found["let"] or found["lin"] or ("mir-" + found["odd"] if found["odd"] else "mir")
    apart = "" if found["odd"] and found["odd"].lower() in ("bart", "ul", "us") else "-"
    species = (found["species"] or "").lower().replace("has", "hsa")
    made = MicroRna(f"{kind.lower()}{apart}{int(number)}", species=species)
    return _finished(made, found, letter)


def _next(
    more: re.Match[str], head: re.Match[str], last: MicroRna, is_loose: bool
) -> MicroRna | None:
    """The next molecule of a list: `/b`, `, -16-1`, `~92`; None where the list is over.

    `is_loose`: it names numbers without hyphens, as in `miRs 21, 31` and `miR-21, 23a, 31`.
    """
    bare = replace(last, copy="", arm="")
    is_worded = more["apart"].strip() not in ("", "/", "~")
    if more["onlyarm"] or more["onlystar"]:
        return None if is_worded else replace(bare, arm=(more["onlyarm"] or "*").lower())
    if letter := more["only"]:
        is_other_case = letter.isupper() != (head["stem"] or "").isupper()
        is_word = is_worded and letter.lower() in _ARTICLE_OR_LATER
        known = last.letter and not is_other_case and not is_word
        return replace(bare, letter=letter.lower()) if known else None
    if is_worded and not (more["hyphen"] or more["letter"] or is_loose):
        return None  # "miR-21, 22 patients"
    if is_worded and not more["letter"] and _UNIT.match(more.string, more.end()):
        return None
    stem = "let" if last.family == "let-7" and int(more["number"]) == 7 else "mir"
    made = MicroRna(f"{stem}-{int(more['number'])}", species=last.species)
    return _finished(made, more, (more["letter"] or "").lower())


def _finished(made: MicroRna, found: re.Match[str], letter: str) -> MicroRna:
    """With letter, copy and arm as the match has them; a plural is no member."""
    is_plural = letter == "s" and made.family != "mir-548"
    copy = found["copy"] or found["copied"] or ""
    arm = (found["arm"] or found["star"] or "").lower()
    return replace(made, letter="" if is_plural else letter, copy=copy, arm=arm)
