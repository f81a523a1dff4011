"""A report as evaluations end in: three models on two hundred queries."""

from dataclasses import replace
from typing import Any

from producers.evaluating.report import (
    Chart,
    Comparison,
    Example,
    Figure,
    Report,
    Section,
    Series,
    Table,
)

BASE, TUNED, LARGE = "open-mistral-nemo@guided", "news-smol", "mistral-large-latest@guided"


def a_share(value: float, low: float, high: float, n: int = 200) -> Figure:
    """With Wilson's interval."""
    return Figure(value, "share", low, high, n, "Wilson")


def a_mean(value: float, unit: Any, low: float, high: float, n: int = 200) -> Figure:
    """With an interval by the bootstrap."""
    return Figure(value, unit, low, high, n, "bootstrap over rows (BCa)")


def summary() -> Table:
    """A row per model."""
    columns = ("Model", "Accuracy", "F1", "Recall", "Invalid", "Tokens per query", "Latency")
    rows = [
        (
            BASE,
            a_share(0.87, 0.816, 0.910),
            a_mean(0.2, "share", 0.081, 0.332),
            a_share(0.2, 0.112, 0.330, 50),
            a_share(0.015, 0.005, 0.043),
            a_mean(102.4, "tokens", 101.2, 103.5),
            a_mean(312.0, "ms", 290.0, 341.0),
        ),
        (
            TUNED,
            a_share(0.96, 0.923, 0.980),
            a_mean(0.78, "share", 0.690, 0.861),
            a_share(0.9, 0.786, 0.957, 50),
            Figure(0.0, "share", 0.0, 0.019, 200, "Wilson"),
            a_mean(67.2, "tokens", 66.0, 68.4),
            a_mean(41.0, "ms", 38.5, 44.9),
        ),
        (
            LARGE,
            a_share(0.945, 0.904, 0.969),
            Figure(0.71, "share", n=200, why="no interval: all rows are alike"),
            Figure(None, "share", n=0, why="none of its rows is positive"),
            Figure(0.0, "share", 0.0, 0.019, 200, "Wilson"),
            a_mean(102.4, "tokens", 101.2, 103.5),
            a_mean(12_431.0, "ms", 11_000.0, 14_250.0),
        ),
    ]
    return Table("", columns, rows, "Answers that cannot be used count as wrong.")


def comparisons() -> list[Comparison]:
    """One that is told from chance, one that is not."""
    return [
        Comparison(
            "accuracy",
            BASE,
            LARGE,
            Figure(0.025, "share", -0.012, 0.06, 200, "bootstrap over rows (BCa)"),
            "McNemar's exact test",
            0.18,
            f"{LARGE} and {BASE} cannot be told apart by accuracy on 200 rows; about 900 would.",
            0.18,
            2,
            200,
            900,
        ),
        Comparison(
            "accuracy",
            BASE,
            TUNED,
            Figure(0.09, "share", 0.045, 0.14, 200, "bootstrap over rows (BCa)"),
            "McNemar's exact test",
            0.00021,
            f"{TUNED} is right more often than {BASE}.",
            0.00042,
            2,
            200,
            told=True,
        ),
    ]


def charts() -> list[Chart]:
    """One of each form."""
    models = (BASE, TUNED, LARGE)
    shares = [(0.87, 0.2, 0.2), (0.96, 0.78, 0.9), (0.945, 0.71, None)]
    bars = [
        Series(
            name,
            values,
            [None if one is None else max(0.0, one - 0.06) for one in values],
            [None if one is None else min(1.0, one + 0.04) for one in values],
        )
        for name, values in zip(models, shares, strict=True)
    ]
    labels = ("Accuracy", "F1 of news_related", "Recall of news_related")
    kept = [
        Series("news_related", [45, 4, 1]),
        Series("not_news_related", [4, 146, 0]),
    ]
    losses = [
        Series("training", [3.1, 2.6, 2.3, 2.2], xs=[0, 20, 40, 60]),
        Series(
            "validation",
            [3.2, 2.8, 2.6, 2.55],
            [3, 2.6, 2.4, 2.3],
            [3.4, 3, 2.8, 2.7],
            (0, 20, 40, 60),
        ),
    ]
    waits = [
        Series(name, [at * 3 + no % 60 for no in range(90)]) for at, name in enumerate(models, 15)
    ]
    said = ("news_related", "not_news_related", "invalid")
    return [
        Chart("Shares by model", "bars", labels, bars, "share"),
        Chart(f"What {TUNED} said", "matrix", said, kept, "count", "answered"),
        Chart("Loss", "lines", (), losses, "nats", "step"),
        Chart("Latency per call", "histogram", (), waits, "ms", "latency"),
    ]


def examples() -> list[Example]:
    """Two rows where models differ."""
    long = "The user asks for headlines, so the label is news_related. " * 30
    return [
        Example(
            "hwu:16300",
            "what happened in parliament today\nand who voted for it",
            "news_related",
            [(BASE, "not_news_related", False), (TUNED, "news_related", True), (LARGE, long, True)],
            "the tuned model is right, the base is not",
        ),
        Example(
            "hwu:19118",
            "is it bumper to bumper",
            "",
            [(BASE, "Oui : tout à fait", None), (TUNED, "no", None)],
        ),
    ]


def a_report(**changes: Any) -> Report:
    """A whole one."""
    table = Table(
        "By class",
        ("Class", "Precision", "Recall", "Rows"),
        [
            (
                "news_related",
                a_share(0.91, 0.8, 0.96, 49),
                a_share(0.9, 0.79, 0.96, 50),
                Figure(50, "count"),
            ),
            (
                "not_news_related",
                a_share(0.97, 0.93, 0.99, 151),
                a_share(0.97, 0.93, 0.99, 150),
                Figure(150, "count"),
            ),
        ],
    )
    drawn = charts()
    report = Report(
        title="tak: three models on 200 queries",
        kind="classification",
        job_id="job_4f6a1c2e",
        summary=summary(),
        comparisons=comparisons(),
        sections=[
            Section(
                "Accuracy, precision, recall", "Shares of rows, and of labels.", [table], drawn[:2]
            ),
            Section("Learning and latency", "", (), drawn[2:]),
        ],
        examples=examples(),
        warnings=[
            "3 of 203 rows failed; they count for no model: `maestrale failures job_4f6a1c2e`"
        ],
        facts=[
            ("Suite", "tak, sha256 9f2c61aa03d1"),
            ("Rows", "200 of queries.jsonl"),
            ("Maestrale", "0.1.0"),
        ],
        repeat=f"maestrale evaluate tak --models {BASE},{TUNED},{LARGE} --data queries.jsonl",
        figures={
            BASE: {"accuracy": a_share(0.87, 0.816, 0.910)},
            TUNED: {"accuracy": a_share(0.96, 0.923, 0.98)},
        },
    )
    return replace(report, **changes)
