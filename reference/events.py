"""`events.md` and `events.schema.json`: made from `models/events.py` alone, so that what is
documented is what is sent."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from models.events import EVENT_TYPES, EventData, EventType, message_body, message_id
from reference.markdown import code, table
from worker.webhooks.schedule import DAY, GIVE_UP_S, HOUR, MINUTE, WAITS_S

SCHEMA = "events.schema.json"
_AT = 1_786_617_000.125
_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
_EXAMPLE: Mapping[str, Any] = {
    "seq": 3,
    "job_id": "job_k7m2x9qp",
    "kind": "generate",
    "name": "amira",
    "input_name": "papers.jsonl",
    "state": "running",
    "reason": "",
    "rows_total": 200,
    "rows_done": 120,
    "rows_failed": 1,
    "calls_made": 484,
    "calls_from_ledger": 0,
    "cost_usd": 0.0731,
    "budget_usd": 0.08,
    "model": "news-smollm2",
    "base": "smollm2",
    "trainer": "local",
    "metrics": {"valid_loss_before": 3.127, "valid_loss_after": 0.214, "steps": 60.0},
    "stage": "pairs",
    "stage_kind": "generate",
    "stage_state": "done",
    "stage_job": "job_t3f9w2ka",
    "stage_reason": "",
    "endpoint_id": "ep_x4n8t2wd",
    "origin": "https://hooks.example.com",
}
"""Values of examples, for every field there is; `_AS_IT_STANDS` has what differs by type."""
_DONE: Mapping[str, Any] = {"rows_done": 199, "calls_made": 803, "cost_usd": 0.1214}
_NOTHING: Mapping[str, Any] = {"rows_done": 0, "rows_failed": 0, "calls_made": 0, "cost_usd": 0.0}
_RUN: Mapping[str, Any] = {"kind": "pipeline", "rows_total": 4, "rows_failed": 0}
_AS_IT_STANDS: Mapping[str, Mapping[str, Any]] = {
    "job.queued": {"seq": 1, "state": "queued", **_NOTHING},
    "job.running": {"seq": 2, **_NOTHING},
    "job.waiting": {"seq": 3, "state": "waiting"},
    "model.registered": {
        "seq": 3,
        "kind": "train",
        "name": "news-smollm2",
        "input_name": "news",
        "rows_total": 1,
        "rows_done": 0,
        "rows_failed": 0,
        "calls_made": 0,
        "cost_usd": 0.0,
    },
    "stage.started": {
        **_RUN,
        **_NOTHING,
        "seq": 3,
        "stage_state": "working",
        "stage_job": None,
    },
    "stage.done": {**_RUN, "seq": 4, "rows_done": 1},
    "stage.failed": {
        **_RUN,
        "seq": 4,
        "rows_done": 0,
        "stage_state": "failed",
        "stage_reason": "job_t3f9w2ka failed: 40 of 200 rows failed, and the stage's max_failed "
        "0.05 allows 10",
    },
    "job.paused": {"seq": 4, "state": "paused", "reason": "paused by the user"},
    "job.succeeded": {"seq": 9, "state": "succeeded", **_DONE},
    "job.failed": {
        "seq": 9,
        "state": "failed",
        "reason": "40 of 200 rows failed, and --max-failed-share 0.05 allows 10",
        **_DONE,
        "rows_done": 160,
        "rows_failed": 40,
    },
    "job.cancelled": {"seq": 5, "state": "cancelled", "reason": "cancelled by the user"},
    "endpoint.disabled": {"seq": 2, "reason": "it answered 410 Gone"},
    "webhook.test": {"seq": 1},
}
_INTRODUCTION = """\
# Events

Made from `models/events.py` by `make reference`: change it there.
[`events.schema.json`](events.schema.json) beside this page is the JSON schema of every message; a
test holds it against what is really sent.

An event is written in the database transaction that makes it true, with a number per job
(`seq`: 1, 2, ...). `maestrale events JOB` lists a job's events, `maestrale events --follow`
shows all as they come, and webhooks send them: one POST per event and endpoint, by the rules of
[Standard Webhooks](https://www.standardwebhooks.com).

## A message

```http
POST /your/path
content-type: application/json
webhook-id: {id}
webhook-timestamp: {timestamp}
webhook-signature: {signature}

{body}
```

* The signature is the base64 of the HMAC-SHA256 of `webhook-id.webhook-timestamp.body` (the
  body's bytes as they came). The key is what follows `whsec_` in the secret, decoded from base64;
  above it was `{secret}`. For 24 hours after
  `maestrale webhooks rotate` there are two signatures, separated by a space: accept the message
  if either is right.
* Refuse a timestamp more than five minutes away: a message that somebody listened to must not be
  of use later.
* An event arrives at least once: after a crash or a lost answer it comes again, with the same
  `webhook-id`. Remember the ids that are done.
* Events may arrive out of order: `seq` tells the order of one job's.
* Answer 2xx within 20 seconds and do the work after. Anything else is tried again, after
  {waits}, or as late as `Retry-After` asks, a day at most. An
  answer 410 disables the endpoint, and so do {days} days without a success. What happens while it
  is disabled is not kept for it: `maestrale events JOB` tells.
* `maestrale webhooks deliveries` is the log; `maestrale webhooks replay` sends again, with the
  same `webhook-id`.

[`examples/receiver.py`](../../examples/receiver.py) does all of this, in some sixty lines.
"""


def page() -> str:
    """`events.md`: every type, what it means, what it carries, an example."""
    parts = [_introduction()]
    rows = ([code(name), kind.meaning] for name, kind in EVENT_TYPES.items())
    parts.append(f"## The types\n\n{table(('type', 'when'), rows)}")
    parts += [_section(data) for data in dict.fromkeys(k.data for k in EVENT_TYPES.values())]
    parts += ["## Examples\n", *(_example(name, kind) for name, kind in EVENT_TYPES.items())]
    return "\n".join(parts)


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of every message."""
    parts: dict[str, Any] = {}
    for kind in EVENT_TYPES.values():
        parts.setdefault(kind.data.__name__, _schema_of(kind.data))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A message of Maestrale to an endpoint",
        "oneOf": [_message_schema(name, kind) for name, kind in EVENT_TYPES.items()],
        "$defs": parts,
    }


def schema_text() -> str:
    """`events.schema.json`."""
    return json.dumps(schema(), indent=1) + "\n"


def example(name: str) -> dict[str, Any]:
    """A message of this type, as it could be sent."""
    kind = EVENT_TYPES[name]
    chosen = {field: _EXAMPLE[field] for field in kind.data.model_fields if field in _EXAMPLE}
    data = kind.data(**{**chosen, **_AS_IT_STANDS.get(name, {})}).model_dump()
    return dict(json.loads(message_body(name, _AT, data)))


def _schema_of(data: type[EventData]) -> dict[str, Any]:
    made = data.model_json_schema()
    made["required"] = list(made["properties"])  # what has a default is sent all the same
    for told in made["properties"].values():
        told.pop("title", None)
        told.pop("default", None)
    return {"description": _first_line(data), **{k: v for k, v in made.items() if k != "title"}}


def _message_schema(name: str, kind: EventType) -> dict[str, Any]:
    return {
        "type": "object",
        "description": kind.meaning,
        "properties": {
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"$ref": f"#/$defs/{kind.data.__name__}"},
        },
        "required": ["type", "timestamp", "data"],
        "additionalProperties": False,
    }


def _section(data: type[EventData]) -> str:
    names = ", ".join(f"`{name}`" for name, kind in EVENT_TYPES.items() if kind.data is data)
    rows = [
        [code(name), _kind_of(told), told.get("description", "")]
        for name, told in _schema_of(data)["properties"].items()
    ]
    fields = table(("field", "is", "what it tells"), rows)
    return f"## `data` of {names}\n\n{_first_line(data)}\n\n{fields}"


def _kind_of(told: Mapping[str, Any]) -> str:
    kinds = [one["type"] for one in told.get("anyOf", [told]) if "type" in one]
    return " or ".join(kinds)


def _first_line(data: type[EventData]) -> str:
    return " ".join((data.__doc__ or "").split("\n\n")[0].split())


def _example(name: str, kind: EventType) -> str:
    text = json.dumps(example(name), indent=2)
    return f"### `{name}`\n\n{kind.meaning}.\n\n```json\n{text}\n```\n"


def _introduction() -> str:
    """With a message whose signature is right, for those who write a receiver."""
    told = example("job.succeeded")
    values = {
        "id": message_id(_EXAMPLE["job_id"], told["data"]["seq"]),
        "timestamp": str(int(_AT)),
        "body": json.dumps(told, separators=(",", ":")),
        "secret": _SECRET,
        "waits": _waits(),
        "days": f"{GIVE_UP_S / DAY:g}",
    }
    signed = "{id}.{timestamp}.{body}".format_map(values).encode()
    key = base64.b64decode(_SECRET.removeprefix("whsec_"))
    values["signature"] = f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
    return _INTRODUCTION.format_map(values)


def _waits() -> str:
    """How long the deliverer waits before each attempt after the first."""
    *most, last = map(_in_words, WAITS_S[1:])
    return f"{', '.join(most)} and {last}"


def _in_words(seconds: float) -> str:
    units = ((HOUR, "h"), (MINUTE, "min"), (1.0, "s"))
    size, unit = next(one for one in units if seconds >= one[0])
    return f"{seconds / size:g} {unit}"
