"""The faults of the list, each as a function that hurts a running system."""

from faults.scenarios import processes

__all__ = ["processes"]
