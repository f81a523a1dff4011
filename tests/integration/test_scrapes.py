"""A real worker and a real Flower, scraped: what they say is what was counted elsewhere."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from urllib.error import HTTPError

import pytest
from builders import a_stored_job, eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from running import API_KEY, PAPERS, SLOW_S, Deployment, a_deployment, ask
from sqlalchemy import func, select

from dashboard.opening import PASSWORD_FILE
from models.metrics import DASHBOARD, METRICS, WORKER
from models.nano import NANO
from models.states import JobState
from models.store import pulses
from models.store.engine import Store, open_store
from models.tables import Job
from producers.client import Maestrale
from proving.servers import free_port

Samples = dict[tuple[str, ...], float]
HOSTILE = '<script>"{{7*7}}\n'
UNKNOWN_HERE = {  # told where there is something to tell: a limit, a wait
    "maestrale_worker_limit_tokens_per_second",
    "maestrale_job_budget_usd",
}


class Sink(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.bodies: list[bytes] = []

    def spans(self) -> list:
        """All spans so far."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        groups = [group for request in requests for group in request.resource_spans]
        return [
            (group.resource, span)
            for group in groups
            for scope in group.scope_spans
            for span in scope.spans
        ]


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not here."""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """A collector of traces."""
    server = Sink()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Deployment]:
    """A worker that told of a job, with refusals on the way; and Flower."""
    with a_deployment(tmp_path_factory.mktemp("scrapes")) as running, socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        running.api.steer("limits", requests={"*": 600}, window_s=1)
        running.api.steer("faults", rates={"rate_limited": 0.2})
        with Maestrale(running.settings) as maestrale:
            maestrale.jobs()  # migrates
            running.start(
                "worker",
                MAESTRALE_METRICS=f"127.0.0.1:{first}",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{sink.server_port}",
                OTEL_BSP_SCHEDULE_DELAY="100",
            )
            running.flower = running.start_flower()
            job = maestrale.generate(PAPERS, recipe="amira", limit=12)
            running.job = job.id
            ended = lambda: maestrale.get(job.id).state == JobState.SUCCEEDED  # noqa: E731
            eventually(ended, "the job has succeeded", within_s=SLOW_S)
        running.exporter = port_of(running.log("worker"))
        assert running.exporter > first, "the first port was taken by somebody else"
        yield running


def port_of(log: str) -> int:
    """Where the worker says that it serves metrics."""
    return int(log.split("metrics are served on http://127.0.0.1:")[1].split("/", 1)[0])


@pytest.fixture
def store(deployment: Deployment) -> Iterator[Store]:
    """The deployment's database."""
    opened = open_store(deployment.settings)
    yield opened
    opened.close()


def samples(text: str) -> Samples:
    """By name and labels, as Prometheus would read them."""
    families = text_string_to_metric_families(text)
    told = [sample for family in families for sample in family.samples]
    return {(s.name, *s.labels.values()): s.value for s in told}


def total(found: Samples, name: str, *having: str) -> float:
    """The sum over all labels but those."""
    return sum(v for (n, *labels), v in found.items() if n == name and {*having} <= {*labels})


def names(found: Samples) -> set[str]:
    """Of ours, as they stand in the list."""
    told = {name for name, *_ in found if name.startswith("maestrale_")}
    ends = ("_bucket", "_sum", "_count", "_created")
    return {next((n.removesuffix(e) for e in ends if n.endswith(e)), n) for n in told}


def the_job(deployment: Deployment) -> Job:
    """As it stands."""
    with Maestrale(deployment.settings) as maestrale:
        return maestrale.get(deployment.job)


def test_the_worker_tells_what_the_api_counted(deployment: Deployment) -> None:
    """Calls, refusals and tokens are the simulator's; the cost is the job's."""
    found, api = samples(ask(deployment.exporter, "/metrics")), deployment.api.stats()
    name = "maestrale_worker_"
    assert total(found, f"{name}calls_total", "answered") == api["executed"] > 12
    assert total(found, f"{name}refusals_total") == api["statuses"]["429"] > 0
    assert total(found, f"{name}tokens_total", "prompt") == api["tokens_in"]
    assert total(found, f"{name}tokens_total", "completion") == api["tokens_out"]
    assert total(found, f"{name}cached_tokens_total") == api["tokens_cached"]
    assert total(found, f"{name}call_duration_seconds_count") == api["executed"]
    job = the_job(deployment)
    assert total(found, f"{name}cost_usd_total") == pytest.approx(job.cost_nano / NANO)
    assert total(found, f"{name}limiter_wait_seconds_count") >= api["requests"]
    assert found[f"{name}shards_held",] == found[f"{name}rows_in_flight",] == 0
    assert found[f"{name}may_call",] == 1
    assert names(found) >= {metric.name for metric in WORKER} - UNKNOWN_HERE
    assert names(found) <= {metric.name for metric in WORKER}


def test_the_pulses_have_every_call_once(deployment: Deployment, store: Store) -> None:
    """Within one sign of life after the last call."""
    api = deployment.api.stats()

    def told() -> tuple[int, int, int]:
        names = ("calls", "refusals", "tokens")
        sums = select(*(func.sum(pulses.pulses.c[name]) for name in names))
        with store.read() as connection:
            query = sums.where(pulses.pulses.c.job_id == deployment.job)
            calls, refusals, tokens = connection.execute(query).one()
        return calls, refusals, tokens

    counted = (api["executed"], api["statuses"]["429"], api["tokens_in"] + api["tokens_out"])
    eventually(lambda: told() == counted, "the last sign told of the last call")
    job = the_job(deployment)
    assert (job.calls_made, job.calls_refused) == counted[:2]


def test_the_dashboard_tells_what_the_database_holds(deployment: Deployment, store: Store) -> None:
    """Beside Flower's own metrics; a name in a label cannot break out of it."""
    a_stored_job(store, rows_count=7, state="paused", name=HOSTILE, id="job_hostile")
    eventually(lambda: the_job(deployment).calls_refused, "the last sign told of the refusals")
    text = ask(deployment.flower, "/metrics")
    found, job = samples(text), the_job(deployment)
    assert found["maestrale_up",] == found["maestrale_broker_up",] == 1
    assert found["maestrale_jobs", "succeeded"] == found["maestrale_jobs", "paused"] == 1
    assert found["maestrale_rows", "open"] == 7
    assert found["maestrale_job_rows", "job_hostile", "generate", HOSTILE, "open"] == 7
    assert found["maestrale_workers",] == 1
    assert found["maestrale_queue_messages",] == 0
    assert total(found, "maestrale_spending_usd") == pytest.approx(job.cost_nano / NANO)
    assert total(found, "maestrale_calls") == job.calls_made
    assert total(found, "maestrale_limiter_used_calls_per_second") >= 0
    assert any(name.startswith("flower_") for name, *_ in found)
    assert names(found) >= {metric.name for metric in DASHBOARD} - UNKNOWN_HERE
    assert names(found) <= METRICS.keys()


def test_no_metric_tells_a_secret_or_a_prompt(deployment: Deployment) -> None:
    """Neither exporter; nor the file's name or path."""
    told = ask(deployment.exporter, "/metrics") + ask(deployment.flower, "/metrics")
    prompt = PAPERS.read_text().split('"', 8)[7][:40]
    for secret in (API_KEY, deployment.server.password, prompt, "sample.jsonl", "You are"):
        assert secret not in told


def test_behind_a_password_and_without_a_database(deployment: Deployment) -> None:
    """Unlike Flower's own, our handler asks for the password; and it answers in any trouble."""
    secret = deployment.folder / "flower_password"
    secret.write_text("prometheus:may-look\n")
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    given = {PASSWORD_FILE: str(secret), "DATABASE_URL": nowhere}
    port = deployment.start_flower("guarded", **given)
    for wrong in ("", "prometheus:guessed"):
        with pytest.raises(HTTPError, match="401"):
            ask(port, "/metrics", wrong)
    found = samples(ask(port, "/metrics", "prometheus:may-look"))
    assert {name: v for (name, *_), v in found.items() if name.startswith("maestrale_")} == {
        "maestrale_up": 0,
        "maestrale_broker_up": 1,
        "maestrale_queue_messages": 0,
    }
    deployment.stop("guarded")


def test_a_shards_span_has_its_calls_below_it(deployment: Deployment, sink: Sink) -> None:
    """Over the border of Celery's thread and the loop; every call of the API, with its ids."""
    api = deployment.api.stats()

    def calls() -> list:
        return [(r, s) for r, s in sink.spans() if s.name == "POST" and s.parent_span_id]

    eventually(lambda: len(calls()) >= api["requests"], "all calls were exported")
    shards = {s.span_id: s for _, s in sink.spans() if s.name == "run/maestrale.run_shard"}
    assert shards
    for resource, span in calls():
        assert span.parent_span_id in shards
        assert span.trace_id == shards[span.parent_span_id].trace_id
        told = {a.key: a.value for a in (*span.attributes, *resource.attributes)}
        assert told["maestrale.job"].string_value == deployment.job
        assert told["service.name"].string_value == "maestrale-worker"
    one = {a.key: a.value.string_value for a in next(iter(shards.values())).attributes}
    assert one["maestrale.job"] == deployment.job


def test_no_span_tells_a_header_a_body_or_a_key(deployment: Deployment, sink: Sink) -> None:
    """What left the process, as bytes."""
    told = b"".join(sink.bodies)
    assert b"/v1/chat/completions" in told
    prompt = PAPERS.read_text().split('"', 8)[7][:40]
    for secret in (API_KEY, deployment.server.password, prompt, "Bearer", "header", "amira"):
        assert secret.encode() not in told
