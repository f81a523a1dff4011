"""`maestrale webhooks` and `maestrale events`: what they print, what they keep, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_stored_job
from cli_builders import Ended

from models.sealing import Sealer
from models.settings import Settings
from models.store import deliveries, endpoints, jobs
from models.store.engine import Store

Run = Callable[..., Ended]
URL = "https://hooks.example.com/in?token=t0psecret"
COMMANDS = ("add", "list", "test", "rotate", "disable", "enable", "deliveries", "replay")


@pytest.fixture
def added(run: Run) -> dict[str, str]:
    """An endpoint of all jobs, with its secret."""
    return run("webhooks", "add", URL, "--json").facts


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A recipe of one step."""
    path = tmp_path / "test.toml"
    path.write_text(
        'name = "test"\nmodel = "mistral-small-latest"\n[[steps]]\nname = "answer"\n'
        'prompt = "Read: {{ row.text }}"\n[output.record]\nanswer = "{{ answer }}"\n'
    )
    return str(path)


@pytest.fixture
def texts(tmp_path: Path) -> str:
    """Three rows."""
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": f"r{n}", "text": "a text"}) + "\n" for n in range(3)))
    return str(path)


def everything_below(folder: Path) -> bytes:
    """All bytes of all files: database, its log, anything written."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


# -- endpoints -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    """And can print facts."""
    ended = run("webhooks", command, "--help")
    assert ended.code == 0
    assert "--json" in ended.out


def test_a_secret_is_shown_once_and_nowhere_else(run: Run, home: Path) -> None:
    """Not in the list, not in any file below the home; only sealed, in the database."""
    shown = run("webhooks", "add", URL)
    (secret,) = [word for word in shown.out.split() if word.startswith("whsec_")]
    assert "the one time" in shown.out
    for arguments in (["list"], ["list", "--json"], ["deliveries"], ["disable", "ep_"]):
        ended = run("webhooks", *arguments)
        assert "whsec_" not in ended.out + ended.err
    raw = secret.removeprefix("whsec_").encode()
    assert raw not in everything_below(home)
    assert len(raw) == 44


def test_the_stored_secret_is_the_one_that_was_shown(
    user_store: Store, added: dict[str, str]
) -> None:
    """A worker of the same home can open it."""
    with user_store.read() as connection:
        found = endpoints.get(connection, added["id"])
    assert found is not None
    assert Sealer(Settings(_env_file=None)).open(found.secret) == added["secret"]


def test_two_endpoints_have_two_secrets(run: Run, added: dict[str, str]) -> None:
    """And two ids."""
    other = run("webhooks", "add", URL + "&x=1", "--json").facts
    assert other["secret"] != added["secret"]
    assert other["id"] != added["id"]


def test_the_list_hides_what_may_be_a_token(run: Run, added: dict[str, str]) -> None:
    """The query of a URL is for the endpoint alone; the id is for people."""
    ended = run("webhooks", "list")
    assert added["id"] in ended.out
    assert "https://hooks.example.com/in?…" in ended.out
    assert "t0psecret" not in ended.out
    assert "There are no endpoints" in run("webhooks", "list", "--job", _job(run)).out


def _job(run: Run) -> str:
    """A job in the home's database."""
    from producers import Maestrale  # noqa: PLC0415 # opens the home that the fixture set

    with Maestrale() as maestrale:
        return a_stored_job(maestrale.store)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hooks.example.com/", "https"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://hooks.example.com:22/", "port 22"),
        ("https://u:p@hooks.example.com/", "user or password"),
        ("ftp://hooks.example.com/", "https"),
        ("nonsense", "https"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_2(run: Run, url: str, told: str) -> None:
    """Here and at `generate`, before anything is stored, read or asked."""
    ended = run("webhooks", "add", url)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert run("webhooks", "list", "--json").facts == []
    ended = run("generate", "no-such-file", "-r", "translate", "--webhook", url)
    assert (ended.code, told in ended.err) == (2, True)


@pytest.mark.parametrize("wrong", ["job.invented", "job", "*", "job.done,job.failed"])
def test_an_unknown_event_is_refused_with_the_known_ones(run: Run, wrong: str) -> None:
    """Exit code 2; families are among them."""
    ended = run("webhooks", "add", URL, "--events", wrong)
    assert ended.code == 2
    assert all(name in ended.err for name in ("job.succeeded", "budget.reached", "job.*"))


def test_events_are_told_with_commas_or_again_and_again(run: Run) -> None:
    """Each once."""
    asked = ("--events", "job.failed, budget.*", "--events", "job.failed")
    assert run("webhooks", "add", URL, *asked, "--json").facts["events"] == [
        "job.failed",
        "budget.*",
    ]


def test_the_same_endpoint_twice_is_refused(run: Run, added: dict[str, str]) -> None:
    """It would send everything twice; another choice of events is another endpoint."""
    ended = run("webhooks", "add", URL)
    assert (ended.code, added["id"] in ended.err) == (2, True)
    assert run("webhooks", "add", URL, "--events", "job.failed").code == 0


def test_an_endpoint_of_a_job_that_is_not_there(run: Run) -> None:
    """Says how to find one."""
    ended = run("webhooks", "add", URL, "--job", "nope")
    assert (ended.code, "maestrale jobs" in ended.err) == (2, True)


def test_rotating_shows_the_new_secret_once(run: Run, added: dict[str, str]) -> None:
    """And says that the old one still signs."""
    ended = run("webhooks", "rotate", added["id"][:-2])
    (secret,) = [word for word in ended.out.split() if word.startswith("whsec_")]
    assert secret != added["secret"]
    assert "24 hours" in ended.out
    (listed,) = run("webhooks", "list", "--json").facts
    assert listed["old_secret_until"] is not None
    assert secret not in json.dumps(listed)


def test_disabling_and_enabling(run: Run, added: dict[str, str]) -> None:
    """Both may be repeated; what was on its way can be sent again, and it is said how."""
    for _ in range(2):
        ended = run("webhooks", "disable", added["id"], "--json").facts
        assert (ended["state"], ended["reason"]) == ("disabled", "disabled by the user")
    assert run("webhooks", "test", added["id"]).code == 2
    ended = run("webhooks", "enable", added["id"])
    assert f"replay --since 14d --failed --endpoint {added['id']}" in ended.out
    assert run("webhooks", "enable", added["id"], "--json").facts["state"] == "active"


@pytest.mark.parametrize("command", ["test", "rotate", "disable", "enable"])
def test_an_endpoint_that_is_not_there(run: Run, command: str) -> None:
    """Exit code 2, and how to find one."""
    ended = run("webhooks", command, "nope")
    assert (ended.code, "maestrale webhooks list" in ended.err) == (2, True)


def test_a_test_without_workers_says_so_at_once(run: Run, added: dict[str, str]) -> None:
    """Exit code 1; the message waits for a worker."""
    ended = run("webhooks", "test", added["id"])
    assert (ended.code, "no worker is running" in ended.out) == (1, True)
    facts = run("webhooks", "test", added["id"], "--json")
    assert (facts.code, facts.facts["delivered"], facts.facts["status"]) == (1, False, None)
    assert [one["state"] for one in run("webhooks", "deliveries", "--json").facts] == [
        "pending"
    ] * 2


# -- deliveries ------------------------------------------------------------------------------------


@pytest.fixture
def delivered(user_store: Store, added: dict[str, str]) -> str:
    """A job whose only event is on its way to the endpoint."""
    job_id = a_stored_job(user_store)
    with user_store.write() as connection:
        assert deliveries.relay(connection) == 1
    return job_id


def test_deliveries_are_listed(run: Run, delivered: str, added: dict[str, str]) -> None:
    """All, of a job, to an endpoint, those that failed."""
    (one,) = run("webhooks", "deliveries", "--json").facts
    assert (one["event"], one["subject"], one["endpoint"], one["webhook_id"]) == (
        "job.queued",
        delivered,
        added["id"],
        f"evt_{delivered}_1",
    )
    assert delivered in run("webhooks", "deliveries", "--job", delivered).out
    assert run("webhooks", "deliveries", "--endpoint", added["id"], "--json").facts == [one]
    assert run("webhooks", "deliveries", "--failed", "--json").facts == []
    run("webhooks", "disable", added["id"])
    failed = run("webhooks", "deliveries", "--failed")
    assert f"maestrale webhooks replay {one['id']}" in failed.out


@pytest.mark.parametrize(
    "command",
    [
        ("webhooks", "replay", str(2**31)),
        ("webhooks", "replay", "0"),
        ("webhooks", "deliveries", "--limit", "9" * 20),
        ("webhooks", "list", "--limit", "9" * 20),
        ("jobs", "--limit", "9" * 20),
        ("failures", "job_x", "--limit", "9" * 20),
    ],
)
def test_a_number_that_no_database_takes_is_wrong_input(run: Run, command: tuple[str, ...]) -> None:
    """Exit code 2 and not a bug."""
    assert run(*command).code == 2


def test_replay_keeps_the_id(run: Run, delivered: str, added: dict[str, str]) -> None:
    """One by its number, or all since a time; nothing of a disabled endpoint."""
    (before,) = run("webhooks", "deliveries", "--json").facts
    run("webhooks", "disable", added["id"])
    assert run("webhooks", "replay", str(before["id"])).code == 2
    assert run("webhooks", "replay", "--since", "1h", "--json").facts == {"replayed": 0}
    run("webhooks", "enable", added["id"])
    assert run("webhooks", "replay", str(before["id"]), "--json").facts == {"replayed": 1}
    (after,) = run("webhooks", "deliveries", "--json").facts
    assert (after["state"], after["webhook_id"]) == ("pending", before["webhook_id"])
    assert run("webhooks", "replay", "--since", "1h", "--json").facts == {"replayed": 1}
    assert "1 message will be sent again" in run("webhooks", "replay", "--since", "1h").out
    assert run("webhooks", "replay", "--since", "1h", "--failed", "--json").facts["replayed"] == 0


@pytest.mark.parametrize(
    "wrong",
    [[], ["1", "--since", "1h"], ["1", "--failed"], ["--since", "gestern"], ["99"], ["--failed"]],
)
def test_a_replay_of_nothing_named_is_refused(run: Run, added: object, wrong: list[str]) -> None:
    """`replay` alone would send everything."""
    ended = run("webhooks", "replay", *wrong)
    assert (ended.code, ended.out) == (2, "")


# -- events ----------------------------------------------------------------------------------------


def test_events_of_a_job_are_listed(run: Run, user_store: Store) -> None:
    """In their order, in words and as facts."""
    job_id = a_stored_job(user_store)
    with user_store.write() as connection:
        jobs.pause(connection, job_id, "\x1b[31mred")
        jobs.cancel(connection, job_id)
    told = run("events", job_id, "--json").facts
    assert [(one["type"], one["data"]["seq"]) for one in told] == [
        ("job.queued", 1),
        ("job.paused", 2),
        ("job.cancelled", 3),
    ]
    words = run("events", job_id[4:]).out
    assert "job.cancelled" in words
    assert "\x1b" not in words


def test_following_a_job_ends_with_it(run: Run, user_store: Store) -> None:
    """One line each; as JSON one object a line."""
    job_id = a_stored_job(user_store)
    with user_store.write() as connection:
        jobs.cancel(connection, job_id)
    lines = run("events", "--follow", job_id, "--json").out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["job.queued", "job.cancelled"]
    ended = run("events", "--follow", job_id)
    assert (ended.code, len(ended.out.splitlines())) == (0, 2)


def test_events_of_nothing_are_refused(run: Run) -> None:
    """It says what may be asked."""
    ended = run("events")
    assert (ended.code, "--follow" in ended.err) == (2, True)


# -- --webhook -------------------------------------------------------------------------------------


def _generate(run: Run, texts: str, recipe: str, *more: str) -> Ended:
    return run("generate", texts, "-r", recipe, "--detach", "--json", *more)


def test_a_job_is_told_to_a_url_from_its_first_event(
    run: Run, user_store: Store, texts: str, recipe: str
) -> None:
    """The endpoint is the job's own; its new secret is shown, here only."""
    ended = _generate(run, texts, recipe, "--webhook", URL)
    (told,) = ended.facts["webhooks"]
    assert (told["how"], told["secret"][:6]) == ("new", "whsec_")
    assert told["secret"] in ended.err
    (listed,) = run("webhooks", "list", "--json").facts
    assert (listed["id"], listed["job"]) == (told["endpoint"], ended.facts["job"]["id"])
    with user_store.write() as connection:
        deliveries.relay(connection)
    (one,) = run("webhooks", "deliveries", "--json").facts
    assert (one["event"], one["endpoint"]) == ("job.queued", told["endpoint"])


def test_a_known_url_signs_with_the_secret_it_has(run: Run, texts: str, recipe: str) -> None:
    """No receiver has to learn a secret per job."""
    first = _generate(run, texts, recipe, "--webhook", URL).facts["webhooks"][0]
    ended = _generate(run, texts, recipe, "--again", "--webhook", URL, "--webhook", URL)
    (second,) = ended.facts["webhooks"]
    assert second == {"url": URL, "endpoint": second["endpoint"], "how": "known"}
    assert second["endpoint"] != first["endpoint"]
    assert "whsec_" not in ended.out + ended.err
    rotated = run("webhooks", "rotate", first["endpoint"], "--json").facts
    assert rotated["endpoints_changed"] == 2


def test_a_url_that_hears_all_jobs_is_not_told_twice(
    run: Run, texts: str, recipe: str, added: dict[str, str]
) -> None:
    """The endpoint of all jobs does it."""
    (told,) = _generate(run, texts, recipe, "--webhook", URL).facts["webhooks"]
    assert told == {"url": URL, "endpoint": None, "how": "heard"}
    assert len(run("webhooks", "list", "--json").facts) == 1


def test_a_dry_run_or_a_refused_submission_leaves_no_endpoint(
    run: Run, texts: str, recipe: str
) -> None:
    """Nothing of it is there before its job is."""
    assert _generate(run, texts, recipe, "--dry-run", "--webhook", URL).code == 0
    assert _generate(run, texts, recipe).code == 0
    assert _generate(run, texts, recipe, "--webhook", URL).code == 2  # the same twice
    assert run("webhooks", "list", "--json").facts == []
