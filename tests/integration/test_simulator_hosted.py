"""Files and batches of the simulator, by the official SDK and by plain HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from builders import eventually
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

import simulator

CHAT = "/v1/chat/completions"
MODEL = "mistral-small-latest"
FINAL = {"SUCCESS", "FAILED", "TIMEOUT_EXCEEDED", "CANCELLED"}
USUAL: dict[str, Any] = {
    "queued_s": 0,
    "rate": 0,
    "break_downloads": 0,
    "drop_creates": 0,
    "unknown_looks": 0,
    "listing_lag_s": 0,
    "ignore_metadata": False,
    "file_limit": 512 * 2**20,
}


@pytest.fixture(scope="module")
def spawned() -> Iterator[simulator.Spawned]:
    with simulator.spawn("--key", "k") as spawned:
        yield spawned


@pytest.fixture
def client(spawned: simulator.Spawned) -> Iterator[Mistral]:
    spawned.steer("reset")
    with Mistral(api_key="k", server_url=spawned.url) as client:
        yield client
    spawned.steer("batch", **USUAL)


@pytest.fixture
def http(spawned: simulator.Spawned) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer k"}
    with httpx.Client(base_url=spawned.url, headers=headers, trust_env=False) as http:
        yield http


def rows(count: int, name: str = "row") -> bytes:
    return b"".join(a_row(f"{name} {number}") for number in range(count))


def a_row(custom_id: str) -> bytes:
    body = {"messages": [{"role": "user", "content": f"What is {custom_id}?"}]}
    return json.dumps({"custom_id": custom_id, "body": body}).encode() + b"\n"


def upload(client: Mistral, content: bytes) -> str:
    given = {"file_name": "rows.jsonl", "content": content}
    return client.files.upload(file=given, purpose="batch").id


def start(client: Mistral, content: bytes, operation: str = "op", **options: Any) -> str:
    return client.batch.jobs.create(
        endpoint=CHAT,
        model=MODEL,
        input_files=[upload(client, content)],
        metadata={"maestrale_operation": operation},
        **options,
    ).id


def finished(client: Mistral, job_id: str) -> Any:
    def look() -> Any:
        job = client.batch.jobs.get(job_id=job_id)
        return job if job.status in FINAL else None

    return eventually(look, "the job is final")


def test_a_batch_from_file_to_answers(client, spawned):
    """Uploaded, started, asked, downloaded: each row has its answer, and none ran twice."""
    job = finished(client, start(client, rows(50, "whole")))
    assert (job.status, job.total_requests, job.succeeded_requests) == ("SUCCESS", 50, 50)
    content = client.files.download(file_id=job.output_file).read()
    answers = {
        line["custom_id"]: line["response"] for line in map(json.loads, content.split(b"\n")[:-1])
    }
    assert len(answers) == 50
    assert answers["whole 7"]["status_code"] == 200
    assert answers["whole 7"]["body"]["choices"][0]["message"]["content"]
    stats = spawned.stats()
    assert (stats["batch_executed"], stats["batch_unique"], stats["executed"]) == (50, 50, 0)
    assert (stats["batch_jobs_created"], stats["files_uploaded"]) == (1, 1)
    assert stats["batch_looks_per_hour"] >= stats["batch_looks"] >= 1


def test_a_job_is_found_by_its_metadata(client, http):
    """The SDK's own way of writing the filter, JSON and brackets all find the one job."""
    job_id = start(client, rows(1), "needle")
    start(client, rows(1), "hay")
    found = client.batch.jobs.list(metadata={"maestrale_operation": "needle"})
    assert ([job.id for job in found.data], found.total) == ([job_id], 1)
    written = ('metadata={"maestrale_operation":"needle"}', "metadata[maestrale_operation]=needle")
    for query in written:
        listed = http.get(f"/v1/batch/jobs?{query}").json()
        assert [job["id"] for job in listed["data"]] == [job_id]


def test_lists_are_narrowed_ordered_and_paged(client):
    """Model, status, time, order and page select as the specification says."""
    first, second = start(client, rows(1), "list"), start(client, rows(1), "list")
    finished(client, second)
    mine = {"metadata": {"maestrale_operation": "list"}}
    jobs = client.batch.jobs
    assert [job.id for job in jobs.list(**mine).data] == [second, first]
    assert [job.id for job in jobs.list(**mine, order_by="created").data] == [first, second]
    assert [job.id for job in jobs.list(**mine, page=1, page_size=1).data] == [first]
    assert jobs.list(**mine, status=["QUEUED", "RUNNING"]).total == 0
    assert jobs.list(**mine, status=["SUCCESS"], model=MODEL).total == 2
    assert jobs.list(**mine, model="mistral-embed").total == 0
    late = datetime.now(UTC) + timedelta(hours=1)
    assert jobs.list(**mine, created_after=late).total == 0
    assert jobs.list(**mine, created_after=late - timedelta(hours=2)).total == 2


def test_lists_lag_and_may_ignore_metadata(client, spawned):
    """A young job is in no list yet; told so, lists heed no metadata."""
    start(client, rows(1), "young")
    mine = {"metadata": {"maestrale_operation": "young"}}
    spawned.steer("batch", listing_lag_s=60)
    assert client.batch.jobs.list(**mine).total == 0
    spawned.steer("batch", listing_lag_s=0, ignore_metadata=True)
    assert client.batch.jobs.list(metadata={"maestrale_operation": "nobody"}).total >= 1


def test_a_cancelled_job_keeps_what_it_has(client, spawned):
    """Cancelled at ten lines a second it ends early, with the answers so far in its file."""
    spawned.steer("batch", rate=20)
    job_id = start(client, rows(1_000, "cancelled"))
    eventually(lambda: client.batch.jobs.get(job_id=job_id).completed_requests, "a line is done")
    assert client.batch.jobs.cancel(job_id=job_id).status == "CANCELLATION_REQUESTED"
    job = finished(client, job_id)
    assert (job.status, 0 < job.succeeded_requests < 1_000) == ("CANCELLED", True)
    content = client.files.download(file_id=job.output_file).read()
    assert content.count(b"\n") == job.succeeded_requests
    with pytest.raises(SDKError, match="already finished"):
        client.batch.jobs.cancel(job_id=job_id)


def test_a_dropped_answer_leaves_one_job(client, spawned, http):
    """The job is there though its creator saw only a broken connection."""
    body = {"endpoint": CHAT, "model": MODEL, "input_files": [upload(client, rows(2, "dropped"))]}
    spawned.steer("batch", drop_creates=1)
    with pytest.raises(httpx.TransportError):
        http.post("/v1/batch/jobs", json={**body, "metadata": {"maestrale_operation": "lost"}})
    (job,) = client.batch.jobs.list(metadata={"maestrale_operation": "lost"}).data
    assert finished(client, job.id).succeeded_requests == 2


def test_an_unknown_word_is_shown_for_a_while(client, spawned):
    """The first two looks show a status that nobody knows, the third the truth."""
    spawned.steer("batch", unknown_looks=2)
    job_id = start(client, rows(1))
    shown = [client.batch.jobs.get(job_id=job_id).status for _ in range(3)]
    assert shown[:2] == ["PAUSED_BY_PROVIDER"] * 2
    assert shown[2] != "PAUSED_BY_PROVIDER"


def test_a_download_breaks_off_once(client, spawned, http):
    """One download ends in the middle, the next is whole."""
    output = finished(client, start(client, rows(9))).output_file
    spawned.steer("batch", break_downloads=1)
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(f"/v1/files/{output}/content")
    assert http.get(f"/v1/files/{output}/content").content.count(b"\n") == 9


def test_inline_requests_are_answered_inline(client):
    """A job of inline requests gives its outputs with the job, when asked."""
    requests = [{"custom_id": "one", "body": json.loads(a_row("inline"))["body"]}]
    job = client.batch.jobs.create(endpoint=CHAT, model=MODEL, requests=requests)
    finished(client, job.id)
    (answer,) = client.batch.jobs.get(job_id=job.id, inline=True).outputs
    assert (answer["custom_id"], answer["response"]["status_code"]) == ("one", 200)


def test_embeddings_go_by_batch_too(client):
    """The other endpoint: each line has its vectors."""
    line = json.dumps({"custom_id": "e", "body": {"input": ["a text"]}}).encode()
    job = client.batch.jobs.create(
        endpoint="/v1/embeddings", model="mistral-embed", input_files=[upload(client, line)]
    )
    output = finished(client, job.id).output_file
    answer = json.loads(client.files.download(file_id=output).read())
    assert len(answer["response"]["body"]["data"][0]["embedding"]) == 1024


def test_files_are_listed_linked_and_deleted(client, http):
    """A file is found by name and purpose, has a link, and is gone after its deletion."""
    file_id = upload(client, rows(3, "found"))
    assert client.files.list(search="rows", purpose="batch", page_size=1).data[0].id == file_id
    assert client.files.list(purpose="fine-tune").total == 0
    assert client.files.list(sample_type=["batch_result"], source=["upload"]).total == 0
    assert client.files.retrieve(file_id=file_id).num_lines == 3
    link = client.files.get_signed_url(file_id=file_id).url
    assert http.get(link).content == rows(3, "found")
    assert client.files.delete(file_id=file_id).deleted
    for path in ("", "/content", "/url"):
        answer = http.get(f"/v1/files/{file_id}{path}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "File not found"})


def test_a_file_may_be_too_large(client, spawned, http):
    """A file above the limit is refused with 413, before or after its purpose is told."""
    spawned.steer("batch", file_limit=1_000_000)
    content = b"x" * 2_000_000
    answer = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("big", content)})
    assert (answer.status_code, "detail" in answer.json()) == (413, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/batch/jobs/nobody", 404),
        ("DELETE", "/v1/batch/jobs/nobody", 404),
        ("POST", "/v1/batch/jobs/nobody/cancel", 404),
        ("POST", "/v1/batch/jobs", 422),
        ("POST", "/v1/files", 422),
        ("GET", "/v1/batch/jobs?page=-1", 422),
        ("GET", "/v1/batch/jobs?created_after=yesterday", 422),
        ("GET", "/v1/files?page_size=many", 422),
    ],
)
def test_refusals_are_details(http, method, path, status):
    """What is not there or not understood is answered in FastAPI's shape."""
    answer = http.request(method, path)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])


@pytest.mark.parametrize("route", ["batch", "fine_tuning"])
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b'{"model": NaN}', b'{"model": 1e999}', b'{"model": 9, "x": 1}'],
    ids=repr,
)
def test_a_body_that_makes_no_sense_is_named(http, route, body):
    """422 with places in the body, whatever its bytes: never the server's own error."""
    answer = http.post(f"/v1/{route}/jobs", content=body)
    assert answer.status_code == 422
    assert {detail["loc"][0] for detail in answer.json()["detail"]} == {"body"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"no part"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--x--\r\n',
        ),
    ],
)
def test_an_upload_that_is_none_is_refused(http, content_type, body):
    """As any other request that is not understood."""
    answer = http.post("/v1/files", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])


def test_a_file_has_a_purpose_of_the_specification(http):
    """fine-tune, batch or ocr."""
    file = {"file": ("rows.jsonl", b"{}")}
    answer = http.post("/v1/files", data={"purpose": "fun"}, files=file)
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])
    assert http.post("/v1/files", data={"purpose": "ocr"}, files=file).json()["purpose"] == "ocr"


def test_a_yes_or_no_is_read_as_it_may_be_written(http):
    """As FastAPI does; what is neither is refused."""
    assert http.get("/v1/files?include_total=False").json()["total"] is None
    assert http.get("/v1/files?include_total=1").json()["total"] is not None
    assert http.get("/v1/files?include_total=perhaps").status_code == 422


def test_a_young_tuning_is_in_no_list(http, spawned, client):
    """However the list is narrowed: the lag holds."""
    file = client.files.upload(file={"file_name": "t.jsonl", "content": b"{}"}, purpose="fine-tune")
    asked = {"model": "open-mistral-7b", "hyperparameters": {}, "suffix": "young"}
    http.post("/v1/fine_tuning/jobs", json={**asked, "training_files": [{"file_id": file.id}]})
    listed = "/v1/fine_tuning/jobs?suffix=young&created_before=2999-01-01T00:00:00Z"
    assert http.get(listed).json()["total"] == 1
    spawned.steer("batch", listing_lag_s=60)
    assert http.get(listed).json()["total"] == 0


def test_an_unknown_key_is_refused(http):
    """Nothing is told to a stranger."""
    for path in ("/v1/files", "/v1/batch/jobs", "/v1/fine_tuning/jobs"):
        answer = http.get(path, headers={"Authorization": "Bearer stranger"})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})


def test_a_final_job_is_deleted(client, http):
    """A job that is final can be deleted, one under way cannot."""
    job_id = start(client, rows(1))
    finished(client, job_id)
    assert client.batch.jobs.delete(job_id=job_id).deleted
    assert http.get(f"/v1/batch/jobs/{job_id}").status_code == 404


def test_wrong_rules_are_refused(http):
    """`/_batch` answers the rules in force, and 400 to those it does not know."""
    assert http.post("/_batch", json={"rate": 5}).json()["rate"] == 5
    assert http.post("/_batch", json={"rate": 0}).json()["rate"] == 0
    assert http.post("/_batch", json={"surprise": 1}).status_code == 400
