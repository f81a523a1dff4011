"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from models.bounds import MOST_COUNT

Format = Literal["chat", "jsonl", "csv", "parquet"]


def option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """One that help shows in a panel."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


AsJson = Annotated[
    bool, typer.Option("--json", help="Facts as JSON on stdout; words go to stderr.")
]
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="The job's id, or any beginning of it that is unique.")
]
Newest = Annotated[
    int, typer.Option(min=1, max=MOST_COUNT, metavar="N", help="How many, newest first.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write the records.  \\[default: papers.jsonl by amira: papers.amira.jsonl, "
        "in this folder]",
        show_default=False,
    ),
]
Form = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        help="Format of the records.  \\[default: by FILE's ending, else chat if the recipe makes "
        "conversations, else jsonl]",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
