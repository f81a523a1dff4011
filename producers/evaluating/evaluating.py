"""The door for evaluations: plan, submit, and what rows became."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Unpack

from models.errors import BadInputError
from models.payloads import JobSpec
from models.prices import load_prices
from models.store import rows
from models.suites import Contestant, Evaluation, Suite, SuiteKind, load_suite
from models.suites.outcomes import Outcome, to_outcomes
from models.tables import Job
from producers import estimate, fitting, registry, routing
from producers.client import Maestrale
from producers.evaluating import own_models, searching, where
from producers.evaluating.previewing import Previewer
from producers.planning import EvaluationPlan
from producers.readers import KEEP_ONE, OnDuplicate, ReadOptions, read
from producers.submitting import Terms


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is put to what. `models`: names, each perhaps with `@prompt`; a few are compared two by
    two, many with the first. `data` None: the suite's own rows. `attempts` None: as the suite says.
    `named`: what a command calls a suite that is given as an object. `store_model`: what will
    embed a store that is not made yet, for estimates."""

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
    named: str = ""
    store_model: str = ""


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
        evaluation = where.told(evaluation, self._maestrale)
        evaluation = searching.with_store(evaluation, self._maestrale, wish.store_model)
        own_models.check_way(evaluation, wish.via)
        source = wish.data or own_data
        if source is None:
            raise BadInputError(_without_rows(evaluation))
        maestrale = self._maestrale
        settings = maestrale.settings
        if wish.via == "batch":
            models = set(evaluation.models)
            registry.check_no_batches(models, maestrale.store, settings.home)
        previewer = Previewer(evaluation)
        options = ReadOptions(
            id_field=suite.input.id,
            required=previewer.required_fields,
            filled=previewer.filled_fields,
            lift="meta",
            limit=wish.limit,
            on_duplicate=wish.on_duplicate,
            on_stop=KEEP_ONE,
            max_rejected_share=wish.max_rejected_share,
            check=previewer.check,
            fits=_fits(evaluation, previewer, maestrale),
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

    def submit(self, plan: EvaluationPlan, **how: Unpack[Terms]) -> Job:
        """Commits the job, then rings for its first shards; as `Maestrale.submit` does."""
        return self._maestrale.submit(plan, **how)

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


def _fits(evaluation: Evaluation, previewer: Previewer, maestrale: Maestrale) -> fitting.Fits:
    """By what is asked about a row before anybody has answered."""
    template = evaluation.model_dump_json()
    first = previewer.first_requests
    return fitting.Fitting(maestrale, evaluation.models, template, first).problem


def _without_rows(evaluation: Evaluation) -> str:
    """What to hand in for a suite without rows of its own."""
    needed = ", ".join(f"`{name}`" for name in sorted(Previewer(evaluation).required_fields))
    have = f" of rows that have {needed}" if needed else ""
    return (
        f"the suite {evaluation.suite.name} has no rows of its own: name a file{have} by --data "
        "FILE (JSON lines, CSV or Parquet)"
    )


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
    suite = wish.suite if isinstance(wish.suite, str) else wish.named
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
