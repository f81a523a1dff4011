"""Racer: bespokelabs-curator, its `LLM` class with the litellm backend and its cache."""

from contextlib import suppress
from typing import Any

import track
from bespokelabs import curator

AS_GOOD_AS_NONE = 1_000_000_000
"""Unset, its token limit is 100,000 a minute."""


class Translate(curator.LLM):
    """A prompt per row, as its guide has it."""

    def prompt(self, input: dict[str, Any]) -> list[dict[str, str]]:  # its name
        """The row's messages as they are."""
        return list(input["messages"])

    def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
        """Row and answer."""
        return {"id": input["id"], "text": response}


def _pace(told: track.Asked) -> dict[str, int]:
    """With a limit no bound on calls in flight: with both it stops for good once it retries for
    longer than a while (its retry loop takes places that it does not give back)."""
    if told.rate:
        return {"max_requests_per_minute": told.rate * 60, "seconds_to_pause_on_rate_limit": 1}
    return {"max_requests_per_minute": 1_000_000, "max_concurrent_requests": told.in_flight}


def _translator(told: track.Asked) -> Translate:
    return Translate(
        model_name=f"mistral/{track.MODEL}",
        backend="litellm",
        generation_params={"temperature": track.TEMPERATURE},
        backend_params={
            "base_url": f"{told.url}/v1",
            "max_tokens_per_minute": AS_GOOD_AS_NONE,
            "require_all_responses": False,
            **_pace(told),
        },
    )


def _dataset(calls: list[track.Call]) -> list[dict[str, Any]]:
    return [{"id": call.id, "messages": call.messages} for call in calls]


def main() -> None:
    """All rows as one dataset."""
    told = track.asked()
    rows, first = _dataset(track.calls(told)), _dataset(track.rehearsal())
    translate = _translator(told)
    with suppress(Exception):  # it may meet a fault
        translate(first, working_dir=f"{told.home}/cache")
    track.await_start()
    found = translate(rows, working_dir=f"{told.home}/cache").dataset
    track.finish(told, (track.Answer(row["id"], row["text"]) for row in found))


if __name__ == "__main__":
    main()
