"""Which models the server of the API offers: asked once, before a job of a wrong name is made."""

import json
import urllib.request
from collections.abc import Container, Iterable, Sequence
from concurrent.futures import Future
from difflib import get_close_matches
from fnmatch import fnmatchcase
from http.client import HTTPException
from threading import Thread
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from models import served
from models.errors import BadInputError
from models.requests import SIMULATED
from models.settings import Settings
from models.store import registry
from models.store.engine import Store
from producers.services import Services

PATIENCE_S = 1.5
"""How long a command waits for the list; without it, it goes on."""
PROVIDER: str = Settings.model_fields["base_url"].default
TUNED = "ft:"
NAMED = 8
EMBEDS = "embed"
"""By this in their names models that embed are told from those that chat."""
_LARGEST = 16 << 20
"""Bytes of a list; a longer one is none of models."""


class Client(Protocol):
    """Through whom it is asked: `Maestrale`, which plans with what is told here."""

    @property
    def settings(self) -> Settings:
        """Whose server, and with which key."""

    @property
    def store(self) -> Store:
        """Where models of our own are registered."""


def cards(settings: Settings, timeout_s: float) -> list[Any]:
    """What `GET /v1/models` lists for the key, within `timeout_s` from name to last byte. Costs
    nothing.

    Raises `OSError`, `HTTPException` or `ValueError` where the server does not answer with it.
    """
    told: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            told.set_result(_cards(settings, timeout_s))
        except Exception as error:  # it is raised where it is waited for
            told.set_exception(error)

    # a socket's time-out is for each read, and a server may send a byte a second
    Thread(target=ask, daemon=True).start()
    try:
        return told.result(timeout_s)
    except TimeoutError:
        raise TimeoutError(f"no whole answer within {timeout_s:g} s") from None


def _cards(settings: Settings, timeout_s: float) -> list[Any]:
    request = urllib.request.Request(f"{settings.base_url}/v1/models")  # noqa: S310 # the operator's own URL
    # unredirected: wherever a redirect leads, the key stays here
    key = settings.api_key.get_secret_value()
    if key:  # as the workers do
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 # as above
            told = json.loads(answer.read(_LARGEST))
    except HTTPError as error:
        error.close()  # whoever hears of it may hold it for long
        raise
    if not isinstance(told, dict):
        raise ValueError("what answers is not the API")  # as JSON's own errors
    found = told.get("data", [])
    return found if isinstance(found, list) else []


def check_offered(
    names: Iterable[str], maestrale: Client, *, embedding: Container[str] = ()
) -> list[str]:
    """Warnings of models that the server does not list: it may answer for them all the same.
    Those of `embedding` are asked for vectors, and what is advised for each does its work.

    Raises `BadInputError` where it answers for no others: the provider's own, and the simulator.
    Models of our own and tuned ones of the provider's pass; so does everything where the list
    cannot be had at once: the job then tells.
    """
    settings = maestrale.settings
    asked = [name for name in from_the_api(names, maestrale) if not name.startswith(TUNED)]
    if not asked or not Services(settings).serves_us:
        return []
    found = _listed(settings)
    offered = _names(found)
    lacking = [name for name in asked if not any(_is_called(name, one) for one in offered)]
    if not offered or not lacking:
        return []
    advice = {name: _advice(name, found, embeds=_embeds(name, embedding)) for name in lacking}
    if _lists_all(settings, found):
        raise BadInputError(f"{settings.base_url} has no model {lacking[0]!r}{advice[lacking[0]]}")
    return [
        f"{settings.base_url} does not list a model {name!r}, and may answer for it all the same"
        f"{advice[name]}"
        for name in lacking
    ]


def windows(names: Iterable[str], maestrale: Client) -> dict[str, int]:
    """How many tokens each of these models takes, as far as the server's cards say; asks it once.

    Nothing of models of our own, and nothing where the list cannot be had at once.
    """
    asked = from_the_api(names, maestrale)
    if not asked or not Services(maestrale.settings).serves_us:
        return {}
    found = {
        name: card.get("max_context_length")
        for card in _listed(maestrale.settings)
        for name in _names([card])
    }
    told = {name: found.get(name) for name in asked}
    return {name: most for name, most in told.items() if type(most) is int and most > 0}


def _advice(name: str, found: Iterable[dict[str, Any]], *, embeds: bool) -> str:
    """`: did you mean ...?`, or what there is, of models for the same work; empty: of none."""
    offered = _names([card for card in found if _may(card, embeds=embeds)])
    if close := get_close_matches(name, offered, n=1):
        return f": did you mean {close[0]}?"
    more = f" and {len(offered) - NAMED} more" if len(offered) > NAMED else ""
    return f": it has {', '.join(sorted(offered)[:NAMED])}{more}" if offered else ""


def _embeds(name: str, embedding: Container[str]) -> bool:
    return name in embedding or EMBEDS in name.lower()


def _may(card: dict[str, Any], *, embeds: bool) -> bool:
    """Whether the card's model embeds, or else chats, as far as the card tells of either."""
    told = card.get("capabilities")
    chats = told.get("completion_chat") if isinstance(told, dict) else None
    is_embedding = _embeds(str(card.get("id")), ())
    return is_embedding or chats is None if embeds else not is_embedding and chats is not False


def from_the_api(names: Iterable[str], maestrale: Client) -> list[str]:
    """The models among these that are not our own: neither registered nor served here."""
    here = served.by_model(served.serving(maestrale.settings.home))
    with maestrale.store.read() as connection:
        return [
            name for name in names if name not in here and not registry.by_name(connection, name)
        ]


def _listed(settings: Settings) -> list[dict[str, Any]]:
    """The cards; none where the list cannot be had."""
    key = settings.api_key.get_secret_value()
    if not (key and key.isascii() and key.isprintable()):
        return []
    try:
        return [one for one in cards(settings, PATIENCE_S) if isinstance(one, dict)]
    except (OSError, ValueError, HTTPException):
        return []


def _names(found: Sequence[dict[str, Any]]) -> set[str]:
    """Ids and aliases, as far as they are what they should be: other makers' cards are odd."""
    aliases = (one.get("aliases") for one in found)
    told = [one.get("id") for one in found]
    told += [alias for some in aliases if isinstance(some, list) for alias in some]
    return {name for name in told if isinstance(name, str) and name}


def _lists_all(settings: Settings, found: Sequence[dict[str, Any]]) -> bool:
    """Whether a model that is not listed is surely refused: by the provider's own servers, and by
    the simulator, which says in its cards that it is one."""
    host = urlsplit(settings.base_url).hostname or ""
    provider = (urlsplit(PROVIDER).hostname or "").partition(".")[2]
    return host.endswith(f".{provider}") or all(
        str(one.get("description")).startswith(SIMULATED) for one in found
    )


def _is_called(name: str, offered: str) -> bool:
    """Whether a name is an offered one, in whatever case: with a tag (`model:nitro`) or without
    (`llama3:latest`), or by a pattern (`openai/*`), as servers of other makers list theirs."""
    name, offered = name.casefold(), offered.casefold()
    is_tagged = offered.startswith(f"{name}:") or name.startswith(f"{offered}:")
    return offered == name or is_tagged or fnmatchcase(name, offered)
