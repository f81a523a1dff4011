"""Loss and perplexity on held-out text: nats per token over all tokens, and its exponential.

Models that cut the same text into different tokens cannot be compared by token: then they are by
the nats of whole rows, which are of the same text, and the report says so.
"""

import numpy as np

from models.words import counted
from producers.evaluating.figures.findings import Findings, bars, table_of
from producers.evaluating.figures.gathering import Gathered
from producers.evaluating.figures.intervals import of_sums, ratio_of_sums
from producers.evaluating.figures.paired import Metric, compare_ratios
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Figure, Section

COLUMNS = {"loss": "Loss", "perplexity": "Perplexity"}
LOSS = Metric("loss", "nats", higher_is_better=False)
ROWS_LOSS = Metric("nats per row", "nats", higher_is_better=False)
WHY = "no row could be measured"


def find(gathered: Gathered, seed: int) -> Findings:
    """All that losses tell."""
    parts = {label: parts_of(gathered, place) for place, label in enumerate(gathered.labels)}
    findings = Findings(summary=dict(COLUMNS))
    for label, one in parts.items():
        findings.figures[label] = figures_of(one, seed)
    alike = _cut_alike(parts)
    if alike:
        findings.paired = compare_ratios(LOSS, parts, seed)
    else:
        rows = {label: np.column_stack([one[:, 0], one[:, 1] > 0]) for label, one in parts.items()}
        findings.paired = compare_ratios(ROWS_LOSS, rows, seed)
        findings.warnings.append(
            "the models cut the same text into different tokens: losses and perplexities per token "
            "are not comparable between them; comparisons are by nats per row"
        )
    findings.warnings += _failed(gathered)
    columns = {**COLUMNS, "tokens": "Tokens"}
    findings.sections = [
        Section(
            "Loss",
            "Nats per token over all tokens that were predicted; perplexity is its exponential.",
            [table_of("Loss and perplexity", findings.figures, columns)],
            [bars("Loss", findings.figures, {"loss": "Loss"}, "nats")],
        )
    ]
    return findings


def parts_of(gathered: Gathered, place: int) -> Floats:
    """(rows, 2): nats and tokens, 0 where there are none."""
    losses = gathered.losses
    both = [losses.of(name)[:, place, 0] for name in ("nll", "tokens")]
    return np.nan_to_num(np.column_stack(both))


def figures_of(parts: Floats, seed: int) -> dict[str, Figure]:
    """Loss and perplexity of one model; whole rows are drawn."""
    kept = parts[parts[:, 1] > 0]
    return {
        "loss": of_sums(kept, ratio_of_sums, "nats", seed, why=WHY),
        "perplexity": of_sums(kept, perplexity, "number", seed, why=WHY),
        "tokens": Figure(float(kept[:, 1].sum()), "tokens", n=len(kept)),
    }


def perplexity(sums: Floats) -> Floats:
    """exp(nats per token)."""
    return np.asarray(np.exp(ratio_of_sums(sums)))


def _cut_alike(parts: dict[str, Floats]) -> bool:
    """Whether all models count the same tokens wherever they have a row."""
    tokens = np.column_stack([one[:, 1] for one in parts.values()])
    most = tokens.max(axis=1, initial=0)[:, None]
    return bool(((tokens == 0) | (tokens == most)).all())


def _failed(gathered: Gathered) -> list[str]:
    problems = gathered.losses.of("problem")[:, :, 0]
    failed = {label: int((problems[:, at] >= 0).sum()) for at, label in enumerate(gathered.labels)}
    return [
        f"{counted(number, 'row')} could not be measured for {label}, and are not in its loss"
        for label, number in failed.items()
        if number
    ]
