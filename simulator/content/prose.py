"""Text out of the prompt's own sentences, so that an answer reads as if it were about the paper."""

import re

# Begins with a plain space, not with the look-behind: eight times as fast to search for.
_SENTENCE_END = re.compile(r" (?<=[.!?] ) *(?=[\"'(«]?[A-Z0-9À-Þ])")
_LABEL = re.compile(r"^(?:[A-Z][A-Za-z /&]{2,30}:\s+)+")
_WORD = re.compile(r"[^\W_][\w\-']*")
# A letter with a digit or a capital after it: miR-23, PTCH1, mRNA.
_NAME = re.compile(r"[^\W\d].*[\dA-Z]")
_NAME_BONUS = 20
_LONG_LINE = 200
_SHORTEST_SENTENCE = 20
_TEMPLATES = (
    "What does the study report about {0}?",
    "How is {0} related to {1}?",
    "Which role does {0} play with regard to {1}?",
    "What evidence links {0} and {1}?",
    "How was {0} examined in this work?",
    "Why does {0} matter for {1}?",
    "What can be concluded about {0}?",
)


def sentences_of(text: str) -> list[str]:
    """The sentences of one paragraph, labels such as `RESULTS:` taken off."""
    parts = _SENTENCE_END.split(text.strip())
    return [_LABEL.sub("", part) if ": " in part else part for part in parts if part]


def words_of(text: str) -> set[str]:
    """The words that carry meaning: lower case, four characters or more."""
    return {word for word in _WORD.findall(text.lower()) if len(word) > 3}


def terms_of(sentence: str) -> list[str]:
    """Up to two names or long words; names of things count for more."""
    words = dict.fromkeys(_WORD.findall(sentence))
    return sorted(words, key=_weight, reverse=True)[:2]


def _weight(word: str) -> int:
    return len(word) + (_NAME_BONUS if _NAME.search(word) else 0)


class Prose:
    """A source of sentences, questions, terms and numbers: same prompt and seed, same sequence.

    What was `said` before is not said again, as long as there is something else to say: a model
    that is told what was wrong with its answer gives another one.
    """

    def __init__(self, prompt: str, seed: int, said: str = "", last: str = "") -> None:
        """`last`: the last part of the prompt, which is what it is about if no part is long."""
        self.prompt, self.last = prompt, last or prompt
        lines = [line.strip() for line in prompt.split("\n")]
        document = [line for line in lines if len(line) >= _LONG_LINE]
        document = document or [max(map(str.strip, self.last.split("\n")), key=len)]
        self._question = _last_question([line for line in lines if line not in document])
        usable = _usable(document) or ["The text says nothing that could be quoted."]
        self._sentences = [it for it in usable if it not in said] or usable
        self._state = seed & 0xFFFFFFFFFFFFFFFF
        self._turn = seed % len(self._sentences)
        self._said = 0
        self._asked: set[str] = set()

    def pick(self, count: int) -> int:
        """A number in 0..count-1 (Knuth's linear congruential generator, upper bits)."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % count

    def sentence(self) -> str:
        """The next sentence of the document; once all are used up, the next two, then three."""
        self._said += 1
        return self._following(-(-self._said // len(self._sentences)))

    def _following(self, count: int) -> str:
        self._turn += 1
        places = range(self._turn, self._turn + count)
        return " ".join(self._sentences[place % len(self._sentences)] for place in places)

    def term(self) -> str:
        """A name or a telling word of the next sentence."""
        return (terms_of(self._following(1)) or ["text"])[0]

    def sought(self) -> str:
        """What is searched for by somebody who has to answer the prompt's question."""
        return self._question or self.sentence()

    def subject(self) -> str:
        """What that question is about: its most telling word."""
        return (terms_of(self._question) or [self.term()])[0]

    def question(self) -> str:
        """A question about the document that was not asked before."""
        for _ in range(len(self._sentences)):
            question = self._make_question()
            if question not in self._asked:
                break
        else:
            question = f"{self._make_question()[:-1]} (point {len(self._asked) + 1})?"
        self._asked.add(question)
        return question

    def _make_question(self) -> str:
        first, second = [*terms_of(self._following(1)), "the text", "the results"][:2]
        return _TEMPLATES[self.pick(len(_TEMPLATES))].format(first, second)

    def answer(self) -> str:
        """The sentence nearest to the prompt's question with one of the next nearest, in order.

        Two in a row if the prompt asks nothing.
        """
        if not self._question:
            return self._following(min(2, len(self._sentences)))
        asked = words_of(self._question)
        lowered = [sentence.lower() for sentence in self._sentences]
        score = [sum(word in sentence for word in asked) for sentence in lowered]
        order = range(len(score))
        nearest = sorted(order, key=lambda at: (-score[at], (at - self._turn) % len(score)))
        chosen = {nearest[0], nearest[min(1 + self.pick(3), len(nearest) - 1)]}
        return " ".join(self._sentences[at] for at in sorted(chosen))


def _usable(lines: list[str]) -> list[str]:
    sentences = [sentence for line in lines for sentence in sentences_of(line)]
    return [it for it in sentences if len(it) >= _SHORTEST_SENTENCE] or sentences


def _last_question(lines: list[str]) -> str:
    asked = [it for line in lines for it in sentences_of(line) if it.endswith("?")]
    return asked[-1] if asked else ""
