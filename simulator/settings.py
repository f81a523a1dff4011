"""How a simulator is set up: a value to pass to `simulator.serving.serve`."""

from dataclasses import dataclass, field
from pathlib import Path

from simulator.catalogue import USUAL_MODELS
from simulator.fault_plan import FaultRules
from simulator.hosted_rules import HostedRules
from simulator.limits import LimitRules


@dataclass(frozen=True, slots=True)
class Config:
    """Port 0 takes a free one. No `key`: any is accepted. Latency 0: answers come at once."""

    host: str = "127.0.0.1"
    port: int = 0
    models: tuple[str, ...] = USUAL_MODELS
    key: str | None = None
    limits: LimitRules = field(default_factory=LimitRules)
    limit_headers: bool = True
    faults: FaultRules = field(default_factory=FaultRules)
    hosted: HostedRules = field(default_factory=HostedRules)
    latency_median_s: float = 0.0
    latency_p95_s: float = 0.0
    seed: int = 0
    journal: Path | None = None
