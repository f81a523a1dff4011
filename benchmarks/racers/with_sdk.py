"""Racer: the official SDK `mistralai` with threads, as the job that Maestrale replaces did it."""

from concurrent.futures import ThreadPoolExecutor

import track
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

THREADS = 64
FIRST_MS, LONGEST_MS, FACTOR, GIVES_UP_MS = 500, 60_000, 1.5, 3_600_000
"""The waits that the SDK has for those who set none of their own."""


def _client(told: track.Asked) -> Mistral:
    """Told of no limit, as it has no such option; retries only in the round with one."""
    waits = BackoffStrategy(FIRST_MS, LONGEST_MS, FACTOR, GIVES_UP_MS)
    retry = {"retry_config": RetryConfig("backoff", waits, True)} if told.rate else {}
    return Mistral(api_key="bench", server_url=told.url, **retry)


def main() -> None:
    """One client, many threads."""
    told = track.asked()
    rows = track.calls(told)
    client = _client(told)

    def ask(call: track.Call) -> track.Answer:
        what = {"messages": call.messages, "temperature": track.TEMPERATURE}
        try:
            choice = client.chat.complete(model=track.MODEL, **what).choices[0]
        except Exception as problem:
            return track.Answer(call.id, error=type(problem).__name__)
        return track.Answer(call.id, choice.message.content, choice.finish_reason)

    with ThreadPoolExecutor(min(THREADS, told.in_flight)) as threads:
        list(threads.map(ask, track.rehearsal()))
        track.await_start()
        track.finish(told, list(threads.map(ask, rows)))


if __name__ == "__main__":
    main()
