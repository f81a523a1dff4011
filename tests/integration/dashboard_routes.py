"""An OpenAPI description of the dashboard, made of its route table and of what its pages read."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from schemas_tried import body_of, operation, parameter

from dashboard.frame import Action
from dashboard.pages import pages

HOSTILE = ("unknown", "1", "99999999999", "a" * 5000, "..", "%00", "%2e%2e%2f", "{{7*7}}", "\u202e")
"""What stands in paths beside drawn texts and the ids that there are."""
QUERIES: dict[str, tuple[str, ...]] = {
    "state": ("running", "failed"),
    "kind": ("generate",),
    "text": ("%", "_", "'"),
    "sort": ("job", "cost", "pace"),
    "order": ("asc",),
    "page": ("1", "0", "-1", "999999999", "\u0661", "\u00b2"),
    "job": ("job_known",),
    "place": ("1", "2", "0", "999999", "-1"),
    "after": ("1", "999999"),
    "show": ("1",),
    "endpoint": ("1",),
    "failed": ("1",),
}
"""Every name that a page reads from its query string, with values that mean something."""
FORMS: dict[str, tuple[str, ...]] = {
    "budget": ("5 usd", "-1 usd", "1e400 usd", "nan eur"),
    "reviewer": ("Ada", "\u202e", "a" * 5000),
    "choice": ("left", "tie"),
    "place": ("1", "0", "999999", "\u0661"),
    "comment": ("good", "\x00", "a" * 50_000),
}
"""Every name that an action reads from its form."""


def routes() -> list[tuple[str, type]]:
    """Pattern and handler of every route of ours."""
    ours = [(spec.regex.pattern.rstrip("$"), spec.handler_class) for spec in pages()]
    return [*ours, ("/metrics", _metrics())]


def _metrics() -> type:
    from dashboard.metrics import MetricsView  # noqa: PLC0415 # beside its only use

    return MetricsView


def described(ids: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """The description; `ids`: what there is, by the beginning of the paths that hold it."""
    paths = {}
    for pattern, handler in routes():
        known = [one for start, one in ids.items() if pattern.startswith(start)]
        path, parameters = _path(pattern, known)
        paths[path] = {"parameters": parameters, **_operations(handler, path)}
    info = {"title": "The dashboard's own pages", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _path(pattern: str, ids: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    names = iter(("first", "second"))
    parameters = []

    def named(group: re.Match[str]) -> str:
        name, choices = next(names), group[1].split("|")
        known = choices if len(choices) > 1 else (*ids, *HOSTILE)
        parameters.append(parameter(name, "path", *known))
        return f"{{{name}}}"

    return re.sub(r"\((.*?)\)", named, pattern), parameters


def _operations(handler: type, path: str) -> dict[str, Any]:
    if not issubclass(handler, Action):
        queries = [parameter(name, "query", *told) for name, told in QUERIES.items()]
        return {"get": operation(path, parameters=queries)}
    fields = {name: parameter(name, "query", *told)["schema"] for name, told in FORMS.items()}
    good = {name: told[0] for name, told in FORMS.items()}
    form = {"type": "object", "properties": fields, "example": good}
    media = ("application/x-www-form-urlencoded", "multipart/form-data")
    return {"post": operation(path, **body_of(form, *media))}
