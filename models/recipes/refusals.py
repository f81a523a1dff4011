"""How models decline: a small set of first words, strict enough to spare real answers."""

import re

_ENGLISH = (
    r"(?:(?:i(?:'m| am)(?: so| very| really)? sorry|sorry|i apologi[sz]e|unfortunately)[,.;:!]?"
    r"(?: but)?,? |as an ai(?: language)?(?: model| assistant)?,? )*"
    r"i(?: can(?:not|'t| not)|'m (?:unable|not able) to| am (?:unable|not able) to|"
    r" won't(?: be able to)?| will not(?: be able to)?|'m not going to)"
    r"(?: to)?(?: (?:directly|fully|actually|further))? "
    r"(?:assist|help|comply|fulfil+|provide|answer|respond|discuss|continue with|"
    r"generate|create|do (?:that|this)|engage|participate|process|share|complete|translate)\b"
)
_FRENCH = (
    r"(?:(?:je suis|désolée?)(?: sincèrement)?(?: désolée?)?,? (?:mais )?)?"
    r"je ne (?:peux|suis) (?:malheureusement )?(?:pas |pas en mesure )?"
    r"(?:de |d')?(?:pas )?(?:vous |t')?(?:aider|répondre|fournir|traduire|assister|accéder)\b"
)
_GERMAN = (
    r"(?:(?:es )?tut mir leid,? (?:aber )?|leider )"
    r"(?:ich kann|kann ich)\b.{0,60}\b"
    r"(?:nicht|keine?n?)\b.{0,40}\b(?:helfen|beantworten|bereitstellen|unterstützen|übersetzen)\b"
)
PHRASES = re.compile(rf"(?:{_ENGLISH}|{_FRENCH}|{_GERMAN})", re.IGNORECASE)
"""First words of a refusal in English, French and German. Set `checks.refusals = false` in steps
whose honest answers may start so (a translation of such a sentence)."""


def is_refusal(text: str) -> bool:
    """Whether a text answer starts with the words of a refusal."""
    return PHRASES.match(text.lstrip(" \n*_\"'").replace("’", "'")) is not None
