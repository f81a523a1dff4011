"""What this process's calls did: counted by job for the charts, by model for the metrics.

On the hot path: one call of a method per outcome, additions only. Everything belongs to the event
loop; what the exporter tells is read there too.
"""

from bisect import bisect_left
from collections import Counter

from models.payloads import Usage
from models.store.pulses import BINS, LATENCY_EDGES_MS, WIDTH_S, Beat
from worker.gateway.faults import Fault

ANSWERED = "answered"
REFUSED = 429


class OfJob:
    """Of one job, since it was last told of."""

    __slots__ = ("bins", "faults", "refusals", "tokens")

    def __init__(self) -> None:
        self.refusals = self.faults = self.tokens = 0
        self.bins = [0] * len(BINS)

    def add(self, other: "OfJob") -> None:
        """Takes the counts of another stretch in."""
        self.refusals += other.refusals
        self.faults += other.faults
        self.tokens += other.tokens
        self.bins = [mine + more for mine, more in zip(self.bins, other.bins, strict=True)]

    def beat(self, job_id: str, at: int) -> Beat:
        """As the store takes it."""
        bins = tuple(self.bins)
        return Beat(job_id, at, sum(bins), self.refusals, self.faults, self.tokens, bins)


class OfModel:
    """Of one model, since the process began. `outcomes`: `answered`, or the kind of the fault."""

    __slots__ = ("bins", "cost_nano", "latency_ms", "outcomes", "refusals", "unpriced", "usage")

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter({ANSWERED: 0})
        self.refusals = self.unpriced = self.cost_nano = self.latency_ms = 0
        self.usage = [0, 0, 0]
        """Tokens: prompt, completion, cached."""
        self.bins = [0] * len(BINS)


class CallCounts:
    """One per process."""

    def __init__(self) -> None:
        self.models: dict[str, OfModel] = {}
        self._jobs: dict[str, OfJob] = {}
        self._untold: dict[tuple[str, int], OfJob] = {}

    def answered(
        self, job_id: str, model: str, latency_ms: int, usage: Usage, cost_nano: int | None
    ) -> None:
        """A call was answered; `cost_nano` None: its price is not known."""
        by_job = self._jobs.get(job_id) or self._begin_job(job_id)
        by_model = self.models.get(model) or self._begin_model(model)
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        no = bisect_left(LATENCY_EDGES_MS, latency_ms)
        by_job.bins[no] += 1
        by_job.tokens += prompt + completion
        by_model.bins[no] += 1
        by_model.latency_ms += latency_ms
        by_model.outcomes[ANSWERED] += 1
        tokens = by_model.usage
        tokens[0] += prompt
        tokens[1] += completion
        tokens[2] += usage.cached_tokens
        if cost_nano is None:
            by_model.unpriced += 1
        else:
            by_model.cost_nano += cost_nano

    def failed(self, job_id: str, model: str, fault: Fault) -> None:
        """A call was refused (429) or failed otherwise."""
        by_job = self._jobs.get(job_id) or self._begin_job(job_id)
        by_model = self.models.get(model) or self._begin_model(model)
        by_model.outcomes[fault.kind] += 1
        if fault.status == REFUSED:
            by_job.refusals += 1
            by_model.refusals += 1
        else:
            by_job.faults += 1

    def take(self, at: float) -> list[Beat]:
        """All that is not told of yet; what is new happened around `at` (the database's time).

        It is kept, and answered again, until `told`.
        """
        begin = int(at // WIDTH_S) * WIDTH_S
        taken, self._jobs = self._jobs, {}
        for job_id, counts in taken.items():
            self._untold.setdefault((job_id, begin), OfJob()).add(counts)
        return [counts.beat(*key) for key, counts in self._untold.items()]

    def told(self) -> None:
        """What was taken is in the database."""
        self._untold.clear()

    def _begin_job(self, job_id: str) -> OfJob:
        return self._jobs.setdefault(job_id, OfJob())

    def _begin_model(self, model: str) -> OfModel:
        return self.models.setdefault(model, OfModel())
