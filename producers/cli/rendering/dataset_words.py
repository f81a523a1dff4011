"""Datasets as Rich renderables and as plain facts. Pure: data in, renderable out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.training.counts import Counts
from producers.cli.rendering import showing
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import counted, safe, share, size
from producers.datasets.dataset import Dataset
from producers.datasets.manifest import Manifest, Tokens
from producers.datasets.row_statistics import Bucket, Figures
from producers.datasets.validating import Placed, Report

_BAR = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHOWN_PROBLEMS = 20


def made(dataset: Dataset) -> RenderableType:
    """`make` and `split`: what stands, and what to do next."""
    manifest = dataset.manifest
    lines: list[RenderableType] = [
        Text.assemble(("✓ ", "bold green"), (safe(dataset.name), "bold"), "  ", _rows(manifest)),
        parts(manifest),
        showing.pairs(_about(dataset)),
    ]
    if manifest.split is None:
        step = f"maestrale dataset split {dataset.name}"
        lines.append(showing.hint("Divide it:", step))
    else:
        lines.append(showing.hint("Train on it:", f"maestrale train {dataset.name} --base MODEL"))
    return Group(*lines)


def page(dataset: Dataset, figures: Mapping[str, Figures]) -> RenderableType:
    """`show`: everything about a dataset."""
    whole: list[RenderableType] = [
        Text.assemble("  ", (safe(dataset.name), "bold"), "  ", _rows(dataset.manifest)),
        parts(dataset.manifest),
        showing.pairs(_about(dataset)),
    ]
    for part, found in figures.items():
        whole += [Text(), Text(f"  {part}: characters of a row", style="bold"), bars(found.lengths)]
        if found.answers:
            told = [(safe(name, 40), number) for name, number in found.answers.items()]
            whole += [Text(f"  {part}: answers", style="bold"), counts(told)]
        if found.samples:
            whole += [Text(f"  {part}: samples", style="bold"), samples(found.samples)]
    return Group(*whole)


def _rows(manifest: Manifest) -> Text:
    with_labels = " with labels" if manifest.kind == "labels" else ""
    return Text(counted(manifest.rows, "row") + with_labels)


def parts(manifest: Manifest) -> RenderableType:
    """The parts with their real shares, sizes and tokens."""
    table = bare_table("part")
    for name in ("rows", "share", "size", "tokens", "answers'", "p50", "p95", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    for part, about in manifest.parts.items():
        found = manifest.tokens.parts.get(part) if manifest.tokens else None
        spread = [found.all.total, found.assistant, found.all.p50, found.all.p95] if found else []
        cells = [f"{number:,}" for number in (*spread, *([found.all.longest] if found else []))]
        real = share(about.rows / max(1, manifest.rows))
        table.add_row(part, f"{about.rows:,}", real, size(about.bytes), *(cells or ["-"] * 5))
    return showing.indented(table)


def _about(dataset: Dataset) -> list[tuple[str, RenderableType]]:
    manifest = dataset.manifest
    rows: list[tuple[str, RenderableType]] = [("hash", Text(manifest.hash))]
    if manifest.tokens:
        rows.append(("tokens", Text("by " + safe(manifest.tokens.tokenizer))))
    rows += [("from", _origin(origin)) for origin in manifest.origin]
    if manifest.left_out:
        told = ", ".join(f"{number:,} {safe(code)}" for code, number in manifest.left_out.items())
        rows.append(
            ("left out", Text(f"{told} (in {dataset.folder.name}/rejects.jsonl)", "yellow"))
        )
    if manifest.split:
        rows.append(("split", _split(manifest)))
    rows.append(("folder", Text(safe(dataset.folder, 4000))))
    return rows


def _origin(origin: Any) -> Text:
    name = origin.file or f"{origin.job} ({origin.recipe})"
    text = Text(f"{safe(name, 200)}  {counted(origin.rows, 'row')}")
    if origin.rejected:
        text.append(f", {origin.rejected:,} could not be read", style="yellow")
    mark = origin.sha256 or origin.recipe_hash
    return text.append(f"  {mark[:12]}", style="dim")


def _split(manifest: Manifest) -> str:
    split = manifest.split
    assert split is not None
    if split.by == "field":
        return f"by the rows' own `{safe(split.field, 80)}`"
    shares = ", ".join(f"{name} {part:g}" for name, part in split.shares.items())
    grouped = f" by `{safe(split.group_by, 80)}`" if split.group_by else ""
    told = f"{shares}; seed {split.seed}; {counted(split.groups, 'group')}{grouped}"
    if not split.ungrouped:
        return told
    return f"{told}; {counted(split.ungrouped, 'row')} without it: groups of their own"


def bars(buckets: Sequence[Bucket]) -> RenderableType:
    """A histogram: a bar for each bucket."""
    last = len(f"{buckets[-1].end:,}") if buckets else 0
    told = [(f"{b.start:>{last},} to {b.end - 1:>{last},}", b.rows) for b in buckets]
    return counts(told)


def counts(told: Sequence[tuple[str, int]]) -> RenderableType:
    """Numbers with bars as long as they are large."""
    most = max((number for _, number in told), default=1)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, style=showing.ACCENT)
    table.add_column(justify="right", no_wrap=True)
    for name, number in told:
        table.add_row(Text(name), bar(number / max(1, most)), f"{number:,}")
    return showing.indented(table)


def bar(part: float) -> str:
    """A bar of 30 columns for 1, in steps of an eighth of a column."""
    eighths = round(part * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "") or ("▏" if part else "")


def samples(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows as conversations, each text on one line."""
    told: list[RenderableType] = []
    for row in rows:
        lines: list[tuple[str, RenderableType]] = [("row", Text(safe(row["id"], 80), "dim"))]
        for message in row.get("messages") or ():
            lines.append((safe(message.get("role"), 12), Text(safe(message.get("content"), 300))))
        if "text" in row:
            lines.append(("text", Text(safe(row["text"], 300))))
        if "labels" in row:
            lines.append(("labels", Text(safe(row["labels"], 200))))
        told.append(showing.pairs(lines))
    return Group(*told)


def tokens(found: Tokens) -> RenderableType:
    """`tokens`: per part, and by which tokenizer."""
    table = bare_table("part")
    for name in ("tokens", "assistant's", "p50 a row", "p95", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    for part, about in found.parts.items():
        spread = (about.all.p50, about.all.p95, about.all.longest)
        numbers = (about.all.total, about.assistant, *spread)
        table.add_row(part, *(f"{number:,}" for number in numbers))
    by = showing.pairs([("by", Text(safe(found.tokenizer)))])
    return Group(showing.indented(table), by)


def counts_of(found: Counts) -> RenderableType:
    """`tokens --base`: per part, as a training reads it."""
    table = bare_table("part")
    titles = ("rows", "tokens", "assistant's", "p50 a row", "p95", "longest", "longer", "left out")
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for name, part in found.parts.items():
        read = (part.rows, part.tokens, part.answers)
        numbers = (*read, part.p50, part.p95, part.longest, part.longer, part.left_out)
        table.add_row(name, *(f"{number:,}" for number in numbers))
    by = Text(f"the tokenizer and the template of {safe(found.base)}")
    cut = Text(
        f"rows longer than {found.seq_len:,} tokens (--seq-len); "
        "left out is one whose answer begins behind that"
    )
    return Group(showing.indented(table), showing.pairs([("by", by), ("cut", cut)]))


def report(name: str, found: Report) -> RenderableType:
    """`validate`: each problem with its line, its code and what to do."""
    warnings = [
        showing.warning(
            f"{safe(w.file, 80)}: {w.problem.code}: {safe(w.problem.message)}; "
            f"{safe(w.problem.advice)}"
        )
        for w in found.warnings
    ]
    if found.is_good:
        good = Text.assemble(("✓ ", "bold green"), (safe(name, 200), "bold"))
        good.append(f"  {counted(found.rows, 'row')} checked by {found.validator}: all are good")
        return Group(good, *warnings)
    told = ", ".join(f"{number:,} {safe(code)}" for code, number in found.codes.most_common())
    bad = Text.assemble(("✗ ", "bold red"), (safe(name, 200), "bold"))
    bad.append(f"  {counted(found.rows, 'row')} checked by {found.validator}: {told}")
    more = found.codes.total() - _SHOWN_PROBLEMS
    rest = [showing.hint(f"and {more:,} more: --json lists a thousand")] if more > 0 else []
    return Group(bad, _problems(found.problems[:_SHOWN_PROBLEMS]), *rest, *warnings)


def _problems(found: Sequence[Placed]) -> RenderableType:
    table = bare_table("where")
    table.add_column("code", style="red", no_wrap=True)
    table.add_column("problem", overflow="fold")
    table.add_column("what to do", overflow="fold", style="dim")
    for one in found:
        where = f"{safe(one.file, 60)}:{one.line}" if one.line else safe(one.file, 60)
        table.add_row(
            Text(where), one.problem.code, Text(safe(one.problem.message)), one.problem.advice
        )
    return showing.indented(table)


# -- facts -----------------------------------------------------------------------------------------


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """A dataset as programs read it: the manifest, its folder and the real shares."""
    total = max(1, dataset.manifest.rows)
    shares = {part: about.rows / total for part, about in dataset.manifest.parts.items()}
    facts: dict[str, Any] = dataset.manifest.model_dump()
    return {**facts, "rows": dataset.manifest.rows, "shares": shares, "folder": str(dataset.folder)}


def figures_facts(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Samples and histograms."""
    return {part: asdict(found) for part, found in figures.items()}


def report_facts(found: Report) -> dict[str, Any]:
    """A report of `validate`."""
    return {
        "rows": found.rows,
        "validator": found.validator,
        "is_good": found.is_good,
        "codes": dict(found.codes),
        "problems": [_placed(one) for one in found.problems],
        "warnings": [_placed(one) for one in found.warnings],
    }


def _placed(one: Placed) -> dict[str, Any]:
    return {"file": one.file, "line": one.line, **asdict(one.problem)}
