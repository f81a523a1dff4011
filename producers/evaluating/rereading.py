"""A kept report, JSON, as a `Report` again. Pure.

What another version wrote besides is passed over; what it left out has its default.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from producers.evaluating.report import (
    Cell,
    Chart,
    Comparison,
    Example,
    Figure,
    Report,
    Section,
    Series,
    Table,
)

T = TypeVar("T")


def to_report(told: Mapping[str, Any]) -> Report | None:
    """The report; None: this version cannot read it."""
    try:
        return _report(told)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _report(told: Mapping[str, Any]) -> Report:
    figures = told.get("figures") or {}
    return _made(
        Report,
        told,
        summary=_table(told["summary"]),
        comparisons=[_comparison(one) for one in told.get("comparisons", ())],
        sections=[_section(one) for one in told.get("sections", ())],
        examples=[_example(one) for one in told.get("examples", ())],
        facts=[(str(name), str(value)) for name, value in told.get("facts", ())],
        figures={
            model: {name: _made(Figure, one) for name, one in named.items()}
            for model, named in figures.items()
        },
    )


def _made(kind: type[T], told: Mapping[str, Any], **parts: Any) -> T:
    """The parts, and of what was told the plain fields that the kind has."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type] # dataclasses only
    plain = {name: told[name] for name in known.keys() & told.keys() - parts.keys()}
    needed = {name for name, one in known.items() if one.default is one.default_factory is MISSING}
    if missing := needed - plain.keys() - parts.keys():
        raise KeyError(*missing)
    return kind(**plain, **parts)


def _table(told: Mapping[str, Any]) -> Table:
    return _made(Table, told, rows=[[_cell(cell) for cell in row] for row in told["rows"]])


def _cell(told: Any) -> Cell:
    return _made(Figure, told) if isinstance(told, Mapping) else str(told)


def _comparison(told: Mapping[str, Any]) -> Comparison:
    return _made(Comparison, told, difference=_made(Figure, told["difference"]))


def _section(told: Mapping[str, Any]) -> Section:
    charts = [_chart(one) for one in told.get("charts", ())]
    return _made(Section, told, tables=[_table(one) for one in told["tables"]], charts=charts)


def _chart(told: Mapping[str, Any]) -> Chart:
    return _made(Chart, told, series=[_made(Series, one) for one in told["series"]])


def _example(told: Mapping[str, Any]) -> Example:
    return _made(Example, told, answers=[tuple(one) for one in told.get("answers", ())])
