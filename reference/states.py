"""`states.md`: the states of everything that has a life, the names of failures and rejects."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from models import states
from producers.readers import RejectCode
from reference.fields import docstrings
from reference.markdown import code, table

_INTRODUCTION = """\
# States and failures

Made from `models/states.py` and `producers/readers/rejects.py` by `make reference`: change it
there. These names are what commands, the dashboard, events and metrics show.

## Why a row failed

`maestrale failures JOB` groups by these names; `maestrale retry JOB` asks the failed rows again.

"""
_REJECTS = """\
## Why a row was rejected

Rows that cannot be used are found while the file is read, before anything is paid. The file
`.rejects.jsonl` beside the records has a line for each, with one of these names as its `code`.

"""
LIVES: Mapping[str, tuple[type[StrEnum], Mapping[Any, frozenset[Any]]]] = {
    "Job": (states.JobState, states.JOB_TRANSITIONS),
    "Row": (states.RowState, states.ROW_TRANSITIONS),
    "Shard": (states.ShardState, states.SHARD_TRANSITIONS),
    "Stage of a pipeline's run": (states.StageState, states.STAGE_TRANSITIONS),
    "Remote operation": (states.RemoteState, states.REMOTE_TRANSITIONS),
    "Call by batch": (states.RequestState, states.REQUEST_TRANSITIONS),
    "Endpoint": (states.EndpointState, states.ENDPOINT_TRANSITIONS),
    "Delivery": (states.DeliveryState, states.DELIVERY_TRANSITIONS),
}
"""What has states: the states, and where each leads."""


def page() -> str:
    """The whole page."""
    failures, rejects = _INTRODUCTION + _names(states.FailureCode), _REJECTS + _names(RejectCode)
    return "\n".join([failures, rejects, *(_life(title) for title in LIVES)])


def _names(kind: type[StrEnum]) -> str:
    meanings = docstrings(kind)
    rows = [[code(one.value), meanings[one.name]] for one in kind]
    return table(("name", "what happened"), rows)


def _life(title: str) -> str:
    kind, moves = LIVES[title]
    meanings = docstrings(kind)
    rows = [[code(one.value), meanings[one.name], _nexts(one, kind, moves)] for one in kind]
    told = " ".join((kind.__doc__ or "").split())
    return f"## {title}\n\n{told}\n\n{table(('state', 'what it means', 'leads to'), rows)}"


def _nexts(one: StrEnum, kind: type[StrEnum], moves: Mapping[Any, frozenset[Any]]) -> str:
    return ", ".join(code(after.value) for after in kind if after in moves[one])
