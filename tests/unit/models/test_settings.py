"""Settings: where they come from, what they become, and that no secret shows."""

import errno
import json
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.errors import BadInputError
from models.limits import Limit
from models.settings import SERVICES_FILE, Settings, read_settings

Make = Callable[..., Settings]


def _services(settings: Settings, text: str) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / SERVICES_FILE).write_text(text)


def test_secrets_are_never_in_the_repr(make_settings: Make) -> None:
    """I6: neither the key nor a password in a URL is shown by repr, str or an f-string."""
    settings = make_settings(
        MISTRAL_API_KEY="canary-key",
        REDIS_URL="redis://:canary-redis@h/0",
        DATABASE_URL="postgresql://u:canary-db@h/x",
    )
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "canary" not in shown
    assert settings.api_key.get_secret_value() == "canary-key"
    assert "canary-db" in settings.sqlalchemy_url


def test_a_bad_secret_is_not_told_either(make_settings: Make) -> None:
    """A validation error of another setting does not print the key."""
    with pytest.raises(ValidationError) as caught:
        make_settings(MISTRAL_API_KEY="canary-key", MAESTRALE_LEASE="soon")
    assert "canary" not in str(caught.value)


def test_the_embedded_server_is_found(make_settings: Make) -> None:
    """Without REDIS_URL the address comes from services.json, as it stands when asked."""
    settings = make_settings()
    assert settings.redis_url == ""
    _services(settings, json.dumps({"redis_url": "redis://:pw@127.0.0.1:7777/0"}))
    assert settings.redis_url == "redis://:pw@127.0.0.1:7777/0"
    given = make_settings(REDIS_URL="redis://elsewhere/0")
    assert given.redis_url == "redis://elsewhere/0"


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '"x"', "\x00"])
def test_a_broken_services_file_is_no_server(make_settings: Make, text: str) -> None:
    """Half-written or foreign: as if nothing had been started."""
    settings = make_settings()
    _services(settings, text)
    assert settings.redis_url == ""


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("", "sqlite:///{home}/maestrale.db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_database_urls_get_their_driver(make_settings: Make, given: str, used: str) -> None:
    """Unset means SQLite below home; every way to write PostgreSQL means psycopg."""
    settings = make_settings(DATABASE_URL=given)
    assert settings.sqlalchemy_url == used.format(home=settings.home)


@pytest.mark.parametrize(
    "url", ["https://h", "https://h/", "https://h/v1", "https://h/v1/", "https://h/v1///"]
)
def test_the_servers_root_has_one_form(make_settings: Make, url: str) -> None:
    """With or without `/v1`, the same server gives the same call keys and account."""
    settings = make_settings(MISTRAL_BASE_URL=url)
    assert settings.base_url == "https://h"
    assert settings.account == make_settings(MISTRAL_BASE_URL="https://h").account


def test_the_account_does_not_tell_the_key(make_settings: Make) -> None:
    """Twelve hex characters, other ones for another key or server."""
    one, other = make_settings(MISTRAL_API_KEY="one"), make_settings(MISTRAL_API_KEY="other")
    away = make_settings(MISTRAL_API_KEY="one", MISTRAL_BASE_URL="http://simulator")
    accounts = {settings.account for settings in (one, other, away)}
    assert len(accounts) == 3
    assert all(len(account) == 12 and int(account, 16) >= 0 for account in accounts)


def test_limits_are_read_from_their_text(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the environment too; what does not parse is bad input with its reason."""
    monkeypatch.setenv("MAESTRALE_LIMITS", "small=1/s, *=60/min")
    assert make_settings().limits == {"small": Limit(60.0), "*": Limit(60.0)}
    monkeypatch.setenv("MAESTRALE_LIMITS", "small=fast")
    with pytest.raises(BadInputError, match="small=fast"):
        make_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAESTRALE_SHARDS_IN_FLIGHT", "0"),
        ("MAESTRALE_ROWS_IN_FLIGHT", "-1"),
        ("MAESTRALE_CALL_TIMEOUT", "0"),
        ("MAESTRALE_LEASE", "1"),
        ("MAESTRALE_DRAIN", "-1"),
        ("MAESTRALE_LOG", "xml"),
        ("MAESTRALE_WEBHOOK_NETWORKS", "10.0.0.1/8"),
        ("MAESTRALE_WEBHOOK_PORTS", "https"),
        ("MAESTRALE_WEBHOOK_PORTS", ""),
    ],
)
def test_settings_out_of_bounds_are_refused(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The error names the setting as the operator wrote it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name):
        make_settings()


@pytest.mark.parametrize("name", sorted({*Settings.model_fields} - {"database_url"}))
def test_only_documented_variables_are_read(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A field's own name is no variable: `$HOME` is not `home`, nor a stray API_KEY ours."""
    before = make_settings()
    for spelling in (name, name.upper()):
        monkeypatch.setenv(spelling, "1")
    assert make_settings() == before


def test_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`~` and relative paths mean the same folder for every process, wherever it starts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert Settings(_env_file=None).home == (tmp_path / ".maestrale").resolve()
    monkeypatch.setenv("MAESTRALE_HOME", "here")
    assert Settings(_env_file=None).home == (tmp_path / "here").resolve()


def test_a_dot_env_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the environment, and with settings of other programs in it."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("MISTRAL_API_KEY=from-file\nMAESTRALE_LEASE=30\nOTHER=1\n")
    monkeypatch.setenv("MAESTRALE_LEASE", "20")
    settings = Settings()
    assert settings.api_key.get_secret_value() == "from-file"
    assert settings.lease_s == 20


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MISTRAL_API_KEY", "sk-canary\udcff", "MISTRAL_API_KEY cannot be used.* not UTF-8"),
        ("MAESTRALE_HOME", "~nosuch-canary-user/x", "MAESTRALE_HOME cannot be used"),
        ("MAESTRALE_METRICS", "9464", "MAESTRALE_METRICS=9464 .* 127.0.0.1:9464"),
    ],
)
def test_what_cannot_be_used_is_told_by_name_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, told: str
) -> None:
    """A value that is refused may be a key: neither the message nor its causes show it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInputError, match=told) as caught:
        read_settings()
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_file_of_settings_that_cannot_be_read_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not UTF-8, or kept from us: the file is named, its content is not."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"MISTRAL_API_KEY=canary\xff\n")
    with pytest.raises(BadInputError, match=r"\.env.* not UTF-8") as caught:
        read_settings()
    assert "canary" not in "".join(traceback.format_exception(caught.value))

    def kept(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", ".env")

    monkeypatch.setattr("dotenv.main.open", kept, raising=False)
    with pytest.raises(BadInputError, match=r"from \.env: Permission denied"):
        read_settings()


def test_a_mounted_secret_is_a_setting(tmp_path: Path) -> None:
    """A file of the setting's name holds its value, as containers have it in /run/secrets."""
    for name, value in (("MISTRAL_API_KEY", "sk-mounted\n"), ("MAESTRALE_SECRET_KEY", "seal")):
        (tmp_path / name).write_text(value)
    (tmp_path / "MAESTRALE_WEBHOOK_PORTS").write_text("443, 9000")
    (tmp_path / "flower_password").write_text("of somebody else")
    found = Settings(_env_file=None, _secrets_dir=tmp_path)  # type: ignore[call-arg] # pydantic's
    assert found.api_key.get_secret_value() == "sk-mounted"
    assert found.secret_key.get_secret_value() == "seal"
    assert found.webhook_ports == [443, 9000]


def test_secrets_are_looked_for_where_containers_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module as a container reads it, where the folder is there."""
    monkeypatch.setattr(Path, "is_dir", lambda _self: True)
    read = runpy.run_path("models/settings.py")["Settings"]
    assert read.model_config["secrets_dir"] == Path("/run/secrets")
