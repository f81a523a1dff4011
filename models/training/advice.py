"""What a planned training will make little of, in words. Pure."""

from collections.abc import Sequence

from models.training.plan import Planned
from models.words import counted, size

HOSTED_VALIDATION_BYTES, HOSTED_VALIDATION_SHARE = 1_000_000, 0.05
"""Of the file to validate on; of the training file."""
MOST_PASSES = 10
"""A token that is seen more often is learnt by heart."""
FEWEST_VALIDATION_ROWS = 10
"""The mean loss of fewer is chance more than measure."""


def warnings(runs: Sequence[Planned]) -> list[str]:
    """What will make little of the runs, of a sweep in its worst run."""
    said = []
    worst = max((run.plan for run in runs), key=lambda told: told.passes or 0.0)
    if worst.passes is not None and worst.passes > MOST_PASSES:
        less = "take fewer steps, or more rows" if worst.steps > 1 else "take more rows"
        said.append(
            f"it will overfit: each token is seen {worst.passes:,.1f} times, and more than "
            f"{MOST_PASSES} is learning by heart; {less}"
        )
    rows = validated(runs[0])
    if rows < FEWEST_VALIDATION_ROWS:
        told = counted(rows, "row") if rows else "no row"
        said.append(
            f"{told} to validate on says little: have {FEWEST_VALIDATION_ROWS} or more "
            "(--validation FILE, or a larger dataset)"
        )
    return [*said, *filter(None, [runs[0].too_large])]


def validation_too_large(train: int, validation: int) -> str:
    """What the provider's trainer says to so many bytes to validate on, beside `train` of the
    others; empty: it takes them. As published; the local one takes any."""
    most = min(HOSTED_VALIDATION_BYTES, round(train * HOSTED_VALIDATION_SHARE))
    if validation <= most:
        return ""
    told = f"the rows to validate on are {size(validation)}"
    return f"{told}; the hosted trainer takes {size(most)} here"


def validated(run: Planned) -> int:
    """Rows to validate on, as they were counted for the base."""
    found = run.counts.parts.get("validation") if run.counts else None
    return found.rows if found else run.spec.dataset.validation_rows
