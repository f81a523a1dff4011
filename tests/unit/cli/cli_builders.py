"""What the tests of the command line share: rendering to plain text, and running commands."""

import io
import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType

from models.payloads import Estimate


def plain(*what: RenderableType, width: int = 100) -> str:
    """What a terminal of `width` columns would show, without colours."""
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    for part in what:
        console.print(part)
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


@dataclass(frozen=True)
class Ended:
    """A command that came to its end."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


def an_estimate(**changes: Any) -> Estimate:
    """187 rows in 748 calls for 12 cents, at a known limit."""
    values: dict[str, Any] = {
        "rows": 187,
        "calls": 748,
        "prompt_tokens": 416_907,
        "completion_tokens": 99_110,
        "cost_usd": 0.122,
        "seconds": 25.0,
    }
    return Estimate(**{**values, **changes})
