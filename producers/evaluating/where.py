"""Where the models of an evaluation answer: kept with it if that is on this machine."""

import ipaddress
from urllib.parse import urlsplit

from models.suites import Evaluation, SuiteKind
from producers import offered
from producers.client import Maestrale
from producers.services import Services

SERVER = "server"
"""Its key among what an evaluation was `asked_as`."""


def told(evaluation: Evaluation, maestrale: Maestrale) -> Evaluation:
    """The evaluation with host and port of the server of the API, where that stands for it here: a
    simulator's answers are no model's, and the report has to say so.

    Models that `maestrale models serve` answers for do not come from there.
    """
    settings = maestrale.settings
    server = on_this_machine(settings.base_url)
    is_asked = evaluation.suite.kind != SuiteKind.PERPLEXITY and server
    if not is_asked or not Services(settings).serves_us:
        return evaluation
    if not offered.from_the_api(evaluation.models, maestrale):
        return evaluation
    return evaluation.model_copy(update={"asked_as": {**evaluation.asked_as, SERVER: server}})


def on_this_machine(url: str) -> str:
    """Host and port of a URL on loopback, without its path or any password; else an empty text."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not _is_loopback(host):
        return ""
    named = f"[{host}]" if ":" in host else host
    return f"{named}:{port}" if port else named


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
