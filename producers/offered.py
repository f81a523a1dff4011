"""Which models the server of the API offers: asked once, before a job of a wrong name is made."""

import json
import urllib.request
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from http.client import HTTPException
from typing import Any

from models import served
from models.errors import BadInputError
from models.settings import Settings
from models.store import registry
from producers.client import Maestrale
from producers.services import Services

PATIENCE_S = 1.5
"""How long a command waits for the list; without it, it goes on."""
TUNED = "ft:"
NAMED = 8
_LARGEST = 16 << 20
"""Bytes of a list; a longer one is none of models."""


def cards(settings: Settings, timeout_s: float) -> list[Any]:
    """What `GET /v1/models` lists for the key. Costs nothing.

    Raises `OSError`, `HTTPException` or `ValueError` where the server does not answer with it.
    """
    request = urllib.request.Request(f"{settings.base_url}/v1/models")  # noqa: S310 # the operator's own URL
    # unredirected: wherever a redirect leads, the key stays here
    key = settings.api_key.get_secret_value()
    if key:  # as the workers do
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 # as above
        told = json.loads(answer.read(_LARGEST))
    if not isinstance(told, dict):
        raise ValueError("what answers is not the API")  # as JSON's own errors
    found = told.get("data", [])
    return found if isinstance(found, list) else []


def check_offered(names: Iterable[str], maestrale: Maestrale) -> None:
    """Raises `BadInputError` for a model that the server does not have.

    Models of our own and tuned ones of the provider's pass; so does everything where the list
    cannot be had at once: the job then tells.
    """
    asked = [name for name in from_the_api(names, maestrale) if not name.startswith(TUNED)]
    if not asked or not Services(maestrale.settings).serves_us:
        return
    offered = _offered(maestrale.settings)
    for name in asked:
        if offered and not any(_is_called(name, one) for one in offered):
            close = get_close_matches(name, offered, n=1)
            some = ", ".join(sorted(offered)[:NAMED])
            advice = f"did you mean {close[0]}?" if close else f"it has {some}"
            more = "" if close or len(offered) <= NAMED else f" and {len(offered) - NAMED} more"
            raise BadInputError(
                f"{maestrale.settings.base_url} has no model {name!r}: {advice}{more}"
            )


def from_the_api(names: Iterable[str], maestrale: Maestrale) -> list[str]:
    """The models among these that are not our own: neither registered nor served here."""
    here = served.by_model(served.serving(maestrale.settings.home))
    with maestrale.store.read() as connection:
        return [
            name for name in names if name not in here and not registry.by_name(connection, name)
        ]


def _offered(settings: Settings) -> set[str]:
    """Names and aliases; none where the list cannot be had."""
    key = settings.api_key.get_secret_value()
    if not (key and key.isascii() and key.isprintable()):
        return set()
    try:
        found = [one for one in cards(settings, PATIENCE_S) if isinstance(one, dict)]
    except (OSError, ValueError, HTTPException):
        return set()
    names = {str(one["id"]) for one in found if one.get("id")}
    return names.union(*(map(str, one.get("aliases") or ()) for one in found))


def _is_called(name: str, offered: str) -> bool:
    """Whether a name is an offered one: with its tag left out (`llama3:latest`), or by a pattern
    (`openai/*`), as servers of other makers list theirs."""
    return offered == name or offered.startswith(f"{name}:") or fnmatchcase(name, offered)
