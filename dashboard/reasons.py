"""Why rows fail, and what to do about it: a sentence for each name. Pure."""

from collections.abc import Mapping

from models.states import FailureCode

MEANINGS: Mapping[str, str] = {
    FailureCode.INVALID_ANSWER: "The answer did not fit the schema, neither did the re-asked one.",
    FailureCode.TRUNCATED: "The answer was cut at its length: raise max_tokens in the recipe.",
    FailureCode.EMPTY_ANSWER: "The model answered with nothing.",
    FailureCode.REFUSED: "The model, or the provider's guardrail, declined to answer.",
    FailureCode.BAD_ROW: "The row lacks what the recipe's template reads.",
    FailureCode.REQUEST_REJECTED: "The API called the request wrong: asking again will not help.",
    FailureCode.SERVER_ERROR: "The API's errors outlasted all attempts: retry when it is well.",
    FailureCode.UNCERTAIN: "Perhaps paid without an answer, and the job says to hold then.",
    FailureCode.TRAINING_FAILED: "The training ended without a model: the detail says why.",
    FailureCode.MODEL_FAILED: "A model of our own could not be loaded: the detail says why.",
    FailureCode.POISON: "The worker died three times with this row in hand.",
    FailureCode.INTERNAL: "A bug on our side: please report it.",
}
"""What each `FailureCode` tells its reader."""
