"""What a job's page tells that its columns do not: pace, money, recipe, events in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
from pydantic import ValidationError

from dashboard import pace
from dashboard.spending import Spent, spent_on
from models.payloads import JobSpec, Options
from models.recipes import Recipe
from models.recipes.compiled import cache_key
from models.states import WORKABLE, JobKind
from models.store.views.jobpage import JobPage
from models.tables import Event, Job

HASH_LENGTH = 16
"""Characters of a SHA-256 that a page shows."""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One request of the recipe. Its prompt is told by a hash only, as in the provenance."""

    name: str
    model: str
    prompt_hash: str


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """How rows become records."""

    hash: str
    """Of the whole snapshot; empty: it cannot be read by this version."""
    steps: Sequence[StepFacts]
    options: Options | None
    """None: they cannot be read either."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a line of the page."""

    seq: int
    type: str
    at: float
    reason: str
    rows: str
    """`12 of 40 done, 1 failed`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """None: not known, or it does not run."""

    calls_per_s: float | None
    share: float | None
    """Of its model's limit."""
    seconds_left: float | None
    ran_s: float | None
    """Since its first claimed shard, to its end or to now."""
    hold_s: float
    """For how long its models let nobody call; 0: no hold."""
    budget_share: float | None
    """Of the budget, paid or perhaps paid."""
    spent: Spent
    recipe: RecipeFacts
    events: Sequence[Told]
    settled_percent: float
    done_percent: float

    @property
    def is_at_work(self) -> bool:
        """Whether the pace is worth telling."""
        return self.calls_per_s is not None

    @property
    def goes_by_batch(self) -> bool:
        """Whether its calls are made by hosted batches."""
        options = self.recipe.options
        return options is not None and options.via == "batch"


def facts_of(page: JobPage) -> Facts:
    """Everything the page derives."""
    job = page.job
    is_at_work = job.state in WORKABLE
    doubted = sum(group.cost_nano for group in page.doubts)
    spent = spent_on(page)
    limits = pace.limits_by_model(page.standings)
    counted = {} if job.kind == JobKind.EMBED else page.asked  # texts share requests
    return Facts(
        calls_per_s=page.calls_per_s if is_at_work else None,
        share=pace.share_of_limit(page.calls_per_s, counted, limits) if is_at_work else None,
        seconds_left=pace.seconds_left(job, page.calls_per_s, page.now),
        ran_s=_ran_s(job, page.now),
        hold_s=_hold_s(page) if is_at_work else 0.0,
        budget_share=(spent.cost_nano + doubted) / job.budget_nano if job.budget_nano else None,
        spent=spent,
        recipe=recipe_facts(job.spec),
        events=[told(event) for event in page.events],
        settled_percent=pace.per_cent(job.rows_done + job.rows_failed, job.rows_total),
        done_percent=pace.per_cent(job.rows_done, job.rows_total),
    )


def told(event: Event) -> Told:
    """The event's own figures in words: as things stood when it became true."""
    data: Mapping[str, object] = orjson.loads(event.data)
    what = "stages" if data.get("kind") == JobKind.PIPELINE else "rows"
    rows = f"{data.get('rows_done', 0):,} of {data.get('rows_total', 0):,} {what} done"
    if data.get("rows_failed"):
        rows += f", {data['rows_failed']:,} failed"
    return Told(event.seq, event.type, event.created_at, str(data.get("reason", "")), rows)


@lru_cache(maxsize=64)  # the page is asked for every few seconds, and a spec never changes
def recipe_facts(spec: str) -> RecipeFacts:
    """The recipe of a stored `JobSpec`, without a word of its prompts."""
    options = None
    try:
        read = JobSpec.model_validate_json(spec)
        options = read.options
        recipe = Recipe.model_validate(read.recipe)
    except ValidationError:  # of another version, of a kind that has none, or damaged
        return RecipeFacts("", [], options)
    steps = [StepFacts(step.name, step.model, cache_key(recipe, step)) for step in recipe.steps]
    return RecipeFacts(recipe.hash[:HASH_LENGTH], steps, options)


def _ran_s(job: Job, now: float) -> float | None:
    if job.started_at is None:
        return None
    return max(0.0, (job.finished_at or now) - job.started_at)


def _hold_s(page: JobPage) -> float:
    """The longest hold of a model that the job asks."""
    asked = {step.model for step in recipe_facts(page.job.spec).steps} | set(page.asked)
    holds = [one.hold_until or 0.0 for one in page.standings if one.model in asked]
    return max(0.0, max(holds, default=0.0) - page.now)
