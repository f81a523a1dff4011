"""The faults of the list, each as a function that hurts a running system."""

from faults.scenarios import (
    api,
    clocks,
    commands,
    conducting,
    crash_points,
    messages,
    money,
    processes,
    remote,
    servers,
    stores,
    together,
    webhooks,
)

__all__ = [
    "api",
    "clocks",
    "commands",
    "conducting",
    "crash_points",
    "messages",
    "money",
    "processes",
    "remote",
    "servers",
    "stores",
    "together",
    "webhooks",
]
