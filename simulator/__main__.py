"""`python -m simulator`: listen until told to stop."""

import asyncio
import gc
import resource
import signal
import sys

import uvloop

from models.errors import BadInputError
from simulator.command_line import read_options
from simulator.serving import serve
from simulator.settings import Config


async def listen(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; the first line printed says where."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serve(config) as serving:
        print(f"listening on {serving.url}", flush=True)  # noqa: T201 # read by `spawn`
        await stop.wait()


def allow_many_connections() -> None:
    """Raise the soft limit of open files: 1024, as usual, is fewer than clients may open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def calm_the_collector() -> None:
    """Thousands of calls in flight are live objects, not garbage: look at them less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def main() -> None:
    """Run the simulator with the options of the command line."""
    config = read_options(sys.argv[1:])
    allow_many_connections()
    calm_the_collector()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(listen(config))
    except BadInputError as problem:
        sys.stderr.write(f"simulator: {problem}\n")
        sys.exit(problem.exit_code)


if __name__ == "__main__":
    main()
