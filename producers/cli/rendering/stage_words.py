"""Stages of pipelines in words: planned, under way and done. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.nano import NANO
from models.pipelines.schema import StageKind
from models.states import STAGE_GOOD, StageState
from models.store.stages_seen import StageSeen
from models.tables import Job
from producers.cli.rendering import words
from producers.cli.rendering.showing import STATE_STYLES, headline, hint, indented, job_cost, line
from producers.cli.rendering.words import counted, safe
from producers.pipelines.collecting import what_it_made
from producers.pipelines.hand import WARNINGS
from producers.pipelines.planning import StagePlanned

MARKS: Mapping[str, tuple[str, str]] = {
    StageState.WAITING: ("·", "dim"),
    StageState.WORKING: ("›", "cyan"),
    StageState.RUNNING: ("›", "cyan"),
    StageState.DONE: ("✓", "green"),
    StageState.REUSED: ("=", "green"),
    StageState.FAILED: ("✗", "red"),
    StageState.SKIPPED: ("-", "dim"),
    StageState.CANCELLED: ("-", "dim"),
}
WORDS = 200


def planned(found: Sequence[StagePlanned]) -> RenderableType:
    """The stages as a tree, each below the last that it needs, and what each will take."""
    table = _table("stage", "kind", "needs", "will take", "cost", "time")
    depths = _depths([(one.prepared.name, one.prepared.needs) for one in found])
    for one in found:
        told = one.prepared
        table.add_row(_branch(told.name, depths), told.kind, ", ".join(told.needs), *_takes(one))
    return indented(table)


def planned_facts(one: StagePlanned) -> dict[str, Any]:
    """The same as programs read it."""
    told = one.expected
    return {
        "stage": one.prepared.name,
        "kind": str(one.prepared.kind),
        "needs": one.prepared.needs,
        "reused_from": one.reused.run_id if one.reused else None,
        "depends_on": list(one.depends),
        "takes": told.words if told else None,
        "rough": told.is_rough if told else False,
        "why": one.why or None,
        "cost_usd": told.cost_usd if told else None,
        "seconds": told.seconds if told else None,
    }


def total(found: Sequence[StagePlanned]) -> str:
    """What is known of the whole cost, and how well."""
    known = [one.expected for one in found if one.expected]
    cost = sum(one.cost_usd or 0.0 for one in known)
    unknown = sum(one.cost_usd is None for one in known) + sum(bool(one.why) for one in found)
    rough = sum(one.is_rough and bool(one.cost_usd) for one in known)
    said = f"{'at least' if unknown else 'about'} {words.money(round(cost * NANO))}"
    parts = [f"{rough} roughly known"] if rough else []
    parts += [f"{unknown} not known"] if unknown else []
    return f"{said} (of {counted(len(found), 'stage')} {', '.join(parts)})" if parts else said


def not_in_total(found: Sequence[StagePlanned]) -> str:
    """Which trainings the total leaves out, and that they are usually most of it; or nothing."""
    lacking = [
        one.prepared.name
        for one in found
        if one.prepared.kind == StageKind.TRAIN and one.reused is None and _is_unknown(one)
    ]
    if not lacking:
        return ""
    return (
        f"the training ({', '.join(lacking)}) is not in it, and is usually the largest part: the "
        "provider tells what it costs before it begins, and --budget holds it to that"
    )


def _is_unknown(one: StagePlanned) -> bool:
    return one.expected is None or one.expected.cost_usd is None


def total_facts(found: Sequence[StagePlanned]) -> dict[str, Any]:
    """The same as programs read it; `cost_usd` is of what is known."""
    known = [one.expected.cost_usd or 0.0 for one in found if one.expected]
    return {
        "cost_usd": sum(known),
        "cost": total(found),
        "not_in_cost": not_in_total(found) or None,
    }


def _takes(one: StagePlanned) -> tuple[str, str, str]:
    if one.reused is not None:
        return f"nothing: as in {one.reused.run_id}", words.money(0), ""
    if one.expected is None:
        return safe(one.why, WORDS), "unknown", ""
    told = one.expected
    cost = "unknown" if told.cost_usd is None else words.money(round(told.cost_usd * NANO))
    about = "about " if told.is_rough and told.cost_usd else ""
    time = "" if told.seconds is None else words.duration(told.seconds)
    return safe(told.words, 4000), about + cost, time


def run_view(run: Job, seen: Sequence[StageSeen], now: float, note: str = "") -> RenderableType:
    """A run as it stands: a line for each stage, and the whole."""
    table = Table.grid(padding=(0, 2))
    depths = _depths([(one.stage.name, one.needs) for one in seen])
    for one in seen:
        mark, style = MARKS[one.stage.state]
        name = Text(mark + " ", style=style) + _branch(one.stage.name, depths)
        state = Text(one.stage.state, style=style)
        table.add_row(
            name, one.stage.kind, state, _rows(one), *_cost_and_time(one, now), _told(one)
        )
    parts: list[RenderableType] = [table, Text(_whole(run, seen), style="dim")]
    parts += [Text(f"! {one}", style="yellow") for one in warned(seen)]
    if note:
        parts.append(Text(note, style="yellow"))
    return indented(Group(*parts))


def run_line(run: Job, seen: Sequence[StageSeen], note: str = "") -> str:
    """The same in a line, for logs and pipes."""
    at_work = [
        f"{one.stage.name} {_rows(one)}".strip()
        for one in seen
        if one.stage.state in (StageState.WORKING, StageState.RUNNING)
    ]
    tail = f" -- {note}" if note else ""
    doing = f"; at work: {', '.join(at_work)}" if at_work else ""
    return f"{run.id} {run.state}: {_whole(run, seen)}{doing}{tail}"


def warned(seen: Sequence[StageSeen]) -> list[str]:
    """What plans of trainings warned of, from the moment that they are begun."""
    told = ((one.stage.name, word) for one in seen for word in one.output.get(WARNINGS, ()))
    return [safe(f"{name}: {word}", 400) for name, word in told]


def run_page(
    run: Job, seen: Sequence[StageSeen], now: float, report: Path | None = None
) -> RenderableType:
    """`maestrale show` of a run. `report`: where its page is, if it has one."""
    page: list[RenderableType] = [Text("  ") + headline(run), Text(), run_view(run, seen, now)]
    if report is not None:
        page += [Text(), line("report", safe(report, 4000))]
    return Group(*page)


def stage_facts(one: StageSeen) -> dict[str, Any]:
    """A stage as programs read it."""
    return {
        "stage": one.stage.name,
        "kind": one.stage.kind,
        "needs": one.needs,
        "state": one.stage.state,
        "reason": one.stage.reason,
        "hash": one.stage.hash,
        "job": one.stage.job_id,
        "job_state": one.job.state if one.job else None,
        "cost_usd": one.cost_nano / NANO,
        "output": one.output,
    }


def ended(seen: Sequence[StageSeen]) -> list[RenderableType]:
    """What the stages made, where it is a person's next step."""
    found: list[RenderableType] = []
    for one in seen:
        report, review = one.output.get("report"), one.output.get("review")
        if one.stage.state not in STAGE_GOOD:
            continue
        if report:
            found.append(line("report", safe(f"{one.stage.name}: {report}", 4000)))
        if review:
            found += _judging(one.stage.name, safe(review))
    return found


def _judging(stage: str, review: str) -> list[RenderableType]:
    """Where people judge a review's pairs, and how to read what they said."""
    return [
        line("review", f"{stage}: {review}, in the dashboard under Jobs: Reviews"),
        hint("Or judge in a sheet:", f"maestrale review export {review} --out sheet.csv"),
        hint("Then:", f"maestrale review result {review}"),
    ]


def _whole(run: Job, seen: Sequence[StageSeen]) -> str:
    done = sum(one.stage.state in STAGE_GOOD for one in seen)
    parts = [f"{done} of {counted(len(seen), 'stage')}"]
    if run.calls_made or run.calls_from_ledger:
        parts.append(_calls(run))
    of = "" if run.budget_nano is None else f" of {words.money(run.budget_nano)}"
    return ", ".join([*parts, job_cost(run) + of])


def _calls(run: Job) -> str:
    """`649 calls paid, 283 answered by the ledger (paid for before)`."""
    paid = f"{counted(run.calls_made, 'call')} paid"
    if not run.calls_from_ledger:
        return paid
    return f"{paid}, {run.calls_from_ledger:,} answered by the ledger (paid for before)"


def _rows(one: StageSeen) -> str:
    job = one.job
    if job is None or one.stage.state == StageState.REUSED:
        return ""
    failed = f", {job.rows_failed:,} failed" if job.rows_failed else ""
    return f"{job.rows_done + job.rows_failed:,} of {counted(job.rows_total, 'row')}{failed}"


def _cost_and_time(one: StageSeen, now: float) -> tuple[str, str]:
    stage = one.stage
    began = stage.started_at
    took = "" if began is None else words.duration((stage.finished_at or now) - began)
    is_quiet = stage.state in (StageState.WAITING, StageState.SKIPPED, StageState.REUSED)
    cost = words.money(one.cost_nano) if one.is_own or one.cost_nano else ""
    return cost, "" if is_quiet else took


def _told(one: StageSeen) -> Text:
    stage = one.stage
    if stage.state == StageState.DONE:
        return Text(safe(what_it_made(one), WORDS), style="dim")
    if one.job is not None and stage.state == StageState.RUNNING:
        state = f" {one.job.state}" if one.job.state in ("paused", "waiting") else ""
        return Text(f"{one.job.id}{state}", style=STATE_STYLES.get(one.job.state, "dim"))
    return Text(safe(stage.reason, WORDS), style="red" if stage.state == "failed" else "dim")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name == "cost" else "left")
    return table


def _depths(stages: Sequence[tuple[str, Sequence[str]]]) -> dict[str, int]:
    """How far each is from a stage that needs nothing, by the longest way."""
    needs = dict(stages)
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((depth(need) for need in needs.get(name, ())), default=-1)
        return found[name]

    return {name: depth(name) for name in needs}


def _branch(name: str, depths: Mapping[str, int]) -> Text:
    depth = depths[name]
    return Text("  " * (depth - 1) + ("└ " if depth else "") + name)
