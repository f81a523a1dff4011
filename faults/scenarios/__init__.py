"""The faults of the list, each as a function that hurts a running system."""

from faults.scenarios import (
    api,
    clocks,
    crash_points,
    messages,
    money,
    processes,
    remote,
    servers,
    stores,
    webhooks,
)

__all__ = [
    "api",
    "clocks",
    "crash_points",
    "messages",
    "money",
    "processes",
    "remote",
    "servers",
    "stores",
    "webhooks",
]
