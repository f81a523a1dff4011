"""Which option an answer chooses: tolerant of how it is said, strict about what is said. Pure.

The first of these that says anything decides; what it says has to be one option:

1. the answer as a whole: `B`, `(b)`, `B. hepatitis`, `hepatitis`, or JSON with an answer in it
2. what is marked as the answer: `\\boxed{B}`, `<answer>B</answer>` (the last of them)
3. what is stated: `the answer is B`, `Richtig ist B`, `C'est la B`, `B is correct`; of several
   different statements the last that calls itself final
4. how it begins: `B. hepatitis is right, because A ...`, unless it goes through the options
5. its last line, taken as a whole
6. the one letter in brackets, then the one option whose text it names

Two options, none of them, a letter that was not shown: invalid, and counted as that.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.recipes.answers import Read
from models.recipes.problems import Problem, shorten
from models.recipes.strict_json import Json, parse_json
from models.states import FailureCode
from models.suites import wordings as say
from models.suites.shuffling import Option

_KEYS = ("answer", "letter", "choice", "option", "final_answer", "correct", "response", "selected")
_FIRST_MASK = 0xE000
"""Option texts in an answer are replaced by private characters from here on, so that the letters
in `hepatitis B` or `B-cell lymphoma` are not taken for an option's."""


def letter_in(options: Sequence[Option], value: Json, *, is_cut: bool = False) -> Read | Problem:
    """The chosen option's letter, as the row has it; or why there is none.

    `is_cut`: the answer was cut off, so that only what would not change counts.
    """
    chosen = _Reading(options, is_cut=is_cut).chosen(value)
    own = {one.letter: one.own for one in options}
    if len(chosen) == 1 and chosen <= own.keys():
        return Read(own[chosen.pop()])
    beyond = ", ".join(sorted(chosen - own.keys()))
    named = f"chooses {len(chosen)} of the options" if chosen else "chooses none of the options"
    why = f"chooses {beyond}, which was not shown" if beyond else named
    return Problem(FailureCode.INVALID_ANSWER, f"{shorten(repr(value), 120)} {why}")


@dataclass(frozen=True, slots=True)
class _Said:
    """A statement: where it begins, what it chooses, whether it calls itself final."""

    begin: int
    end: int
    letters: set[str]
    is_final: bool


class _Reading:
    """One answer against the options that were shown. Methods answer with the letters chosen:
    none, one, or too many."""

    def __init__(self, options: Sequence[Option], *, is_cut: bool) -> None:
        self._options = {one.letter: _plain(one.text) for one in options}
        self._is_cut = is_cut
        self._masks = {chr(_FIRST_MASK + at): one.letter for at, one in enumerate(options)}

    def chosen(self, value: Json) -> set[str]:
        """What any JSON value chooses."""
        if isinstance(value, Mapping):
            return self._of_object(value)
        if isinstance(value, list):
            return set().union(*(self.chosen(one) for one in value))
        return self._of_text(value) if isinstance(value, str) else set()

    def _of_object(self, value: Mapping[str, Json]) -> set[str]:
        by_key = {str(key).casefold().replace(" ", "_"): one for key, one in value.items()}
        given = [by_key[key] for key in _KEYS if key in by_key]
        if not given and len(by_key) == 1:
            given = list(by_key.values())
        return set().union(*(self.chosen(one) for one in given))

    def _of_text(self, raw: str) -> set[str]:
        raw = say.THOUGHT.sub("", raw)
        as_json = json_in(raw)
        if as_json is not None:
            return self.chosen(as_json)
        text = self._masked(_plain(raw))
        return (
            self._whole(text)
            or self._marked(raw)
            or self._stated_or_led(text)
            or (set() if self._is_cut else self._at_the_end(text))
        )

    def _masked(self, text: str) -> str:
        """The text with the options' texts as single characters, longer ones first."""
        ordered = sorted(self._masks.items(), key=lambda item: -len(self._options[item[1]]))
        for mask, letter in ordered:
            said = self._options[letter].strip(say.EDGES)
            if len(said) > 1:
                words = r"\s+".join(map(re.escape, said.split()))
                text = re.sub(rf"(?<!\w){words}(?!\w)", mask, text, flags=re.IGNORECASE)
        return text.strip()

    def _whole(self, text: str) -> set[str]:
        """The text as one choice and nothing else; `A or B` is two."""
        begin = len(text) - len(text.lstrip(say.EDGES_BUT_OPEN))
        letters, end = self._group(text, begin)
        return letters if letters and not text[end:].strip(say.EDGES) else set()

    def _marked(self, raw: str) -> set[str]:
        found = list(say.MARKED.finditer(raw))
        inside = (
            next((part for part in found[-1].groups() if part is not None), "") if found else ""
        )
        return self._whole(self._masked(_plain(inside)))

    def _stated_or_led(self, text: str) -> set[str]:
        said = [one for one in self._statements(text) if one.letters]
        led = self._led(text)
        if not said:
            return led
        first_line = self._whole(text.partition("\n")[0])
        stated = said[0].letters.union(*(one.letters for one in said))
        final = [one.letters for one in said if one.is_final]
        if len(stated) > 1 and final:
            stated = final[-1]
        return stated | (first_line if led else set())

    def _statements(self, text: str) -> Iterator[_Said]:
        for cue in say.BEFORE:
            for found in cue.finditer(text):
                letters, end = self._group(text, found.end())
                if letters and self._is_meant(text, found, end):
                    yield _Said(found.start(), end, letters, self._is_final(text, found, end))
        at = 0
        while unit := say.UNIT.search(text, at):
            letters, at = self._group(text, unit.start())
            at = max(at, unit.end())
            if say.AFTER.match(text, at) and (known := letters & self._options.keys()):
                yield _Said(
                    unit.start(), at, known, say.FINAL.search(_before(text, unit)) is not None
                )

    def _is_meant(self, text: str, cue: re.Match[str], end: int) -> bool:
        """Whether a cue with its choice is a statement: no question, nothing denied or supposed."""
        before = _before(text, cue)
        if (
            say.DENIED.search(before)
            or say.SUPPOSED.search(before)
            or text[end:].lstrip()[:1] == "?"
        ):
            return False
        ends = say.SENTENCE_END.match(text, end)
        return ends is not None or not say.NEEDS_END.fullmatch(cue.group().strip(" ,:\n"))

    def _is_final(self, text: str, cue: re.Match[str], end: int) -> bool:
        begins_line = say.LINE_BEGIN.fullmatch(text[: cue.start()].rpartition("\n")[2])
        is_last = begins_line is not None and not text[end:].strip(say.EDGES)
        return is_last or say.FINAL.search(_before(text, cue) + cue.group()) is not None

    def _led(self, text: str) -> set[str]:
        """The option that the text begins with, unless it goes through several."""
        unit = say.LEADING.match(text)
        if unit is None:
            return set()
        starts = {self._letter(one) for one in say.LINE_STARTS.finditer(text)}
        labelled = {one["letter"] for one in say.UNIT.finditer(text) if self._has_own_text(one)}
        if len(starts) > 1 or len(labelled) == len(self._options):
            return set()
        letters, end = self._group(text, unit.start("unit"))
        return letters if not self._is_cut or self._goes_on_with_it(text, end, letters) else set()

    def _goes_on_with_it(self, text: str, end: int, letters: set[str]) -> bool:
        """Of an answer that was cut off: the option's text, or the beginning of it."""
        rest = text[end:].strip(say.EDGES).casefold()
        texts = [self._options.get(letter, "").casefold() for letter in letters]
        has_mask = any(mask in text[:end] for mask in self._masks)
        return has_mask or any(bool(rest) and one.startswith(rest) for one in texts)

    def _at_the_end(self, text: str) -> set[str]:
        """The last line; then the one letter in brackets; then the one option named by text."""
        named = (one for one in say.BRACKETED.finditer(text) if not _is_denied(text, one))
        marks = {one[1] or one[2] for one in named}
        texts = {
            self._masks[found.group()]
            for found in say.MASKS.finditer(text)
            if found.group() in self._masks and not _is_denied(text, found)
        }
        return self._last_line(text) or (marks & self._options.keys()) or texts

    def _last_line(self, text: str) -> set[str]:
        """What it chooses, with what other lines like it choose: a list of the options is none."""
        lines = [line for line in text.split("\n") if line.strip(say.EDGES)]
        if len(lines) < 2 or not (last := self._whole(lines[-1])):
            return set()
        has_text = say.MASKS.search(lines[-1]) is not None
        alike = [line for line in lines if (say.MASKS.search(line) is not None) == has_text]
        return last.union(*map(self._whole, alike))

    def _group(self, text: str, at: int) -> tuple[set[str], int]:
        """What is chosen at this place, `B` or `B or C`, and where that ends."""
        unit = say.UNIT.match(text, at)
        if unit is None:
            return set(), at
        letters, end = self._letters_of(unit), unit.end()
        while (joint := say.JOINT.match(text, end)) and (unit := say.UNIT.match(text, joint.end())):
            if not joint["either"] and say.GOES_ON.match(text, unit.end()):
                break  # "B, and A is wrong"
            letters |= self._letters_of(unit)
            end = unit.end()
        return letters, end

    def _letters_of(self, unit: re.Match[str]) -> set[str]:
        """One letter; two where the letter is one option's and the text another's."""
        letter = self._letter(unit)
        own = self._masks.get(unit["own"] or "", letter)
        is_next_sentence = "." in (unit["between"] or "") and re.match(
            r"[^\n]*\w", unit.string[unit.end() :]
        )
        return {letter} if is_next_sentence else {letter, own}

    def _letter(self, unit: re.Match[str]) -> str:
        return self._masks.get(unit["text"] or "", "") or str(unit["letter"] or "?").upper()

    def _has_own_text(self, unit: re.Match[str]) -> bool:
        return bool(unit["letter"]) and self._masks.get(unit["own"] or "") == unit["letter"]


def _plain(text: str) -> str:
    """Without Markdown, LaTeX and typographic variants; lines are kept."""
    text = unicodedata.normalize("NFKC", text).translate(say.TYPOGRAPHY)
    for pattern, instead in say.MARKUP:
        text = pattern.sub(instead, text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def json_in(text: str) -> Json:
    """The object or list that an answer is, or that a fence in it holds; None if there is none."""
    fenced = say.FENCED.search(text)
    candidate = fenced[1] if fenced else text.strip()
    if not candidate.startswith(("{", "[")):
        return None
    try:
        value = parse_json(candidate)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _before(text: str, found: re.Match[str]) -> str:
    """What stands before it in its sentence."""
    return re.split(r"[.!?;\n]", text[max(found.start() - 200, 0) : found.start()])[-1]


def _is_denied(text: str, found: re.Match[str]) -> bool:
    before, after = _before(text, found), text[found.end() :]
    return say.NEGATED.search(before) is not None or say.REJECTED.match(after) is not None
