"""What stands in for the Mistral API offline: same shapes, limits, errors and faults.

`python -m simulator` runs it, `simulator.spawn(...)` runs it in a process of its own, and
`simulator.serving.serve(config)` inside a running event loop.
"""

from simulator.process import Spawned, spawn

__all__ = ["Spawned", "spawn"]
