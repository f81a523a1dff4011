"""All batch jobs of the account, and what moves them on: slices of work, told the time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from simulator.hosted_rules import Steering
from simulator.hosting.batch_jobs import BatchJob, BatchStatus, Fate
from simulator.hosting.batch_lines import LineExecutor
from simulator.hosting.files import Files, StoredFile
from simulator.inference import Simulation

_REFUSED = "The input could not be processed (the simulator was told so)"


@dataclass(slots=True)
class _Run:
    """A job that is not final: where its lines come from, and what it has written so far."""

    job: BatchJob
    inputs: list[StoredFile]
    outputs: dict[str, StoredFile] = field(default_factory=dict)
    _lines: Iterator[bytes] | None = None

    def next_line(self) -> bytes | None:
        """The next line of its inputs; None if there is none, as when a file was removed."""
        if self._lines is None:
            self._lines = chain.from_iterable(file.lines() for file in self.inputs)
        return next(self._lines, None)


class Batches:
    """Batch jobs by id, in the order of their creation."""

    def __init__(self, simulation: Simulation, files: Files, steering: Steering) -> None:
        self._simulation = simulation
        self._files = files
        self._steering = steering
        self._executor = LineExecutor(simulation)
        self._jobs: dict[str, BatchJob] = {}
        self._runs: dict[str, _Run] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no job will change by itself."""
        return not self._runs

    def create(self, job: BatchJob, inputs: list[StoredFile]) -> BatchJob:
        """Take a job over, with its input: uploaded files, or one of inline requests."""
        self._jobs[job.id] = job
        job.fate = self._fate(job.total)
        self._runs[job.id] = _Run(job, inputs)
        self._simulation.stats.hosted.batch_jobs_created += 1
        note = self._simulation.journal.note
        note("created", kind="batch", id=job.id, metadata=job.metadata or {})
        return job

    def _fate(self, total: int) -> Fate:
        if self._steering.take("fail_jobs"):
            return Fate(refused=True)
        if self._steering.take("timeout_jobs"):
            return Fate(stop_after=int(total * self._steering.rules.timeout_after))
        return Fate()

    def find(self, job_id: str) -> BatchJob | None:
        """The job, unless there is none."""
        return self._jobs.get(job_id)

    def oldest_first(self) -> list[BatchJob]:
        """All jobs."""
        return list(self._jobs.values())

    def remove(self, job: BatchJob) -> None:
        """Forget a job that is final; its files stay."""
        del self._jobs[job.id]

    def tick(self, now: float, slice_s: float) -> bool:
        """Move every job on, for about `slice_s` in all; whether there was more to do."""
        share_s = slice_s / max(len(self._runs), 1)
        unfinished = [self._advance(run, now, share_s) for run in list(self._runs.values())]
        return any(unfinished)

    def _advance(self, run: _Run, now: float, slice_s: float) -> bool:
        job = run.job
        self._settle(run, now)
        if job.status is not BatchStatus.RUNNING:
            return False
        unfinished = self._execute(run, now, slice_s)
        self._settle(run, now)
        return unfinished

    def _settle(self, run: _Run, now: float) -> None:
        """Enter all states that are due."""
        while (status := run.job.next_status(now, self._steering.rules.queued_s)) is not None:
            run.job.move(status, now)
        if run.job.is_final:
            self._finish(run)

    def _finish(self, run: _Run) -> None:
        """Publish what was written; an empty file is none."""
        for which in ("output_file", "error_file"):
            if which in run.outputs:
                setattr(run.job, which, self._files.keep(run.outputs[which]).id)
        if run.job.status is BatchStatus.FAILED:
            run.job.errors[_REFUSED] = 1
        for file in run.inputs:
            if self._files.find(file.id) is None:
                file.handle.close()
        self._runs.pop(run.job.id, None)

    def _execute(self, run: _Run, now: float, slice_s: float) -> bool:
        """Execute the lines that are due until the slice is over; whether some are left."""
        until = time.perf_counter() + slice_s
        for _ in range(run.job.due(now, self._steering.rules.rate)):
            if time.perf_counter() >= until:
                return True
            line = run.next_line()
            if line is None:  # an input was removed: there are no more lines than these
                run.job.total = run.job.done
                return False
            self._execute_line(run, line, now)
        return False

    def _execute_line(self, run: _Run, line: bytes, now: float) -> None:
        rules = self._steering.rules
        written = self._executor.execute(line, run.job, rules)
        which = rules.failures_in if written.failed else "output_file"
        self._output(run, which, now).write(written.text)
        run.job.succeeded += not written.failed
        run.job.failed += written.failed
        self._simulation.stats.hosted.batch_failed += written.failed

    def _output(self, run: _Run, which: str, now: float) -> StoredFile:
        if which not in run.outputs:
            sample_type = "batch_result" if which == "output_file" else "batch_error"
            name = f"{run.job.id}_{sample_type}.jsonl"
            run.outputs[which] = self._files.begin(name, "batch", sample_type, now)
        return run.outputs[which]

    def close(self) -> None:
        """Drop what is running."""
        for run in self._runs.values():
            for file in (*run.inputs, *run.outputs.values()):
                file.handle.close()
