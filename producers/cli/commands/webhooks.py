"""`maestrale webhooks ...`: endpoints, their secrets, the log of deliveries, replay."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from typing import Annotated

import typer

from models.bounds import MOST_COUNT
from producers.cli import codes
from producers.cli.options import AsJson, Newest

app = typer.Typer(no_args_is_help=True, help="Tell other systems of events, by signed webhooks.")

EndpointId = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT", help="The endpoint's id, or any beginning of it that is unique."
    ),
]
OfJob = Annotated[
    str | None, typer.Option("--job", metavar="JOB", help="Only of this job.", show_default=False)
]
OfEndpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="ENDPOINT", help="Only to this one.", show_default=False),
]
Failed = Annotated[bool, typer.Option("--failed", help="Only those that failed.")]


@app.command()
def add(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="https://..., port 443 or 8443 unless the settings allow more."
        ),
    ],
    events: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B",
            help="Only these, or families such as job.*; repeatable.  \\[default: all]",
            show_default=False,
        ),
    ] = None,
    job: OfJob = None,
    as_json: AsJson = False,
) -> None:
    """Have events sent to a URL. Shows the secret that signs them, once."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        job_id = maestrale.get(job).id if job else None
        endpoint, secret = maestrale.webhooks.add(url, patterns=_split(events), job_id=job_id)
    facts = {**webhook_words.endpoint_facts(endpoint), "secret": secret}
    Voice(as_json=as_json).facts(facts, *webhook_words.added(endpoint, secret))


@app.command("list")
def list_(
    job: OfJob = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_COUNT, metavar="N", help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the endpoints: those of all jobs first, then the newest."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        job_id = maestrale.get(job).id if job else None
        found = maestrale.webhooks.all_(job_id=job_id, limit=limit)
        words = webhook_words.listed(found, maestrale.store.now())
    Voice(as_json=as_json).facts([webhook_words.endpoint_facts(one) for one in found], words)


@app.command()
def test(endpoint_id: EndpointId, as_json: AsJson = False) -> None:
    """Send an event of type webhook.test and tell how it went. Exit code 1 if it failed."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    voice = Voice(as_json=as_json)
    with client() as maestrale:
        endpoint = maestrale.webhooks.get(endpoint_id)
        with voice.busy("waiting for a worker to send it"):
            tested = maestrale.webhooks.test(endpoint.id)
    facts = {
        "endpoint": endpoint.id,
        "delivery": tested.delivery_id,
        "delivered": tested.is_good,
        "status": tested.attempt and tested.attempt["status"],
        "error": tested.attempt and tested.attempt["error"],
        "workers_running": tested.has_workers,
    }
    voice.facts(facts, *webhook_words.tested(endpoint, tested))
    raise typer.Exit(codes.DONE if tested.is_good else codes.NEEDS_ATTENTION)


@app.command()
def rotate(endpoint_id: EndpointId, as_json: AsJson = False) -> None:
    """Make a new secret and show it once; the old one signs beside it for 24 hours."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        endpoint, secret, changed = maestrale.webhooks.rotate(endpoint_id)
    facts = {
        **webhook_words.endpoint_facts(endpoint),
        "secret": secret,
        "endpoints_changed": changed,
    }
    Voice(as_json=as_json).facts(facts, *webhook_words.rotated(endpoint, secret, changed))


@app.command()
def disable(endpoint_id: EndpointId, as_json: AsJson = False) -> None:
    """Send nothing there any more; what is pending is kept for replay."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        endpoint = maestrale.webhooks.disable(endpoint_id)
    Voice(as_json=as_json).facts(
        webhook_words.endpoint_facts(endpoint), webhook_words.about(endpoint)
    )


@app.command()
def enable(endpoint_id: EndpointId, as_json: AsJson = False) -> None:
    """Send there again what happens from now on.

    What was on its way when it was disabled goes out again by `maestrale webhooks replay`.

    What happened since then is not sent: `maestrale events JOB` tells it.
    """
    from producers.cli.opening import client
    from producers.cli.rendering import showing, webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        endpoint = maestrale.webhooks.enable(endpoint_id)
    waiting = f"maestrale webhooks replay --since 14d --failed --endpoint {endpoint.id}"
    Voice(as_json=as_json).facts(
        webhook_words.endpoint_facts(endpoint),
        webhook_words.about(endpoint),
        showing.hint("Send what was on its way when it was disabled:", waiting),
    )


@app.command()
def deliveries(
    failed: Failed = False,
    endpoint: OfEndpoint = None,
    job: OfJob = None,
    limit: Newest = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries: what was sent where, and what the answer was."""
    from producers.cli.opening import client
    from producers.cli.rendering import webhook_words
    from producers.cli.voice import Voice

    with client() as maestrale:
        found = maestrale.webhooks.deliveries(
            endpoint_id=maestrale.webhooks.get(endpoint).id if endpoint else None,
            failed=failed,
            job_id=maestrale.get(job).id if job else None,
            limit=limit,
        )
        words = webhook_words.deliveries(found, maestrale.store.now())
    Voice(as_json=as_json).facts([webhook_words.delivery_facts(one) for one in found], words)


@app.command()
def replay(
    delivery_id: Annotated[
        int | None,
        typer.Argument(
            metavar="ID",
            min=1,
            max=MOST_COUNT,
            help="A delivery (`deliveries` lists them).",
            show_default="",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION|TIME",
            help="All made since then: 2h, 1d12h, 2026-08-13T09:30.",
            show_default=False,
        ),
    ] = None,
    endpoint: OfEndpoint = None,
    failed: Failed = False,
    as_json: AsJson = False,
) -> None:
    """Send deliveries again. A receiver knows them by their id: it is the same."""
    from models.errors import BadInputError
    from producers.cli.moments import parse_moment
    from producers.cli.opening import client
    from producers.cli.rendering import showing
    from producers.cli.rendering.words import counted
    from producers.cli.voice import Voice

    _check_asked(delivery_id, since, narrowed=bool(endpoint) or failed)
    with client() as maestrale:
        began = parse_moment(since, maestrale.store.now()) if since else None
        count = maestrale.webhooks.replay(
            ids=None if delivery_id is None else [delivery_id],
            since=began,
            endpoint_id=maestrale.webhooks.get(endpoint).id if endpoint else None,
            failed_only=failed,
        )
    if delivery_id is not None and not count:
        raise BadInputError(
            f"there is no delivery {delivery_id}, or its endpoint is disabled: see "
            "`maestrale webhooks deliveries`, and `enable` the endpoint first"
        )
    told = f"{counted(count, 'message')} will be sent again, with the same id as before."
    none = "There is nothing to send again. (What is for a disabled endpoint waits for `enable`.)"
    Voice(as_json=as_json).facts({"replayed": count}, showing.hint(told if count else none))


def _check_asked(delivery_id: int | None, since: str | None, *, narrowed: bool) -> None:
    from models.errors import BadInputError

    if (delivery_id is None) == (since is None):
        raise BadInputError("say which: `replay ID`, or `replay --since 2h`")
    if delivery_id is not None and narrowed:
        raise BadInputError("--endpoint and --failed go with --since: an ID says it all")


def _split(events: list[str] | None) -> list[str]:
    """`--events a,b --events c` as a, b, c; each once."""
    parts = (part.strip() for text in events or () for part in text.split(","))
    return list(dict.fromkeys(part for part in parts if part))
