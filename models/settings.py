"""Every setting, read once from the environment (or a `.env` file) and passed on from there."""

import hashlib
import ipaddress
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import BadInputError
from models.limits import Limit, parse_limits

SERVICES_FILE = "services.json"
_SECRETS = Path("/run/secrets")
"""Where containers find secrets: one file per setting, by its name (`MISTRAL_API_KEY`, ...)."""
_FILES = f"the file .env in this folder (or a secret in {_SECRETS})"


def _env(name: str, default: Any = ..., *, form: str = "", unset: str = "", **extra: Any) -> Any:
    """A setting. `form`: what is written, where its type does not say; `unset`: what holds then."""
    told: JsonDict = {"form": form, "unset": unset}
    return Field(default, validation_alias=name, json_schema_extra=told, **extra)


class Settings(BaseSettings):
    """What an operator can set. Unset `REDIS_URL`/`DATABASE_URL` mean: embedded, below `home`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
        extra="ignore",
        hide_input_in_errors=True,  # it may be a key
        populate_by_name=True,  # for Python only:
        env_prefix="no variable: ",  # fields' names are none, or `home` would be read from $HOME
    )

    home: Path = _env("MAESTRALE_HOME", Path("~/.maestrale"), form="folder")
    """The home: embedded database and server, spool, logs, process files, datasets, stores, runs
    and models of your own."""
    database_url: str = _env(
        "DATABASE_URL", "", form="URL", unset="SQLite: `maestrale.db` in the home", repr=False
    )
    """The database: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`. Several machines
    need PostgreSQL; run `maestrale migrate` once, and after each upgrade."""
    redis_url_given: SecretStr = _env(
        "REDIS_URL", SecretStr(""), form="URL", unset="the server that `maestrale up` starts"
    )
    """A server of the Redis protocol, for messages and for the limiter that all workers share."""
    api_key: SecretStr = _env(
        "MISTRAL_API_KEY", SecretStr(""), unset="none: the API refuses calls, and jobs pause"
    )
    """Key of the Mistral API; any text for servers that take none."""
    base_url: str = _env("MISTRAL_BASE_URL", "https://api.mistral.ai", form="URL")
    """Root of the API, or of another server that speaks it, with or without `/v1`."""
    limits: Annotated[dict[str, Limit], NoDecode] = _env(
        "MAESTRALE_LIMITS", {}, form="`MODEL=LIMIT, ...`", unset="learnt from the API's answers"
    )
    """What the account allows, `mistral-small-latest=20/s+2000000tok/min, *=60/min`: calls and
    tokens (`tok`) per `s`, `min` or `h`; `*` stands for all other models."""
    shards_in_flight: int = _env("MAESTRALE_SHARDS_IN_FLIGHT", 12, ge=1, le=64)
    """Shards a worker process runs at once: its number of Celery threads."""
    rows_in_flight: int = _env("MAESTRALE_ROWS_IN_FLIGHT", 2000, ge=1, le=100_000)
    """Rows a worker process has in hand, and calls under way, at once. Bounds its memory, and what
    a dying process leaves in doubt: about so many calls at most, up to twice as many where several
    models are asked."""
    call_timeout_s: float = _env("MAESTRALE_CALL_TIMEOUT", 120.0, form="seconds", gt=0)
    """How long one API call may take in all."""
    lease_s: float = _env("MAESTRALE_LEASE", 15.0, form="seconds", ge=2)
    """How long a shard's lease lives without a heartbeat: so soon a dead worker's shards are taken
    up by another."""
    drain_s: float = _env("MAESTRALE_DRAIN", 20.0, form="seconds", ge=0)
    """How long a worker told to stop waits for its calls in flight; then they are in doubt."""
    prices_file: Path | None = _env(
        "MAESTRALE_PRICES", None, form="file", unset="the shipped table, `models/prices`"
    )
    """A price table of your own (TOML), instead of the shipped one."""
    secret_key: SecretStr = _env(
        "MAESTRALE_SECRET_KEY", SecretStr(""), unset="a key file in the home"
    )
    """Seals the webhooks' secrets in the database: the same for all processes that share one."""
    webhook_networks: Annotated[list[str], NoDecode] = _env(
        "MAESTRALE_WEBHOOK_NETWORKS", [], form="networks", unset="public addresses only"
    )
    """Networks that webhooks may reach though they are not public, `10.2.0.0/16, 127.0.0.0/8`."""
    webhook_http: bool = _env("MAESTRALE_WEBHOOK_HTTP", False)
    """Whether an endpoint may be `http://`."""
    webhook_ports: Annotated[list[int] | Literal["*"], NoDecode] = _env(
        "MAESTRALE_WEBHOOK_PORTS", [443, 8443], form="ports"
    )
    """Ports that endpoints may have; `*`: any."""
    metrics_address: str = _env("MAESTRALE_METRICS", "", form="`HOST:PORT`", unset="nowhere")
    """Where worker processes serve `/metrics`, `127.0.0.1:9464`: each takes the first free of 32
    ports from there. There is no password on it."""
    train_python: str = _env(
        "MAESTRALE_TRAIN_PYTHON", "", form="program", unset="the one that runs the workers"
    )
    """The interpreter that has this project and its extra `train`, for `--trainer local` and
    `models serve`."""
    wandb_key: SecretStr = _env("WANDB_API_KEY", SecretStr(""), unset="none")
    """Key of Weights & Biases, for `maestrale train --wandb`."""
    log_format: Literal["pretty", "json"] = _env("MAESTRALE_LOG", "pretty")
    """How workers log: for people, or an object a line, with job, shard and row."""

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: object) -> object:
        """Bytes that are no UTF-8 come as halves of pairs, which nothing that hashes can take."""
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("it is not UTF-8")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        try:
            return home.expanduser().resolve()
        except (OSError, RuntimeError) as error:  # nobody's home, a loop of links
            raise ValueError(f"{error}; give a folder") from None

    @field_validator("limits", mode="before")
    @classmethod
    def _limits(cls, value: object) -> object:
        try:
            return parse_limits(value) if isinstance(value, str) else value
        except BadInputError as error:
            raise BadInputError(f"the setting MAESTRALE_LIMITS: {error}") from None

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [str(ipaddress.ip_network(part)) for part in value.replace(",", " ").split()]

    @field_validator("webhook_ports", mode="before")
    @classmethod
    def _ports(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip() == "*":
            return "*"
        ports = [int(part) for part in value.replace(",", " ").split()]
        if not ports:  # an empty variable is a slip, and must not open every port
            raise ValueError("names no port: 443, 8443, or * for any")
        return ports

    @field_validator("metrics_address")
    @classmethod
    def _address(cls, address: str) -> str:
        if address:
            parse_address(address)
        return address

    @field_validator("base_url")
    @classmethod
    def _root(cls, url: str) -> str:
        return url.rstrip("/").removesuffix("/v1")

    @property
    def sqlalchemy_url(self) -> str:
        """`DATABASE_URL` with its driver, or the SQLite file below `home`."""
        url = self.database_url or f"sqlite:///{self.home / 'maestrale.db'}"
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    @property
    def redis_url(self) -> str:
        """`REDIS_URL`, or the address of the server `maestrale up` started; empty if neither."""
        if given := self.redis_url_given.get_secret_value():
            return given
        try:
            services = json.loads((self.home / SERVICES_FILE).read_bytes())
            return str(services["redis_url"])
        except (OSError, ValueError, KeyError, TypeError):  # none started, or a file not of ours
            return ""

    @property
    def broker_url(self) -> str:
        """`redis_url`, or where a server usually is: something to name when it does not answer."""
        return self.redis_url or "redis://127.0.0.1:6379/0"

    @property
    def account(self) -> str:
        """Names the account in limiter keys without telling the key (12 hex characters)."""
        secret = f"{self.base_url}\n{self.api_key.get_secret_value()}"
        return hashlib.sha256(secret.encode()).hexdigest()[:12]


def parse_address(address: str) -> tuple[str, int]:
    """`host:port` of `MAESTRALE_METRICS`. Raises `BadInputError`."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536:
        raise BadInputError(f"MAESTRALE_METRICS={address} is no host:port; write 127.0.0.1:9464")
    return host, int(port)


def read_settings() -> Settings:
    """The settings of the environment. Raises `BadInputError` naming the one that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"the setting {name} cannot be used: {first['msg']}") from None
    except UnicodeDecodeError:  # what it says would show the file, keys and all
        raise BadInputError(f"{_FILES} is not UTF-8: save it as UTF-8") from None
    except OSError as error:
        where = error.filename or _FILES
        raise BadInputError(f"settings cannot be read from {where}: {error.strerror}") from None


def settings_of_process() -> Settings:
    """The same for a program of ours that is no command: it ends with a line and exit code 2."""
    try:
        return read_settings()
    except BadInputError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
