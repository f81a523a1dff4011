"""Models of our own that rows are read to: named so that a worker finds them, before anything."""

from models.errors import BadInputError
from models.store import registry
from models.store.engine import Store
from models.suites import Contestant, Evaluation, SuiteKind
from producers import registry as registry_files
from producers.datasets.by_base import place_of


def placed(evaluation: Evaluation, store: Store) -> Evaluation:
    """A suite of perplexity with its bases by their whole paths; any other with models that were
    tuned over there by the provider's ids.

    Raises `BadInputError` for models that cannot be read to.
    """
    if evaluation.suite.kind != SuiteKind.PERPLEXITY:
        return _called(evaluation, store)
    found = [_placed(one, store) for one in evaluation.contestants]
    return evaluation.model_copy(update={"contestants": found})


def _called(evaluation: Evaluation, store: Store) -> Evaluation:
    asked = [
        one.model_copy(update={"model": registry_files.called(one.model, store)})
        for one in evaluation.contestants
    ]
    judges = [registry_files.called(name, store) for name in evaluation.judges]
    return evaluation.model_copy(update={"contestants": asked, "judges": judges})


def check_way(evaluation: Evaluation, via: str) -> None:
    """Raises `BadInputError` for a way that calls go, where none are made."""
    if evaluation.suite.kind == SuiteKind.PERPLEXITY and via != "realtime":
        raise BadInputError(
            "a perplexity suite reads rows to models on your own machine, which has no batches: "
            "leave --via out"
        )


def _placed(contestant: Contestant, store: Store) -> Contestant:
    name = contestant.model
    with store.read() as connection:
        known = registry.by_name(connection, name)
    if known is not None:
        if known.trainer != "local":
            raise BadInputError(
                f"{name} lies with the provider, who tells no losses: leave it out of --models"
            )
        return contestant
    place = place_of(name)
    if place == name and (name.startswith((".", "/", "~")) or name.endswith(".gguf")):
        raise BadInputError(
            f"there is no model at {name}: give a name of the registry, a folder or .gguf file "
            "of a base, or the name of one on the hub"
        )
    return contestant.model_copy(update={"model": place})
