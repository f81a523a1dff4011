"""The door for evaluations: plan, submit, and what rows became."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from models.errors import BadInputError
from models.payloads import JobSpec, Options
from models.prices import load_prices
from models.states import JobKind
from models.store import rows
from models.suites import Contestant, Evaluation, Suite, SuiteKind, load_suite
from models.suites.outcomes import Outcome, to_outcomes
from models.tables import Job
from producers import estimate, registry, routing, spending, submitting
from producers.client import Maestrale
from producers.evaluating import own_models, searching
from producers.evaluating.previewing import Previewer
from producers.planning import EvaluationPlan
from producers.readers import OnDuplicate, ReadOptions, read
from producers.spending import Amount
from producers.webhooks import Hook


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is put to what. `models`: names, each perhaps with `@prompt`; the first is compared
    with the others. `data` None: the suite's own rows. `attempts` None: as the suite says."""

    suite: str | Suite
    models: tuple[str, ...]
    data: str | None = None
    attempts: int | None = None
    judges: tuple[str, ...] = ()
    store: str | None = None
    limit: int | None = None
    on_duplicate: OnDuplicate = "stop"
    max_rejected_share: float = 0.05
    via: routing.ViaWish = "realtime"
    by: timedelta | None = None


@dataclass(frozen=True, slots=True)
class RowFound:
    """A done row: what it was, and what became of it."""

    row_id: str
    data: dict[str, Any]
    outcomes: list[Outcome]


class Evaluating:
    """Plans and submits evaluations through a client, and reads what they found out."""

    def __init__(self, maestrale: Maestrale) -> None:
        self._maestrale = maestrale

    def plan(self, wish: Wish) -> EvaluationPlan:
        """Reads suite and rows and estimates; enqueues and pays nothing.

        Raises `BadInputError` (or a child of it) when suite, rows or models cannot be used.
        """
        suite, own_data = (
            load_suite(wish.suite) if isinstance(wish.suite, str) else (wish.suite, None)
        )
        evaluation = own_models.placed(evaluation_of(suite, wish), self._maestrale.store)
        evaluation = searching.with_store(evaluation, self._maestrale)
        own_models.check_way(evaluation, wish.via)
        source = wish.data or own_data
        if source is None:
            raise BadInputError(
                f"the suite {suite.name} has no rows of its own: name them by --data"
            )
        maestrale = self._maestrale
        settings = maestrale.settings
        if wish.via == "batch":
            models = set(evaluation.models)
            registry.check_no_batches(models, maestrale.store, settings.home)
        previewer = Previewer(evaluation)
        options = ReadOptions(
            id_field=suite.input.id,
            required=previewer.required_fields,
            lift="meta",
            limit=wish.limit,
            on_duplicate=wish.on_duplicate,
            max_rejected_share=wish.max_rejected_share,
        )
        found = read(source, options, settings.home / "staging")
        try:
            ways = estimate.estimate_requests(
                previewer.requests,
                found,
                load_prices(settings.prices_file),
                maestrale.limits(),
                rounds=previewer.rounds,
            )
            route = routing.route(wish.via, ways, wish.by)
        except BaseException:
            found.close()
            raise
        return EvaluationPlan(found, ways, wish.on_duplicate, route, evaluation)

    def submit(
        self,
        plan: EvaluationPlan,
        *,
        priority: int = 5,
        idempotency_key: str | None = None,
        again: bool = False,
        max_failed_share: float = 0.05,
        options: Options | None = None,
        webhooks: Sequence[Hook] = (),
        budget: Amount = None,
        partial: bool = False,
        parent_id: str | None = None,
    ) -> Job:
        """Commits the job, then rings for its first shards; as `Maestrale.submit` does."""
        maestrale = self._maestrale
        chosen = plan.route.applied(options or Options())
        prices = load_prices(maestrale.settings.prices_file)
        told = plan.evaluation
        wish = submitting.Submission(
            kind=JobKind.EVALUATE,
            name=told.suite.name,
            spec=JobSpec(evaluation=told.model_dump(mode="json"), options=chosen),
            content_hash=told.hash,
            estimate=plan.estimate_by(chosen.via),
            priority=priority,
            idempotency_key=idempotency_key,
            max_failed_share=max_failed_share,
            on_duplicate=plan.on_duplicate,
            again=again,
            webhooks=tuple(webhooks),
            budget_nano=spending.checked_budget(budget, plan, chosen.via, prices, partial=partial),
            parent_id=parent_id,
            large_shards=told.suite.kind == SuiteKind.PERPLEXITY,  # a model is loaded for each
        )
        job, _is_new = submitting.submit(maestrale.store, wish, plan.found)
        maestrale.ring_for(job.id)
        return job

    def evaluation(self, job: Job) -> Evaluation:
        """What the job was asked to find out. `BadInputError` if it is no evaluation."""
        told = JobSpec.model_validate_json(job.spec).evaluation
        if not told:
            raise BadInputError(f"{job.id} is a {job.kind} job, which evaluates nothing")
        return Evaluation.model_validate(told)

    def found(self, job: Job) -> Iterator[RowFound]:
        """The done rows in input order, in constant memory."""
        with self._maestrale.store.read() as connection:
            for row_id, data, records in rows.with_records(connection, job.id):
                yield RowFound(row_id, data, list(to_outcomes(records)))


def evaluation_of(suite: Suite, wish: Wish) -> Evaluation:
    """The suite with its models; `BadInputError` for models or judges that make no sense."""
    contestants = [contestant_of(suite, name) for name in dict.fromkeys(wish.models)]
    _check_contestants(suite, contestants)
    return Evaluation(
        suite=suite,
        contestants=contestants,
        attempts=wish.attempts or suite.attempts,
        judges=_judges(suite, wish.judges),
        store=wish.store or (suite.retrieval.store if suite.retrieval else None),
        asked_as=_asked_as(wish),
    )


def _asked_as(wish: Wish) -> dict[str, str]:
    suite = wish.suite if isinstance(wish.suite, str) else ""
    limit = "" if wish.limit is None else str(wish.limit)
    words = {"suite": suite, "data": wish.data or "", "store": wish.store or "", "limit": limit}
    return {name: word for name, word in words.items() if word}


def _check_contestants(suite: Suite, contestants: Sequence[Contestant]) -> None:
    if suite.kind == SuiteKind.JUDGES:
        if contestants:
            raise BadInputError(
                "a judges suite has its answers in the rows: leave --models out, and name the "
                "judges by --judge, once for each"
            )
        return
    if not contestants:
        raise BadInputError("nobody is asked: name models by --models A,B")
    if len(contestants) < 2 and suite.kind == SuiteKind.PAIRWISE:
        raise BadInputError("a pairwise suite compares answers: give two models or more (--models)")
    if len({one.label for one in contestants}) < len(contestants):
        raise BadInputError("two of the models are asked in the same words: name each once")


def contestant_of(suite: Suite, named: str) -> Contestant:
    """`model` or `model@prompt`; `BadInputError` for a prompt that the suite does not have."""
    model, at, prompt = named.rpartition("@")
    if not at or prompt not in suite.prompts:
        if at and suite.prompts and "@" not in model:
            known = ", ".join(suite.prompts)
            raise BadInputError(f"the suite {suite.name} has no prompt {prompt!r}, but {known}")
        model, prompt = named, ""
    if not model.strip():
        raise BadInputError("a model's name is empty: give names divided by commas (--models)")
    return Contestant(model=model, prompt=prompt)


def _judges(suite: Suite, named: Sequence[str]) -> list[str]:
    section = suite.judge or suite.grounding
    if section is None:
        if named:
            raise BadInputError(f"nobody judges in a {suite.kind} suite: leave --judge out")
        return []
    judges = list(dict.fromkeys(named)) or ([section.model] if section.model else [])
    if not judges:
        raise BadInputError("the suite needs a judge and names none: give one by --judge")
    if len(judges) > 1 and suite.kind != SuiteKind.JUDGES:
        raise BadInputError(f"a {suite.kind} suite has one judge: give --judge once")
    return judges
