"""The options of `maestrale generate`, in the groups that its help shows."""

from typing import Annotated, Literal

import typer

from producers.cli.options import option

_WHAT, _HOW, _TOLERATED, _TWICE = "What is asked", "How it runs", "What is tolerated", "Paid before"


Source = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="JSON lines, CSV or Parquet, also .gz and .zst; - for stdin."
    ),
]
RecipeName = Annotated[
    str,
    option(
        _WHAT, "A shipped recipe, or a folder or TOML file.", "--recipe", "-r", metavar="NAME|FILE"
    ),
]
Model = Annotated[
    str | None,
    option(
        _WHAT,
        "Ask this model in every step.  \\[default: the recipe's]",
        metavar="NAME",
        show_default=False,
    ),
]
Limit = Annotated[int | None, option(_WHAT, "Take only the first N rows.", min=1, metavar="N")]
Variables = Annotated[
    list[str] | None,
    option(_WHAT, "Set a variable of the recipe; repeatable.", "--set", metavar="KEY=VALUE"),
]
DryRun = Annotated[bool, option(_HOW, "Check and estimate; submit and pay nothing.", "--dry-run")]
Watch = Annotated[
    bool,
    option(
        _HOW, "Stay and write the records at the end, or come back at once.", "--watch/--detach"
    ),
]
Via = Annotated[
    Literal["realtime", "batch", "auto"],
    option(
        _HOW,
        "How calls go: at once, by hosted batches at half the price within hours, or by what size "
        "and deadline say.",
    ),
]
By = Annotated[
    str | None,
    option(_HOW, "With --via batch or auto: when it has to be done.", metavar="6h|90m|2d"),
]
OnTimeout = Annotated[
    Literal["resubmit", "realtime"] | None,
    option(
        _HOW,
        "Calls that a batch ended without: into another batch, or at once.  \\[default: resubmit]",
        show_default=False,
    ),
]
Webhook = Annotated[
    list[str] | None,
    option(
        _HOW, "Tell this URL of the job's events (`webhooks` shows how); repeatable.", metavar="URL"
    ),
]
Budget = Annotated[
    str | None,
    option(_HOW, "Pause before more than this is spent.", metavar="5USD|5EUR"),
]
Partial = Annotated[
    bool, option(_HOW, "Start although the estimate is above the budget.", "--partial")
]
Priority = Annotated[
    int,
    option(
        _HOW,
        "Its share while several jobs want the same: 0 gets ten times as much as 9.",
        min=0,
        max=9,
        metavar="N",
    ),
]
IdempotencyKey = Annotated[
    str | None, option(_TWICE, "The same key always names the same job.", metavar="KEY")
]
Again = Annotated[
    bool,
    option(
        _TWICE, "Submit although the same was submitted before; paid answers are reused.", "--again"
    ),
]
Fresh = Annotated[
    bool, option(_TWICE, "Ask anew instead of using answers paid for before.", "--fresh")
]
OnUncertain = Annotated[
    Literal["retry", "hold"],
    option(
        _TWICE, "When a call may have been paid and its answer is lost: ask again, or fail the row."
    ),
]
OnDuplicate = Annotated[
    Literal["stop", "first", "last"],
    option(_TOLERATED, "Ids that occur twice: refuse the file, or keep one row of each."),
]
MaxRejectedShare = Annotated[
    float,
    option(
        _TOLERATED, "More bad rows than this: the file is refused.", min=0, max=1, metavar="SHARE"
    ),
]
MaxFailedShare = Annotated[
    float,
    option(_TOLERATED, "More failed rows than this: the job fails.", min=0, max=1, metavar="SHARE"),
]
