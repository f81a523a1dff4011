"""Racer: litellm. `acompletion`; with a limit its Router, told of it by `rpm`."""

from typing import Any

import litellm
import track

RETRIES = 10


def _router(told: track.Asked) -> Any:
    """One deployment, its `rpm` enforced, and more retries than the usual 2."""
    deployment = {
        "model": f"mistral/{track.MODEL}",
        "api_base": f"{told.url}/v1",
        "api_key": "bench",
        "rpm": told.rate * 60,
        "max_parallel_requests": told.in_flight,
    }
    return litellm.Router(
        model_list=[{"model_name": track.MODEL, "litellm_params": deployment}],
        num_retries=RETRIES,
        optional_pre_call_checks=["enforce_model_rate_limits"],
    )


def _answer(call: track.Call, response: Any) -> track.Answer:
    choice = response.choices[0]
    return track.Answer(call.id, choice.message.content, choice.finish_reason or "")


async def _ask_all(told: track.Asked, rows: list[track.Call]) -> list[track.Answer]:
    router = _router(told) if told.rate else None

    async def ask(call: track.Call) -> track.Answer:
        what: dict[str, Any] = {"messages": call.messages, "temperature": track.TEMPERATURE}
        if router:
            return _answer(call, await router.acompletion(model=track.MODEL, **what))
        where = {"api_base": f"{told.url}/v1", "api_key": "bench"}
        response = await litellm.acompletion(model=f"mistral/{track.MODEL}", **where, **what)
        return _answer(call, response)

    return await track.gather(rows, told.in_flight, ask)


def main() -> None:
    """All rows at once, as many in flight as told."""
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    told = track.asked()
    rows = track.calls(told)
    track.run(_ask_all(told, track.rehearsal()))
    track.await_start()
    track.finish(told, track.run(_ask_all(told, rows)))


if __name__ == "__main__":
    main()
