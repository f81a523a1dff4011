"""Reviews by people: two answers side by side, judged without knowing whose they are. Pure."""

from models.reviews.blinding import (
    MOST_COMMENT,
    Choice,
    balanced_sides,
    choice_of,
    comment_of,
    own_order,
    rank,
    reviewer_of,
)

__all__ = [
    "MOST_COMMENT",
    "Choice",
    "balanced_sides",
    "choice_of",
    "comment_of",
    "own_order",
    "rank",
    "reviewer_of",
]
