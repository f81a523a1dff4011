"""How models word a choice, in English, German, French, Spanish and Italian: the patterns alone.

Letters are matched as they are written and words in any case; `letters` says what is made of it.
"""

import re

EDGES = " \t\r\n.,;:!\"'()[]{}<>-_"
EDGES_BUT_OPEN = " \t\r\n.,;:!-_"
TYPOGRAPHY = str.maketrans(
    {**dict.fromkeys("’‘ʼ´", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("【[", "[")}
    | {"】": "]", "。": ".", "\u00a0": " ", "\u200b": "", "\ufeff": ""}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | {"\u2014": " - ", **{chr(code): " " for code in range(0xE000, 0xE020)}}
)
THOUGHT = re.compile(r"^.*?</think(?:ing)?>|<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE)
FENCED = re.compile(r"```(?:json)?\s*\n?(\{[^`]*\}|\[[^`]*\])\s*```", re.IGNORECASE)
MARKED = re.compile(
    r"\\boxed\s*\{((?:[^{}]|\{[^{}]{0,300}\}){0,300})\}|<answer>(.{0,3000}?)</answer>",
    re.DOTALL | re.IGNORECASE,
)
MARKUP = (
    (re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]{0,300}\}){0,300})\}"), r"\1"),
    (re.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt)?\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"</?[a-zA-Z]{1,12}\s*/?>"), " "),
    (re.compile(r"\$+|\\[()\[\],;!]|\*+|`+"), ""),
    (re.compile(r"^[ \t]*(?:#{1,6}|>|[-•]|\d{1,2}\.)[ \t]+", re.MULTILINE), ""),
    (re.compile(r"(?<!\w)_+|_+(?!\w)"), ""),
)
_MASK = "[\ue000-\ue019]"
MASKS = re.compile(_MASK)
_NOUN = (
    r"(?i:option|choice|answer|letter|alternative|antwort|buchstabe|réponse|reponse|lettre|"
    r"respuesta|opción|risposta|opzione)"
)
_MAY_FOLLOW = (
    r"(?i:because|since|as|is|was|are|and|or|but|for|due|given|with|which|seems|would|must|based|"
    r"according|while|whereas|although|not|in|from|per|weil|denn|da|ist|sind|wäre|und|oder|mit|"
    r"aufgrund|nicht|car|parce|puisque|est|sont|et|ou|qui|over|rather|instead|porque|es|perché|è|o|y|e)\b"
)
# What a letter has to be followed by: "A" before any other word is an article, "B" a cell's name.
_ALONE = rf"(?!\w|'\w|-\w|\+|\.\w|[ ]+(?!{_MAY_FOLLOW})\w)"
_LETTER = rf"(?:[A-Z]{_ALONE}|[a-z](?=[ ]?(?:[)\]}}.,;:!\"']|$|{_MASK})){_ALONE})"
_OPEN, _CLOSE = r"[\"'(\[{<]{0,4}", r"[\"')\]}>]{0,4}"
_UNIT = (
    rf"(?<![\w'-])(?:{_NOUN}[ ]*:?[ ]*)?{_OPEN}(?:(?P<letter>{_LETTER})|(?P<text>{_MASK})){_CLOSE}"
    rf"(?:(?P<between>[ ).:(\"'=-]{{0,4}})(?P<own>{_MASK}){_CLOSE})?"
)
UNIT = re.compile(_UNIT, re.MULTILINE)
LEADING = re.compile(
    rf"[\s\"']*(?P<unit>{_UNIT})(?=[ ]?[).:;,]|[ ]?-{{1,2}}[ ]|[ ]\((?i:not|nicht|pas)\b"
    rf"|[ ]*$|[ ]*\n|(?<={_MASK})[ ]?[.:;\n]"
    r"|[ ](?i:because|since|as|weil|denn|da|car|parce|puisque)\b)",
)
LINE_STARTS = re.compile(rf"^[ \t]*{_UNIT}(?=[ ]?[).:;,]|[ ]?-{{1,2}}[ ]|[ ]*$)", re.MULTILINE)
JOINT = re.compile(
    r"\s*(?:,\s*)?(?:(?P<either>/|\b(?i:or|oder|ou|and/or|und/oder|et/ou|o)\b)|&|"
    r"\b(?i:and|und|et|y|e)\b|,|\+)\s*"
)
GOES_ON = re.compile(r"\s+(?i:is|was|has|does|would|can|could|ist|hat|est|a|es|è)\b")
SENTENCE_END = re.compile(r"[ ]*(?:[.!)\"']|$|\n)")
BRACKETED = re.compile(rf"[(\[]([A-Z])[)\]]|\b{_NOUN}[ ]([A-Z]){_ALONE}")

_IS = (
    r"(?:is|are|was|would be|should be|must be|will be|has to be|can only be|seems to be|"
    r"appears to be|ist|lautet|wäre|sind|est|serait|es|sería|è|sarebbe)"
)
_FILLER = (
    r"(?:therefore|thus|clearly|most likely|most probably|probably|likely|definitely|indeed|then|"
    r"actually|simply|obviously|only|the|option|answer|choice|letter|daher|somit|also|eindeutig|"
    r"wahrscheinlich|hier|die|der|antwort|buchstabe|donc|la|le|réponse|lettre|bien|probablement|"
    r"clairement|el|opción|opzione|that|it is|it's|for|es ist|c'est)"
)
_SAYING = rf"(?:\s*\b{_IS}\b(?:\s+{_FILLER}\b)*|\s*(?:[:=]|-+>|→|⇒|-(?=\s)))\s*:?\s*(?:l')?"
_ADJECTIVE = (
    r"(?:\s+(?:correcte?|exacte?|juste|finale?|correcta|corretta|giusta|choice|option|letter))*"
)
_TO_IT = r"(?:\s+(?:here|to (?:this|the) question|auf die frage|à la question))?"
BEFORE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:answer|response|choice|option|solution|verdict|selection|antwort|lösung|wahl|"
        r"réponse|reponse|choix|respuesta|risposta)" + _ADJECTIVE + _TO_IT + _SAYING,
        r"\b(?:answer|antwort|réponse|respuesta|risposta)[ ]*\n\s*",
        r"\b(?:correct|right|best|true|accurate|only)\s+(?:one|letter|alternative|statement|match)"
        + _SAYING,
        r"\b(?:correct|richtig|korrekt|correcte)\s*[:=]\s*",
        r"\b(?:richtig|korrekt|zutreffend)\s+(?:ist|wäre|sind)\b" + rf"(?:\s+{_FILLER}\b)*\s*:?\s*",
        r"\b(?:i|we)(?:'d|'ll|\s+would|\s+will|\s+must)?\s+(?:choose|chose|pick|picked|select|"
        r"selected|go with|opt for|say|answer|vote for|guess|conclude|think|believe)\b"
        rf"(?:\s+(?:{_FILLER}|is)\b)*\s*:?\s*",
        r"\bich\s+(?:wähle|nehme|denke|glaube|tippe auf|entscheide mich für)\b,?"
        rf"(?:\s+(?:{_FILLER}|ist)\b)*\s*:?\s*",
        r"\bje\s+(?:choisis|sélectionne|dirais|prends|pense que|opte pour)\b"
        rf"(?:\s+{_FILLER}\b)*\s*:?\s*(?:l')?(?:option\s+)?",
        r"\b(?:it|this|that)(?:'s|\s+(?:is|must be|would be|should be|has to be|can only be))\b"
        rf"(?:\s+{_FILLER}\b)*\s+",
        r"\bc'est(?:\s+" + _FILLER + r"\b)*\s+(?:l'option\s+)?",
        r"\b(?:so|therefore|thus|hence|consequently|in conclusion|conclusion|daher|deshalb|somit|"
        r"folglich|also|donc|ainsi|choose|select|pick)\b\s*[,:]?\s*",
    )
)
"""Each ends where the choice begins."""
NEEDS_END = re.compile(
    r"so|therefore|thus|hence|consequently|in conclusion|conclusion|daher|deshalb|somit|folglich|"
    r"also|donc|ainsi|choose|select|pick",
    re.IGNORECASE,
)
"""Cues that make a choice only of what ends the sentence: `so B.`"""
AFTER = re.compile(
    rf"\s*\b{_IS}\b\s+(?:(?:{_FILLER}|single|one|bonne)\s+)*(?:correcte?|right|best|true|accurate|"
    r"most likely|answer|choice|richtig\w*|korrekt\w*|zutreffend\w*|juste|exacte?|vraie?|bonne|"
    r"réponse|antwort|correcta|corretta|giusta)\b",
    re.IGNORECASE,
)
LINE_BEGIN = re.compile(
    r"\W*(?:(?:the|my|correct|right|best|die|meine|richtige|la|ma|bonne)\s+)*", re.IGNORECASE
)
FINAL = re.compile(
    r"\b(?:final\w*|therefore|thus|hence|so|conclu\w+|consequently|ultimately|overall|actually|wait|"
    r"correction|in the end|daher|deshalb|somit|folglich|also|schlie(?:ß|ss)lich|endgültig\w*|donc|"
    r"ainsi|enfin)\b",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"(?:n't|\bnot|\bnever|\bdoubt|\bnicht|\bpas|\bkeine?)\s+(?:(?:think|believe|say|mean|that|the|"
    r"correct|right|best|final|it|dass|die|que|la|bonne|richtige)\s+)*$",
    re.IGNORECASE,
)
SUPPOSED = re.compile(r"\b(?:if|suppose|unless|wenn|falls|si)\b", re.IGNORECASE)
NEGATED = re.compile(
    r"(?:n't|\b(?:not|no|never|neither|nor|without|unlike|rather than|instead of|nicht|"
    r"keine?[nrms]?|weder|noch|ohne|pas|ni|aucune?|sans))\s+(?:\w+\s+){0,2}[(\[\"']*$",
    re.IGNORECASE,
)
REJECTED = re.compile(
    r"[)\]\"']*\s+(?:is|was|are|were|has|have|does|do|can|could|would|ist|hat|est)"
    r"(?:n't\b|\s+(?:not|no|never|wrong|incorrect|false|unlikely|nicht|kein\w*|falsch|pas|fausse?)\b)",
    re.IGNORECASE,
)
