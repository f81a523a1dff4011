"""The options of `maestrale simulator`, read into a `Config`."""

import argparse
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from models.errors import BadInputError
from simulator.catalogue import USUAL_MODELS
from simulator.fault_plan import FaultRules, FaultWindow, fault_names
from simulator.hosted_rules import rule_names, rules_from
from simulator.limits import MINUTE_S, LimitRules
from simulator.settings import Config

_ABOUT = "Stands in for the Mistral API: same shapes, limits, errors and faults."
_MOST_PORT = 65_535
_COUNT = re.compile(r"(?P<model>.+)=(?P<count>\d+)")
_RATE = re.compile(r"(?P<name>\w+)=(?P<rate>\d*\.?\d+)")
_WINDOW = re.compile(
    r"(?P<name>\w+)@(?P<from_s>\d+(\.\d+)?)-(?P<to_s>\d+(\.\d+)?)(=(?P<rate>\d*\.?\d+))?"
)


def read_options(arguments: Sequence[str]) -> Config:
    """The set-up asked for. Exits with 2 and a message on options that make no sense."""
    parser = option_parser()
    options = parser.parse_args(arguments)
    try:
        return _config(options)
    except BadInputError as problem:
        parser.error(str(problem))


def _config(options: argparse.Namespace) -> Config:
    limits = LimitRules(
        requests=dict(options.limit),
        tokens=dict(options.tokens),
        window_s=options.window,
        count_refused=options.count_refused,
    )
    return Config(
        host=options.host,
        port=options.port,
        models=(*(options.models or USUAL_MODELS), *options.model),
        key=options.key,
        limits=limits,
        limit_headers=not options.no_headers,
        faults=FaultRules(rates=dict(options.fault), windows=tuple(options.fault_window)),
        hosted=rules_from(options.batch),
        latency_median_s=options.latency_median,
        latency_p95_s=options.latency_p95,
        seed=options.seed,
        journal=options.journal,
    )


def option_parser() -> argparse.ArgumentParser:
    """All options, with their help."""
    parser = argparse.ArgumentParser(prog="maestrale simulator", description=_ABOUT)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8099, help="0 takes a free one (default: %(default)s)")
    add("--key", help="the one API key accepted (default: any text will do, but there must be one)")
    add("--model", action="append", default=[], metavar="NAME", help="one more model")
    add("--models", type=_names, metavar="A,B", help="these models instead of the usual ones")
    add("--seed", type=int, default=0, help="of faults and latencies (default: %(default)s)")
    add("--latency-median", type=float, default=0.0, metavar="S", help="seconds; 0: none")
    add("--latency-p95", type=float, default=0.0, metavar="S", help="95th percentile, seconds")
    add("--journal", type=Path, metavar="FILE", help="append a line for each call")
    _add_limits(parser)
    _add_faults(parser)
    _add_hosted(parser)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "limits", "per minute and model; '*' stands for all others"
    ).add_argument
    add(
        "--limit",
        type=_count,
        action="append",
        default=[],
        metavar="MODEL=N",
        help="requests per minute; 0: not on the plan",
    )
    add(
        "--tokens",
        type=_count,
        action="append",
        default=[],
        metavar="MODEL=N",
        help="tokens per minute",
    )
    add(
        "--window",
        type=_positive,
        default=MINUTE_S,
        metavar="S",
        help="enforce the request limit over this sliding window (default: 60; 1: no bursts)",
    )
    add("--count-refused", action="store_true", help="refused requests use up the limit as well")
    add("--no-headers", action="store_true", help="keep the x-ratelimit-* headers back")


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("faults", f"Names: {fault_names()}")
    group.add_argument(
        "--fault",
        type=_rate,
        action="append",
        default=[],
        metavar="NAME=SHARE",
        help="share of the calls, 0..1",
    )
    group.add_argument(
        "--fault-window",
        type=_window,
        action="append",
        default=[],
        metavar="NAME@FROM-TO[=SHARE]",
        help="seconds since the start",
    )


def _add_hosted(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("files, batches, fine-tuning", f"Names: {rule_names()}")
    add = partial(group.add_argument, dest="batch", action="append", default=[])
    add("--batch", type=_setting, metavar="NAME=VALUE", help="as `POST /_batch` takes them")
    add("--batch-rate", type=partial(_named, "rate"), metavar="N", help="lines per second; 0: any")
    add("--batch-queued", type=partial(_named, "queued_s"), metavar="S", help="seconds in QUEUED")


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: write it as rate=100")
    return name, value


def _named(name: str, text: str) -> tuple[str, str]:
    return name, text


def _port(text: str) -> int:
    if not 0 <= int(text) <= _MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: there are 0 to {_MOST_PORT}")
    return int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> tuple[str, int]:
    match = _COUNT.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text}: write it as model=1200 or '*=1200'")
    return match["model"], int(match["count"])


def _rate(text: str) -> tuple[str, float]:
    match = _RATE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text}: write it as server_error=0.01")
    return match["name"], float(match["rate"])


def _positive(text: str) -> float:
    if float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return float(text)


def _window(text: str) -> FaultWindow:
    match = _WINDOW.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text}: write it as name@5-15 or name@5-15=0.5")
    found = match.groupdict(default="1")
    return FaultWindow(
        found["name"], float(found["from_s"]), float(found["to_s"]), float(found["rate"])
    )
