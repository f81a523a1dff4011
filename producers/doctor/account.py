"""The account: its key, its limits, what its models cost, and which jobs wait for money."""

import urllib.error
from collections.abc import Iterator
from http.client import HTTPException

from pydantic import SecretStr

from models.payloads import models_asked
from models.prices import load_prices
from models.settings import Settings
from models.store.views import checkup
from producers import offered
from producers.client import Maestrale
from producers.doctor.findings import Finding, bad, good, note

ANSWER_S = 5.0
NAMED = 3
"""Jobs named one by one; the others are counted."""


def check_key(settings: Settings) -> Iterator[Finding]:
    """Whether the API takes the key."""
    key = settings.api_key.get_secret_value()
    if not key and wants_key(settings):
        advice = "set it (in the environment or in .env), then `maestrale down && maestrale up`"
        yield bad("key", f"MISTRAL_API_KEY is not set, and {settings.base_url} wants one", advice)
        return
    if not (key.isascii() and key.isprintable()):  # the error of a bad header would show it
        yield bad("key", "MISTRAL_API_KEY holds characters that no key has", "copy it once more")
        return
    try:
        models = len(offered.cards(settings, ANSWER_S))
        taken = "takes it" if key else "asks for none"
        yield good("key", f"{settings.base_url} {taken}: {models} models")
    except urllib.error.HTTPError as error:
        advice = "check MISTRAL_API_KEY" if error.code in (401, 403) else "try again in a while"
        yield bad("key", f"{settings.base_url} answers {error.code} to it", advice)
    except (OSError, ValueError, HTTPException) as error:
        found = f"{settings.base_url} cannot be reached ({error})"
        yield bad("key", found, "check MISTRAL_BASE_URL and the network")


def wants_key(settings: Settings) -> bool:
    """Whether the server refuses calls without a key; False if it cannot be asked now."""
    if settings.base_url == offered.PROVIDER:
        return True
    try:
        offered.cards(settings.model_copy(update={"api_key": SecretStr("")}), ANSWER_S)
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)
    except (OSError, ValueError, HTTPException):
        return False
    return False


def check_limits(maestrale: Maestrale) -> Iterator[Finding]:
    """What is known of the account's limits."""
    limits = maestrale.limits()
    if not limits:
        yield note("limits", "not known yet: they are learnt from the first answers")
    for model, limit in sorted(limits.items()):
        rate = limit.requests_per_minute
        if rate == 0:
            advice = "ask for it on the provider's console, or choose another --model"
            yield note("limits", f"{model} is not on the plan", advice)
        elif rate:
            yield good("limits", f"{model}: {rate:,.0f} requests/min")


def check_prices(maestrale: Maestrale) -> Iterator[Finding]:
    """Whether the price table knows the models of jobs that are not finished."""
    table = load_prices(maestrale.settings.prices_file)
    with maestrale.store.read() as connection:
        specs = checkup.open_specs(connection)
    asked = {model for spec in specs for model in models_asked(spec)}
    unknown = sorted(model for model in asked if table.price(model) is None)
    if unknown:
        found = f"{', '.join(unknown)}: not in the table of {table.as_of}"
        yield note(
            "prices", found, "what it costs is unknown, and a budget stops: MAESTRALE_PRICES"
        )
    else:
        yield good("prices", f"table of {table.as_of}")


def check_paused(maestrale: Maestrale) -> Iterator[Finding]:
    """Jobs that wait for somebody: for money, a key, or whoever paused them."""
    with maestrale.store.read() as connection:
        paused = checkup.paused_jobs(connection)
    for job in paused[:NAMED]:
        found = f"{job.id} is paused: {job.state_reason or 'no reason is told'}"
        if job.has_budget and "budget" in job.state_reason:
            advice = f"give it more: `maestrale resume {job.id} --budget SUM`"
        else:
            advice = f"mend that, then `maestrale resume {job.id}`"
        yield note("jobs", found, advice)
    if len(paused) > NAMED:
        yield note("jobs", f"{len(paused) - NAMED} more are paused", "`maestrale jobs` lists them")
