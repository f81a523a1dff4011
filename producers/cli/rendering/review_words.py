"""Reviews as Rich renderables and facts. Pure: data in, renderable out."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.reviews.results import Counted, Result, to_json
from models.reviews.words import (
    agreement_words,
    leaning_words,
    preferred_name,
    share_words,
)
from models.store.reviews import Listed
from models.tables import Review
from producers.cli.rendering import showing
from producers.cli.rendering.showing import indented, pairs
from producers.cli.rendering.words import ago, counted, safe
from producers.reviewing import Imported

MOST_COMMENTS = 20


def review_facts(review: Review, **more: Any) -> dict[str, Any]:
    """What may be told before the result: the seed is left out, for it tells the sides."""
    told = review.model_dump(exclude={"seed"})
    return {**told, **more}


def made(review: Review, telling: int) -> list[RenderableType]:
    """A review that was just made, and how to judge it."""
    rows: list[tuple[str, RenderableType]] = [
        ("review", Text(review.id, style="bold")),
        ("models", f"{safe(review.first)} against {safe(review.second)}"),
        ("asks", safe(review.question)),
        ("pairs", f"{counted(review.pairs_total, 'pair')} {_chosen(review)}"),
    ]
    told: list[RenderableType] = ["", pairs(rows)]
    if telling:
        told.append(
            showing.warning(
                f"in {counted(telling, 'pair')} an answer names one of the models itself: "
                "reviewers may guess by that"
            )
        )
    return [
        *told,
        "",
        showing.hint("Judge it in the dashboard, under Jobs: Reviews. Or in a sheet:"),
        showing.hint("", f"maestrale review export {review.id} --out sheet.csv"),
        showing.hint("Then:", f"maestrale review result {review.id}"),
    ]


def _chosen(review: Review) -> str:
    alike = (
        f", {review.rows_alike:,} with the same answer twice left out" if review.rows_alike else ""
    )
    return f"of {counted(review.rows_both, 'row')} that both answered{alike}"


def listed_facts(one: Listed) -> dict[str, Any]:
    """A line of the list."""
    return review_facts(one.review, judged=dict(one.judged))


def listed(found: Sequence[Listed], now: float) -> RenderableType:
    """The list of reviews. `now`: seconds since the epoch."""
    if not found:
        return showing.hint("There are no reviews yet:", "maestrale review make JOB --models A,B")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("review", "name", "job"):
        table.add_column(name, no_wrap=True)
    table.add_column("pairs", justify="right", no_wrap=True)
    table.add_column("judged", overflow="fold")
    table.add_column("made", style="dim", no_wrap=True)
    for one in found:
        review = one.review
        judged = ", ".join(f"{safe(name, 40)} {count:,}" for name, count in one.judged.items())
        table.add_row(
            review.id,
            safe(review.name, 40),
            review.job_id or "–",
            f"{review.pairs_total:,}",
            judged or "nobody yet",
            ago(now - review.created_at),
        )
    return indented(table)


def exported(review: Review, path: Path) -> list[RenderableType]:
    """Where the sheet is, and how it comes back."""
    return [
        showing.line("written", safe(path, 4000)),
        showing.line("asks", safe(review.question)),
        showing.hint("In the column `choice`: left, right or tie; nothing for not judged."),
        showing.hint("Back in:", f"maestrale review import {review.id} SHEET --reviewer NAME"),
    ]


def imported_facts(review: Review, found: Imported) -> dict[str, Any]:
    """What a sheet brought."""
    return {"review": review.id, **asdict(found)}


def imported(review: Review, found: Imported) -> list[RenderableType]:
    """What a sheet brought, and what is next."""
    told = [f"{counted(found.judged, 'pair')} judged by {safe(found.reviewer)}"]
    if found.changed:
        told.append(f"{found.changed:,} otherwise than before")
    if found.blank:
        told.append(f"{counted(found.blank, 'line')} without a choice")
    return [
        showing.line("taken in", ", ".join(told)),
        showing.hint("See:", f"maestrale review result {review.id}"),
    ]


def result_facts(result: Result, files: Sequence[str], seed: int) -> dict[str, Any]:
    """The whole result, with the seed: it is no secret any more."""
    return {**to_json(result), "seed": seed, "files": list(files)}


def result(found: Result) -> RenderableType:
    """The result as a terminal shows it."""
    parts: list[RenderableType] = [
        Text.assemble("  ", (safe(found.first), "bold"), " against ", (safe(found.second), "bold")),
        Text(f"  {safe(found.question)}", style="dim"),
        Text(),
        Text(f"  {safe(found.verdict, 1000)}", style="bold"),
        Text(),
        indented(_figures(found)),
        *(showing.hint(safe(note, 1000)) for note in (*found.notes, *agreement_words(found))),
    ]
    comments = found.comments
    if comments:
        parts += [Text(), Text("  Comments", style="bold")]
        told = [
            (
                f"pair {one.no}",
                f"{safe(one.reviewer, 60)} ({safe(preferred_name(found, one.preferred))}): "
                f"{safe(one.comment, 1000)}",
            )
            for one in comments[:MOST_COMMENTS]
        ]
        parts.append(pairs(told))
        if len(comments) > MOST_COMMENTS:
            rest = counted(len(comments) - MOST_COMMENTS, "more comment")
            parts.append(showing.hint(f"and {rest}: --json or --out has them"))
    return Group(*parts)


def _figures(found: Result) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("judged by", overflow="fold")
    for name in ("won", "tied", "lost", "won of decided", "left preferred"):
        table.add_column(name, overflow="fold")
    several = len(found.reviewers) > 1
    if several:
        table.add_row("most of them", *_cells(found.counted), "–", style="bold")
    for one in found.reviewers:
        table.add_row(safe(one.reviewer, 60), *_cells(one.counted), leaning_words(one))
    return table


def _cells(told: Counted) -> list[str]:
    shares = (told.won, told.tied, told.lost)
    return [f"{one.count}: {share_words(one)}" for one in shares] + [
        share_words(told.won_of_decided)
    ]
