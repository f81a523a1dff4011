"""Tokens per query, with and without the user's own text, and what a model saves of them.

The user's text has to be read by any model; what comes beside it (instructions, examples, the
answer) is the price of asking this model in these words. It is counted by the tokenizer that
mistral-common carries: for other models that is near, not exact. Answers that took no call (the API
refused to) have no tokens, and are left out.
"""

import numpy as np

from models.words import counted
from producers.evaluating.figures.findings import Findings, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import divided, mean, of_sums
from producers.evaluating.figures.paired import mean_parts
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Figure, Section
from producers.tokens import token_counter

COLUMNS = {
    "tokens_per_query": "Tokens per query",
    "tokens_overhead": "Without the user's text",
    "tokens_saved": "Saved against the first",
}
_NO_TEXT = "the suite does not say which text is the user's (classification.user_text)"


def find(gathered: Gathered, seed: int) -> Findings:
    """Tokens of each model, and the saving of each against the first."""
    user = np.array(gathered.user_tokens)
    used = {label: tokens_of(gathered, place) for place, label in enumerate(gathered.labels)}
    beside = {label: tokens - user[:, None] for label, tokens in used.items()}
    first = beside[gathered.labels[0]]
    findings = Findings(summary={"tokens_overhead": "Tokens without the user's text"})
    for place, label in enumerate(gathered.labels):
        findings.figures[label] = {
            "tokens_per_query": mean(used[label], "tokens", seed),
            "tokens_overhead": mean(beside[label], "tokens", seed, why=_NO_TEXT),
            "tokens_saved": Figure(None, "share", why="the first is what others are held against")
            if not place
            else saving(first, beside[label], seed),
        }
    if np.isnan(user).all():
        findings.summary = {"tokens_per_query": "Tokens per query"}
    table = table_of("Tokens per query", findings.figures, COLUMNS)
    findings.sections = [Section("Tokens", _text(), [table])]
    findings.warnings = _warnings(beside)
    return findings


def tokens_of(gathered: Gathered, place: int) -> Floats:
    """(rows, attempts): tokens in and out of each answer; NaN where nothing was asked."""
    answers = gathered.answers
    asked = answers.of("calls")[:, place] > 0
    both = answers.of("prompt_tokens")[:, place] + answers.of("completion_tokens")[:, place]
    return np.where(asked, both, np.nan)


def saving(first: Floats, second: Floats, seed: int) -> Figure:
    """Which share of the first's tokens the second does without, on the same rows."""
    one, other = mean_parts(first), mean_parts(second)
    kept = (one[:, 1] > 0) & (other[:, 1] > 0)
    why = "no tokens to save: the first has none beside the user's text"
    return of_sums(np.hstack([one[kept], other[kept]]), _saved, "share", seed, why=why)


def _saved(sums: Floats) -> Floats:
    first = divided(sums[..., 0], sums[..., 1])
    second = divided(sums[..., 2], sums[..., 3])
    return 1 - divided(second, np.where(first > 0, first, 0))


def _text() -> str:
    how = "counted" if token_counter().exact else "guessed at four characters a token"
    return (
        "Tokens in and out, as the API counted them. The user's text, which any model has to read, "
        f"is {how} by Mistral's tokenizer."
    )


def _warnings(beside: dict[str, Floats]) -> list[str]:
    below = [label for label, one in beside.items() if (one < 0).any()]
    return [
        f"{label}: {counted(int((beside[label] < 0).sum()), 'answer')} took fewer tokens than the "
        "user's text has by Mistral's tokenizer: the model cuts text in another way, and its "
        "tokens without the user's text are no more than a hint"
        for label in below
    ]
