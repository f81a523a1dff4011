"""The embedded store that an evaluation searches: found and checked before anything is paid."""

from models.errors import BadInputError
from models.suites import Asked, Evaluation
from producers.client import Maestrale
from producers.embedding import stores


def with_store(evaluation: Evaluation, maestrale: Maestrale, ahead: str = "") -> Evaluation:
    """The evaluation with its store's file, content and model, where a contestant needs one.

    `ahead`: the model alone, of a store that is not made yet. Raises `BadInputError` where it is
    missing, or was embedded by another model than it has to be.
    """
    told, named = evaluation.suite.retrieval, evaluation.store
    if told is None:
        if named:
            raise BadInputError("nothing is looked up in this suite: leave --store out")
        return evaluation
    asked = Asked(evaluation)
    if not any(map(asked.needs_store, evaluation.contestants)):
        return evaluation.model_copy(update={"store": None})
    if not named:
        raise BadInputError(
            f"the suite {evaluation.suite.name} looks documents up: name a store by --store "
            "(`maestrale stores` lists them, `maestrale embed` makes one)"
        )
    found = None if ahead else stores.find(maestrale, named)
    embedder = found.facts.model if found else ahead
    if told.model and embedder != told.model:
        raise BadInputError(
            f"the store {named} was embedded by {embedder}, and the suite asks for one by "
            f"{told.model}: embed its documents with that model first (`maestrale embed`)"
        )
    if found is None:
        return evaluation.model_copy(update={"store_model": embedder})
    known = {"store": str(found.path), "store_hash": found.facts.hash, "store_model": embedder}
    return evaluation.model_copy(update=known)
