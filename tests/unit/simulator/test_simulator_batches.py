"""Batch jobs of the simulator by a clock that is told the time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from faults.history import read
from models.errors import BadInputError
from simulator.command_line import read_options
from simulator.endpoints import CHAT
from simulator.hosted_rules import ALL, HostedRules, Steering, rules_from
from simulator.hosting.batch_jobs import BATCH_FINAL, BATCH_TRANSITIONS, BatchJob, BatchStatus
from simulator.hosting.batches import Batches
from simulator.hosting.files import Files, StoredFile
from simulator.inference import Simulation
from simulator.settings import Config

START = 1_000.0
LONG_S = 60.0
MODEL = "mistral-small-latest"


class Account:
    """Files and batches without a server; `tick` is the only clock."""

    def __init__(self, journal: Path | None = None) -> None:
        self.simulation = Simulation(Config(journal=journal))
        self.files = Files()
        self.steering = Steering(HostedRules())
        self.batches = Batches(self.simulation, self.files, self.steering)

    def upload(self, *lines: bytes) -> StoredFile:
        file = self.files.begin("in.jsonl", "batch", "batch_request", START)
        file.write(b"".join(line + b"\n" for line in lines))
        return self.files.keep(file)

    def create(self, *lines: bytes, **changes: Any) -> BatchJob:
        file = self.upload(*lines)
        job = BatchJob(
            endpoint=CHAT,
            model=MODEL,
            input_files=[file.id],
            metadata=None,
            timeout_hours=24,
            created=START,
            total=file.num_lines,
        )
        for name, value in changes.items():
            setattr(job, name, value)
        return self.batches.create(job, [file])

    def tick(self, after_s: float = 0.0, slice_s: float = LONG_S) -> bool:
        return self.batches.tick(START + after_s, slice_s)

    def written(self, file_id: str | None) -> list[dict[str, Any]]:
        file = self.files.find(file_id) if file_id else None
        return [orjson.loads(line) for line in file.lines()] if file else []

    def counted(self, name: str) -> int:
        return self.simulation.stats.report(START)[name]


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account()
    yield account
    account.batches.close()
    account.files.close()


def lines(count: int) -> list[bytes]:
    return [a_line(f"row {number}") for number in range(count)]


def a_line(custom_id: str, **body: Any) -> bytes:
    messages = [{"role": "user", "content": f"What is {custom_id}?"}]
    return orjson.dumps({"custom_id": custom_id, "body": {"messages": messages, **body}})


def test_every_line_is_executed_once_and_answered(account):
    """A job waits its seconds in the queue, then all lines are answered, each under its id."""
    account.steering.change({"queued_s": 5})
    job = account.create(*lines(3))
    account.tick(4.9)
    assert job.status is BatchStatus.QUEUED
    account.tick(5)
    assert (job.status, job.succeeded, job.error_file) == (BatchStatus.SUCCESS, 3, None)
    written = account.written(job.output_file)
    assert [line["custom_id"] for line in written] == ["row 0", "row 1", "row 2"]
    assert {line["response"]["body"]["model"] for line in written} == {MODEL}
    assert (account.counted("batch_executed"), account.counted("executed")) == (3, 0)


def test_what_runs_twice_is_seen(account):
    """A body executed in two batches is a repeat, and what real time ran too is counted apart."""
    for _ in range(2):
        account.create(a_line("again"))
    account.tick()
    assert (account.counted("batch_executed"), account.counted("batch_unique")) == (2, 1)
    assert (account.counted("batch_repeats"), account.counted("batch_realtime")) == (1, 0)
    body = orjson.dumps({**orjson.loads(a_line("again"))["body"], "model": MODEL})
    call = CHAT.read(body, account.simulation.models)
    account.simulation.stats.executed(call.model, call.digest)
    assert account.counted("batch_realtime") == 1


def test_a_journal_tells_of_the_batch_and_of_each_line_that_ran(tmp_path):
    """The batch by its id and metadata; its lines as calls without a number, under its id."""
    account = Account(tmp_path / "simulator.jsonl")
    job = account.create(*lines(2), b"no line at all", metadata={"maestrale_operation": "op_1"})
    account.tick()
    account.batches.close()
    account.files.close()
    account.simulation.journal.close()
    created, *executed = read(tmp_path)
    assert (created.what, dict(created.facts)) == (
        "created",
        {"kind": "batch", "id": job.id, "metadata": {"maestrale_operation": "op_1"}},
    )
    assert [(line.what, line["n"], line["batch"]) for line in executed] == [
        ("executed", None, job.id)
    ] * 2
    assert len({line["digest"] for line in executed}) == 2
    body = orjson.dumps({**orjson.loads(lines(1)[0])["body"], "model": MODEL})
    realtime = CHAT.read(body, account.simulation.models)
    assert executed[0]["digest"] == f"{realtime.digest:016x}", "the same call by either way"


def test_lines_come_at_the_rate(account):
    """With a rate, so many lines a second are executed and no more."""
    account.steering.change({"rate": 2})
    job = account.create(*lines(5))
    done = []
    for second in (0, 1, 2, 3):
        account.tick(second)
        done.append(job.done)
    assert done == [0, 2, 4, 5]
    assert job.status is BatchStatus.SUCCESS


def test_a_slice_ends_in_time(account):
    """A tick with no time left executes nothing and says that there is more to do."""
    job = account.create(*lines(5))
    assert account.tick(slice_s=0.0)
    assert (job.status, job.done) == (BatchStatus.RUNNING, 0)
    assert not account.tick()
    assert job.is_final


@pytest.mark.parametrize("status", [500, 429, 400])
def test_failures_go_to_the_error_file(account, status):
    """Lines that fail are not executed, and stand in the error file with their status."""
    account.steering.change({f"fail_{status}": 1})
    job = account.create(*lines(2))
    account.tick()
    assert (job.status, job.failed, job.output_file) == (BatchStatus.SUCCESS, 2, None)
    failed = account.written(job.error_file)
    assert [line["response"]["status_code"] for line in failed] == [status, status]
    assert account.counted("batch_executed") == 0


def test_failures_may_stand_in_the_output_file_as_errors(account):
    """The other two observed forms: in the output file, and with an error for a response."""
    account.steering.change({"fail_500": 1, "failures_in": "output_file", "errors_as": "error"})
    job = account.create(*lines(1))
    account.tick()
    (line,) = account.written(job.output_file)
    assert (line["response"], line["error"]["code"], job.error_file) == (None, 500, None)


def test_a_share_of_the_lines_fails(account):
    """About a tenth of the lines fails when it is told to."""
    account.steering.change({"fail_500": 0.1})
    job = account.create(*lines(2_000))
    account.tick()
    assert 140 < job.failed < 260
    assert job.succeeded + job.failed == job.total == 2_000


def test_bad_lines_fail_alone(account):
    """What is no line, and what the route would refuse, fails by itself."""
    job = account.create(b"nonsense", b"{}", a_line("hot", temperature=9), a_line("good"))
    account.tick()
    statuses = [line["response"]["status_code"] for line in account.written(job.error_file)]
    assert (statuses, job.succeeded) == ([400, 400, 422], 1)


def test_a_job_runs_out_of_time_half_way(account):
    """Told so, the next job ends after half its lines, which are kept; the one after does not."""
    account.steering.change({"timeout_jobs": 1, "timeout_after": 0.5})
    late, good = account.create(*lines(4)), account.create(*lines(4))
    account.tick()
    assert (late.status, late.done) == (BatchStatus.TIMEOUT_EXCEEDED, 2)
    assert len(account.written(late.output_file)) == 2
    assert good.status is BatchStatus.SUCCESS


def test_hours_run_out(account):
    """A job that is not done after its hours is out of time."""
    account.steering.change({"queued_s": 7_200})
    job = account.create(*lines(1), timeout_hours=1)
    account.tick(3_599)
    assert job.status is BatchStatus.QUEUED
    account.tick(3_600)
    assert job.status is BatchStatus.TIMEOUT_EXCEEDED


def test_a_job_fails_as_a_whole(account):
    """A refused job says why and executes nothing; `ALL` refuses one after the other."""
    account.steering.change({"fail_jobs": ALL})
    jobs = [account.create(*lines(2)) for _ in range(2)]
    account.tick()
    assert [job.status for job in jobs] == [BatchStatus.FAILED] * 2
    assert jobs[0].card()["errors"][0]["count"] == 1
    assert account.counted("batch_executed") == 0


def test_what_was_executed_before_a_cancel_is_kept(account):
    """A cancelled job keeps the answers it has, and is final only a tick later."""
    account.steering.change({"rate": 1})
    job = account.create(*lines(9))
    account.tick(0)
    account.tick(3)
    job.move(BatchStatus.CANCELLATION_REQUESTED, START + 3)
    assert job.output_file is None
    account.tick(4)
    assert (job.status, len(account.written(job.output_file))) == (BatchStatus.CANCELLED, 3)
    assert account.batches.is_idle


def test_an_input_removed_under_way_ends_the_job(account):
    """A job whose input is deleted ends with the lines it has read."""
    account.steering.change({"rate": 1})
    job = account.create(*lines(3))
    account.files.remove(job.input_files[0])
    account.tick(0)
    account.tick(2)
    account.tick(3)
    assert (job.status, job.total) == (BatchStatus.SUCCESS, 0)


def test_no_way_leads_out_of_a_final_state():
    """The words are those of the API, and four of them are final."""
    assert {str(state) for state in BATCH_FINAL} == {
        "SUCCESS",
        "FAILED",
        "TIMEOUT_EXCEEDED",
        "CANCELLED",
    }
    reached = {after for states in BATCH_TRANSITIONS.values() for after in states}
    assert reached == set(BatchStatus) - {BatchStatus.QUEUED}


def test_rules_are_read_and_refused():
    """The command line sets rules by name; unknown names and nonsense are refused."""
    config = read_options(["--batch", "fail_500=0.25", "--batch-rate", "100", "--batch-queued=2"])
    assert (config.hosted.fail_500, config.hosted.rate, config.hosted.queued_s) == (0.25, 100, 2)
    for written in (("surprise", "1"), ("rate", "fast"), ("errors_as", "html")):
        with pytest.raises(BadInputError, match=written[0]):
            rules_from([written])


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate", "-1"), ("fail_500", "1.5"), ("timeout_after", "-0.5"), ("fail_jobs", "-2"),
     ("queued_s", "-1"), ("unknown_looks", "-1"), ("tuning_checkpoints", "-1")],
)  # fmt: skip
def test_rules_that_no_job_could_follow_are_refused(name: str, value: str):
    """Shares are 0 to 1, seconds and counts not negative: at a rate below 0 a job never ends."""
    with pytest.raises(BadInputError, match=name):
        rules_from([(name, value)])
    assert rules_from([("fail_jobs", "-1")]).fail_jobs == ALL


def test_lines_are_counted_and_read_across_blocks():
    """Lines longer than a block, blank ones, and a last one without its end come out whole."""
    files = Files()
    file = files.keep(files.begin("f", "batch", "batch_request", START))
    for chunk in (b"a" * 300_000, b"b\n\n", b"c\n", b"last"):
        file.write(chunk)
    assert [len(line) for line in file.lines()] == [300_001, 1, 4]
    assert (file.num_lines, file.size) == (4, 300_009)
    files.close()
