"""Comparisons in words: better, worse, not to be told, and how many rows would tell."""

from collections.abc import Sequence
from dataclasses import replace

from models.words import counted
from producers.evaluating.figures.paired import ALPHA, Metric, Paired, holm
from producers.evaluating.report import Comparison, Figure


def comparisons_of(found: Sequence[Paired]) -> list[Comparison]:
    """All comparisons of a report, corrected for how many they are."""
    adjusted = holm([one.p for one in found])
    family = max(1, sum(p is not None for p in adjusted))
    told = [_comparison(one, p, family) for one, p in zip(found, adjusted, strict=True)]
    pairs = {(one.first, one.second) for one in told}
    return told if len(pairs) < 2 else list(map(_naming_both, told))


def _naming_both(one: Comparison) -> Comparison:
    """With the models in its verdict: among several pairs it would say nothing without them."""
    if one.told:
        return one
    verdict = f"{one.verdict[:1].lower()}{one.verdict[1:]}"
    return replace(one, verdict=f"{one.second} against {one.first}: {verdict}")


def _comparison(one: Paired, adjusted: float | None, family: int) -> Comparison:
    told = adjusted is not None and adjusted < ALPHA and bool(one.difference.value)
    needed = None if told else one.needed(family)
    return Comparison(
        metric=one.metric.name,
        first=one.first,
        second=one.second,
        difference=one.difference,
        test=one.test,
        p=one.p,
        verdict=_verdict(one, adjusted, family, needed),
        adjusted=adjusted,
        family=family,
        rows=one.rows,
        rows_needed=needed,
        told=told,
    )


def _verdict(one: Paired, adjusted: float | None, family: int, needed: int | None) -> str:
    if one.difference.value is None:
        if not one.rows:
            return "Nothing to compare: no row has a value of both models."
        return "Nothing to compare: it cannot be had for both models."
    if not one.differing:
        return f"Alike on {_all(one.rows)}."
    if adjusted is None:
        return f"Too few rows to tell ({one.rows})."
    if adjusted < ALPHA and one.difference.value:
        return _told(one, adjusted, family)
    return " ".join(["Cannot be told from chance", *_not_told(one, adjusted, family, needed)])


def _told(one: Paired, adjusted: float, family: int) -> str:
    size = one.difference.value or 0.0
    better = (size > 0) == one.metric.higher_is_better
    words = f"{one.second} is {'better' if better else 'worse'} than {one.first} by "
    words += f"{amount(one.metric, abs(size))} ({p_value(adjusted)}{_corrected(family)})."
    if _holds(one.difference, 0.0):
        words += " The interval of the difference holds 0 all the same: few rows decide it."
    return words


def _not_told(one: Paired, adjusted: float, family: int, needed: int | None) -> list[str]:
    words = [f"on {counted(one.rows, 'row')} ({p_value(adjusted)}{_corrected(family)})."]
    if one.difference.low is not None and not _holds(one.difference, 0.0):
        words.append("The interval of the difference leaves 0 out: a hint, no proof.")
    if needed is not None and needed > one.rows:
        size = amount(one.metric, abs(one.difference.value or 0.0))
        words.append(
            f"Too few rows to tell: about {rounded(needed)} would be needed for a difference "
            f"of this size ({size})."
        )
    elif needed is not None:
        words.append("It is at the edge: more rows may tell.")
    return words


def amount(metric: Metric, size: float) -> str:
    """`9.0 percentage points`, `0.31 points`, `0.120 nats`."""
    match metric.unit:
        case "share":
            return f"{100 * size:.1f} percentage points"
        case "points":
            return f"{size:.2f} points"
        case "nats":
            return f"{size:.3f} nats"
        case _:
            return f"{size:.3g}"


def p_value(p: float) -> str:
    """`p = 0.032`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def rounded(number: int) -> str:
    """Two digits and zeros: more would be a claim."""
    size = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // size) * size:,}"


def _corrected(family: int) -> str:
    return f", by Holm for {family} comparisons" if family > 1 else ""


def _all(rows: int) -> str:
    return "the one row" if rows == 1 else f"all {counted(rows, 'row')}"


def _holds(figure: Figure, value: float) -> bool:
    return figure.low is not None and figure.high is not None and figure.low <= value <= figure.high
