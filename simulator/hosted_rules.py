"""How files, batches and fine-tuning jobs behave: chosen at the start, changed by `/_batch`."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from models.errors import BadInputError

ALL = -1
"""As a count of jobs: all of them from now on."""
_MOST_BYTES = 512 * 2**20
_Share = Annotated[float, Field(ge=0, le=1)]
_Amount = Annotated[float, Field(ge=0)]
_Count = Annotated[int, Field(ge=0)]
_Jobs = Annotated[int, Field(ge=ALL)]


@checked(frozen=True, slots=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class HostedRules:
    """Shares are 0..1. Counts of jobs are used up one by one; `ALL` never ends.

    `rate`: lines per second and job, 0 is as fast as it can. `fail_500`, `fail_429`, `fail_400`:
    share of the lines that fail so. `fail_jobs` end FAILED and execute nothing, `timeout_jobs`
    run out of time after the share `timeout_after` of their lines. `unknown_looks`: so often
    a job says `unknown_status` instead of the truth. `break_downloads` of files end half way,
    `drop_creates` of jobs are created and answered by a reset. `listing_lag_s`: younger jobs are
    in no list. `ignore_metadata`: as if the API took none. `tuning_closed`: no model can be tuned.
    """

    queued_s: _Amount = 0.0
    rate: _Amount = 0.0
    fail_500: _Share = 0.0
    fail_429: _Share = 0.0
    fail_400: _Share = 0.0
    failures_in: Literal["error_file", "output_file"] = "error_file"
    errors_as: Literal["response", "error"] = "response"
    fail_jobs: _Jobs = 0
    timeout_jobs: _Jobs = 0
    timeout_after: _Share = 0.5
    unknown_looks: _Count = 0
    unknown_status: str = "PAUSED_BY_PROVIDER"
    break_downloads: _Jobs = 0
    drop_creates: _Jobs = 0
    listing_lag_s: _Amount = 0.0
    ignore_metadata: bool = False
    file_limit: _Count = _MOST_BYTES
    tuning_closed: bool = False
    tuning_s: _Amount = 1.0
    tuning_checkpoints: _Count = 10
    fail_tunings: _Jobs = 0


_RULES = TypeAdapter(HostedRules)


@dataclass
class Steering:
    """The rules in force; those that count jobs are counted down as they are used."""

    rules: HostedRules

    def change(self, changes: dict[str, Any]) -> HostedRules:
        """Follow `changes` from now on; what they do not name stays. Raises `BadInputError`."""
        try:
            self.rules = _RULES.validate_python({**asdict(self.rules), **changes})
        except ValidationError as problem:
            raise BadInputError(f"these rules make no sense: {problem}") from None
        return self.rules

    def take(self, name: str) -> bool:
        """Whether the next one is hit by the rule `name`, which is then used up by one."""
        left: int = getattr(self.rules, name)
        if left > 0:
            self.change({name: left - 1})
        return left != 0

    def hidden_status(self, looks: int) -> str | None:
        """What is said instead of a job's status at this look; None: the truth."""
        return self.rules.unknown_status if looks <= self.rules.unknown_looks else None


def rule_names() -> str:
    """The names of all rules, for messages and help."""
    return ", ".join(rule.name for rule in fields(HostedRules))


def rules_from(written: list[tuple[str, str]]) -> HostedRules:
    """The rules of `name=value` pairs of a command line. Raises `BadInputError`."""
    known = {rule.name for rule in fields(HostedRules)}
    for name, _value in written:
        if name not in known:
            raise BadInputError(f"no rule of --batch is called {name!r}; there are {rule_names()}")
    return Steering(HostedRules()).change(dict(written))
