"""The options of `maestrale generate`, in the groups that its help shows."""

from typing import Annotated, Any, Literal

import typer

_WHAT, _HOW, _TOLERATED, _TWICE = "What is asked", "How it runs", "What is tolerated", "Paid before"


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="JSON lines, CSV or Parquet, also .gz and .zst; - for stdin."
    ),
]
RecipeName = Annotated[
    str,
    _option(_WHAT, "A shipped recipe, or a TOML file.", "--recipe", "-r", metavar="NAME|FILE"),
]
Model = Annotated[str | None, _option(_WHAT, "Ask this model in every step.", metavar="NAME")]
Limit = Annotated[int | None, _option(_WHAT, "Take only the first N rows.", min=1, metavar="N")]
Variables = Annotated[
    list[str] | None,
    _option(_WHAT, "Set a variable of the recipe; repeatable.", "--set", metavar="KEY=VALUE"),
]
DryRun = Annotated[bool, _option(_HOW, "Check and estimate; submit and pay nothing.", "--dry-run")]
Watch = Annotated[
    bool,
    _option(
        _HOW, "Stay and write the records at the end, or come back at once.", "--watch/--detach"
    ),
]
Via = Annotated[
    Literal["realtime", "batch", "auto"],
    _option(
        _HOW,
        "How calls go: at once, by hosted batches at half the price within hours, or by what size "
        "and deadline say.",
    ),
]
By = Annotated[
    str | None,
    _option(_HOW, "With --via batch or auto: when it has to be done.", metavar="6h|90m|2d"),
]
OnTimeout = Annotated[
    Literal["resubmit", "realtime"] | None,
    _option(
        _HOW,
        "Calls that a batch ended without: into another batch, or at once.  \\[default: resubmit]",
        show_default=False,
    ),
]
Webhook = Annotated[
    list[str] | None,
    _option(
        _HOW, "Tell this URL of the job's events (`webhooks` shows how); repeatable.", metavar="URL"
    ),
]
Budget = Annotated[
    str | None,
    _option(_HOW, "Pause before more than this is spent.", metavar="5USD|5EUR"),
]
Partial = Annotated[
    bool, _option(_HOW, "Start although the estimate is above the budget.", "--partial")
]
Priority = Annotated[int, _option(_HOW, "0 goes first, 9 last.", min=0, max=9, metavar="N")]
IdempotencyKey = Annotated[
    str | None, _option(_TWICE, "The same key always names the same job.", metavar="KEY")
]
Again = Annotated[
    bool,
    _option(
        _TWICE, "Submit although the same was submitted before; paid answers are reused.", "--again"
    ),
]
Fresh = Annotated[
    bool, _option(_TWICE, "Ask anew instead of using answers paid for before.", "--fresh")
]
OnUncertain = Annotated[
    Literal["retry", "hold"],
    _option(
        _TWICE, "When a call may have been paid and its answer is lost: ask again, or fail the row."
    ),
]
OnDuplicate = Annotated[
    Literal["stop", "first", "last"],
    _option(_TOLERATED, "Ids that occur twice: refuse the file, or keep one row of each."),
]
MaxRejectedShare = Annotated[
    float,
    _option(
        _TOLERATED, "More bad rows than this: the file is refused.", min=0, max=1, metavar="SHARE"
    ),
]
MaxFailedShare = Annotated[
    float,
    _option(
        _TOLERATED, "More failed rows than this: the job fails.", min=0, max=1, metavar="SHARE"
    ),
]
