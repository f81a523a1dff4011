"""Results in words, for a terminal, a page and a file alike. Pure."""

from models.figure_words import worded
from models.reviews.results import ByReviewer, Result, Share
from models.reviews.votes import Preferred

COUNTING = (
    "Intervals of shares are Wilson's, 95%. A pair that several people judged counts once, by what "
    "more than half of them said; where no word has more than half, as a tie."
)


def share_words(share: Share) -> str:
    """`76.0% [62.6, 85.7] n=50`."""
    told = {"value": share.value, "low": share.low, "high": share.high, "n": share.n}
    return str(worded({**told, "unit": "share"}))


def agreement_words(result: Result) -> list[str]:
    """How well the reviewers agree, as a sentence; nothing where no pair has two judgements."""
    found = result.agreement
    if found is None:
        return []
    same = f"They said the same of {found.same} of {found.pairs} pairs that several judged."
    if found.value is None:
        return [f"{found.method}: cannot be had, as {found.why}. {same}"]
    interval = f" [{found.low:.2f}, {found.high:.2f}]" if found.low is not None else ""
    return [f"{found.method} between reviewers: {found.value:.2f}{interval}. {same}"]


def leaning_words(one: ByReviewer) -> str:
    """How often the left answer was preferred; said where chance hardly does as much."""
    leans = one.left_p is not None and one.left_p < 0.05
    return share_words(one.left) + (" (leans to one side)" if leans else "")


def preferred_name(result: Result, preferred: str) -> str:
    """The model's name, or `tie`."""
    names = {Preferred.FIRST: result.first, Preferred.SECOND: result.second}
    return names.get(Preferred(preferred), "tie")
