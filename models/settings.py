"""Every setting, read once from the environment (or a `.env` file) and passed on from there."""

import hashlib
import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.limits import Limit, parse_limits

SERVICES_FILE = "services.json"
_SECRETS = Path("/run/secrets")
"""Where containers find secrets: one file per setting, by its name (`MISTRAL_API_KEY`, ...)."""


def _env(name: str, default: Any = ..., **extra: Any) -> Any:
    return Field(default, validation_alias=name, **extra)


class Settings(BaseSettings):
    """What an operator can set. Unset `REDIS_URL`/`DATABASE_URL` mean: embedded, below `home`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
        extra="ignore",
        populate_by_name=True,  # for Python only:
        env_prefix="no variable: ",  # fields' names are none, or `home` would be read from $HOME
    )

    home: Path = _env("MAESTRALE_HOME", Path("~/.maestrale"))
    """Folder for the embedded database, the spool, logs and process files."""
    database_url: str = _env("DATABASE_URL", "", repr=False)
    """SQLAlchemy URL of SQLite or PostgreSQL (`postgresql+psycopg://...`); may hold a password."""
    redis_url_given: SecretStr = _env("REDIS_URL", SecretStr(""))
    """Redis-protocol server: broker, limiter. Unset: the one started by `maestrale up`."""
    api_key: SecretStr = _env("MISTRAL_API_KEY", SecretStr(""))
    """Key of the Mistral API (any text for servers that take none)."""
    base_url: str = _env("MISTRAL_BASE_URL", "https://api.mistral.ai")
    """Root of the API, without `/v1`."""
    limits: Annotated[dict[str, Limit], NoDecode] = _env("MAESTRALE_LIMITS", {})
    """Limits told by the user, `model=20/s+2000000tok/min, *=60/min`; `*` stands for all others."""
    shards_in_flight: int = _env("MAESTRALE_SHARDS_IN_FLIGHT", 8, ge=1, le=64)
    """Shards a worker process runs at once (its number of Celery threads)."""
    rows_in_flight: int = _env("MAESTRALE_ROWS_IN_FLIGHT", 2000, ge=1, le=100_000)
    """Rows a worker process has in hand, and calls under way, at once; bounds its memory, and what
    a dying process leaves in doubt."""
    call_timeout_s: float = _env("MAESTRALE_CALL_TIMEOUT", 120.0, gt=0)
    """Total time-out of one API call, seconds."""
    lease_s: float = _env("MAESTRALE_LEASE", 15.0, ge=2)
    """How long a shard's lease lives without a heartbeat, seconds."""
    drain_s: float = _env("MAESTRALE_DRAIN", 20.0, ge=0)
    """How long a worker told to stop waits for calls in flight, seconds."""
    prices_file: Path | None = _env("MAESTRALE_PRICES", None)
    """A price table of your own instead of the shipped one."""
    secret_key: SecretStr = _env("MAESTRALE_SECRET_KEY", SecretStr(""))
    """Seals the webhooks' secrets in the database. Unset: a key file below `home`."""
    webhook_networks: Annotated[list[str], NoDecode] = _env("MAESTRALE_WEBHOOK_NETWORKS", [])
    """Networks that webhooks may reach though they are not public, `10.2.0.0/16, 127.0.0.0/8`."""
    webhook_http: bool = _env("MAESTRALE_WEBHOOK_HTTP", False)
    """Whether an endpoint may be `http://`."""
    webhook_ports: Annotated[list[int] | Literal["*"], NoDecode] = _env(
        "MAESTRALE_WEBHOOK_PORTS", [443, 8443]
    )
    """Ports of endpoints; `*`: any."""
    metrics_address: str = _env("MAESTRALE_METRICS", "")
    """Where a worker serves `/metrics`, `127.0.0.1:9464`: the first free of 32 ports from there.
    Unset: nowhere."""
    train_python: str = _env("MAESTRALE_TRAIN_PYTHON", "")
    """The interpreter that has the extra `train`. Unset: the one that runs the workers."""
    wandb_key: SecretStr = _env("WANDB_API_KEY", SecretStr(""))
    """Key of Weights & Biases, for `maestrale train --wandb`."""
    log_format: Literal["pretty", "json"] = _env("MAESTRALE_LOG", "pretty")
    """How workers log."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    @field_validator("limits", mode="before")
    @classmethod
    def _limits(cls, value: object) -> object:
        return parse_limits(value) if isinstance(value, str) else value

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
