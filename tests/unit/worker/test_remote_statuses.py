"""The provider's words in ours: all of them, and what is none."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.remote.statuses import BATCH_WORDS, OVER, TRAINING_WORDS, Standing, standing_of

OPENAPI = Path(__file__).parents[2] / "openapi"


def statuses(node: Any) -> list[frozenset[str]]:
    """All lists of status words in an OpenAPI file."""
    if isinstance(node, list):
        return [words for item in node for words in statuses(item)]
    if not isinstance(node, dict):
        return []
    own = node.get("enum")
    found = [frozenset(own)] if isinstance(own, list) and "CANCELLATION_REQUESTED" in own else []
    return found + statuses(list(node.values()))


def test_every_word_of_the_api_has_a_standing() -> None:
    """Batches have seven and trainings ten, and we know these and no others."""
    texts = [path.read_text() for path in OPENAPI.glob("*.yaml")]
    said = {words for text in texts for words in statuses(yaml.safe_load(text))}
    assert said == {frozenset(BATCH_WORDS), frozenset(TRAINING_WORDS)}
    assert Standing.UNKNOWN not in {*BATCH_WORDS.values(), *TRAINING_WORDS.values()}


def test_a_word_of_both_means_the_same_in_both() -> None:
    """So one translation serves both."""
    both = BATCH_WORDS.keys() & TRAINING_WORDS.keys()
    assert {word: BATCH_WORDS[word] for word in both} == {w: TRAINING_WORDS[w] for w in both}


@pytest.mark.parametrize(
    ("word", "standing"),
    [
        ("SUCCESS", Standing.SUCCEEDED),
        ("success", Standing.SUCCEEDED),
        (" Timeout_Exceeded ", Standing.TIMED_OUT),
        ("FAILED_VALIDATION", Standing.FAILED),
        ("VALIDATED", Standing.READY),
        ("CANCELLATION_REQUESTED", Standing.CANCELLING),
    ],
)
def test_case_does_not_matter(word: str, standing: Standing) -> None:
    """Servers differ."""
    assert standing_of(word) == standing


@pytest.mark.parametrize("word", ["", "PAUSED_BY_PROVIDER", "SUCCESSFUL", "completed"])
def test_an_unknown_word_is_neither_success_nor_failure(word: str) -> None:
    """It is shown and asked about again."""
    assert standing_of(word) == Standing.UNKNOWN
    assert Standing.UNKNOWN not in OVER


def test_what_still_moves_is_not_over() -> None:
    """A batch that is being cancelled may still bring answers."""
    moving = {Standing.QUEUED, Standing.RUNNING, Standing.READY, Standing.CANCELLING}
    assert set(Standing) - moving - {Standing.UNKNOWN} == OVER
