"""`settings.md`: every variable of the environment that is read, ours and others'."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from models.prices import ModelPrice, PriceTable
from models.recipes.documents import Shape
from models.settings import Settings
from reference.fields import docstrings
from reference.kinds import PLAIN, kind_of
from reference.markdown import code, table
from reference.parts import Section, sections

_INTRODUCTION = """\
# Settings

Made from `models/settings.py` by `make reference`: change it there.

A setting is a variable of the environment, or a line of a file `.env` where a command is run, or,
in containers, a file of its name in `/run/secrets`. The first of them that has it counts, in this
order; there is no other configuration file. `maestrale doctor` looks at what they lead to, and
`maestrale up` hands its own to the processes that it starts: after a change, `maestrale down`, then
`up`. Relative paths are those of the folder where the command is run. A value that cannot
be used stops commands and processes, in a line with the setting's name, and exit code 2; a
`REDIS_URL` that cannot be read stops workers alone: jobs are taken without a server, too, and wait,
and `maestrale doctor` says what is wrong with it.

"""
PRICES = [
    Section("A price table (`MAESTRALE_PRICES`)", PriceTable),
    Section("`[models.NAME]` of a price table", ModelPrice),
]
OTHERS: Mapping[str, str] = {
    "FLOWER_BASIC_AUTH": "`name:password` for the dashboard, which without it only shows, and "
    "only on loopback",
    "FLOWER_BASIC_AUTH_FILE": "a file that holds it, one pair a line (ours: Flower has no such "
    "option)",
    "FLOWER_ADDRESS": "where Flower listens; `127.0.0.1` unless set",
    "FLOWER_URL_PREFIX": "the path below which a proxy serves Flower",
    "FLOWER_CONF": "Flower's configuration file; unless set the one that brings our pages",
    "FLOWER_MAX_TASKS": "shards that Flower remembers; `20000` unless set",
    "FLOWER_TASKS_COLUMNS": "columns of Flower's own list of tasks",
    "FLOWER_PURGE_OFFLINE_WORKERS": "seconds after which Flower forgets a worker that is gone; "
    "`3600` unless set",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "where workers send traces (with the extra `otel`); unset: "
    "nowhere",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "the same, for traces alone",
    "OTEL_TRACES_EXPORTER": "`otlp`, or `none` for no traces",
    "OTEL_SDK_DISABLED": "`true`: no traces",
    "OTEL_SERVICE_NAME": "what traces call the workers",
    "OTEL_RESOURCE_ATTRIBUTES": "what else traces tell of them",
    "WANDB_MODE": "`offline`: logs of trainings stay in `runs/JOB/wandb` in the home, for "
    "`wandb sync`",
    "HF_HUB_OFFLINE": "`1`: the hub is not asked for a base's tokenizer",
    "HF_ENDPOINT": "another hub",
    "HTTPS_PROXY": "the way to the hub; calls of the API never take a proxy",
    "ALL_PROXY": "the same",
    "CUDA_VISIBLE_DEVICES": "devices of local training, which takes the first; unset: device 0",
    "COLUMNS": "width of what commands print; unset: the terminal's, or 160 into files and pipes",
    "TYPER_USE_RICH": "`0`: help without frames",
    "MAESTRALE_CRASH_AT": "for tests only: a point at which a process dies; never set it elsewhere",
}
"""Variables of libraries, and those that are no settings, with what they do here."""


def page() -> str:
    """Settings, the table of prices that one of them names, and variables of others."""
    meanings = docstrings(Settings)
    rows = [_row(name, field, meanings) for name, field in Settings.model_fields.items()]
    ours = table(("setting", "takes", "default", "what it does"), rows)
    others = table(("variable", "what it does"), ((code(n), told) for n, told in OTHERS.items()))
    prices = sections(PRICES, Shape(PriceTable))
    return f"{_INTRODUCTION}{ours}\n{prices}\n## Variables of others\n\n{others}"


def _row(name: str, field: FieldInfo, meanings: Mapping[str, str]) -> list[str]:
    return [
        code(str(field.validation_alias)),
        _form(field),
        _default(field),
        field.description or meanings.get(name, ""),
    ]


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    told = field.json_schema_extra
    return told if isinstance(told, Mapping) else {}


def _form(field: FieldInfo) -> str:
    form = str(_extra(field).get("form", ""))
    kind = kind_of(field.annotation, field.metadata)
    bounds = kind.removeprefix(PLAIN[float]) if kind.startswith(PLAIN[float]) else ""
    return f"{form}{bounds}" if form else kind


def _default(field: FieldInfo) -> str:
    if unset := str(_extra(field).get("unset", "")):
        return unset
    match field.get_default():
        case bool(value):
            return code(str(value).lower())
        case float(value):
            return code(f"{value:g}")
        case list(values):
            return code(", ".join(map(str, values)))
        case value:
            return code(str(value))
