"""Racer: bare aiohttp loops, the rows dealt out to processes; nothing around the requests.

On uvloop, as our workers are."""

from functools import partial
from multiprocessing import Pool

import aiohttp
import orjson
import track
import uvloop


async def _ask_all(told: track.Asked, rows: list[track.Call], places: int) -> list[track.Answer]:
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(call: track.Call) -> track.Answer:
            body = {
                "model": track.MODEL,
                "messages": call.messages,
                "temperature": track.TEMPERATURE,
            }
            url = f"{told.url}/v1/chat/completions"
            async with session.post(url, data=orjson.dumps(body)) as answer:
                answer.raise_for_status()
                (choice,) = orjson.loads(await answer.read())["choices"]
            return track.Answer(call.id, choice["message"]["content"], choice["finish_reason"])

        return await track.gather(rows, places, ask)


def _work(told: track.Asked, rows: list[track.Call]) -> list[track.Answer]:
    asking = _ask_all(told, rows, told.in_flight // told.processes)
    return track.run(asking, uvloop.new_event_loop)


def main() -> None:
    """One loop per process."""
    told = track.asked()
    rows = track.calls(told)
    parts = [rows[number :: told.processes] for number in range(told.processes)]
    with Pool(told.processes) as pool:
        pool.map(partial(_work, told), [track.rehearsal() for _ in parts], chunksize=1)
        track.await_start()
        answers = pool.map(partial(_work, told), parts, chunksize=1)
        track.finish(told, (answer for part in answers for answer in part))


if __name__ == "__main__":
    main()
