"""Reviews and the evaluations they are made of, put into a database without any call."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from builders import a_stored_job
from sqlalchemy import update

from models.payloads import JobSpec
from models.reviews.votes import Said
from models.states import JobKind, RowState
from models.store import reviews, rows
from models.store.engine import Store
from models.suites import Contestant, Evaluation, Suite
from models.suites.outcomes import Answer, to_record
from models.tables import Review, ReviewPair

ALPHA, OMEGA = "model-alpha-7b", "model-omega-9b"


def a_samples_evaluation(models: Sequence[str] = (ALPHA, OMEGA), **suite: Any) -> Evaluation:
    """Two models asked to rewrite `row.text`; the second, `terse`, by the text alone."""
    told = {
        "name": "tone",
        "kind": "samples",
        "prompts": {
            "guided": {"prompt": "Rewrite warmly.\n{{ row.text }}"},
            "terse": {"prompt": "{{ row.text }}"},
        },
        **suite,
    }
    contestants = []
    for name in models:
        model, _, prompt = name.partition("@")
        contestants.append(Contestant(model=model, prompt=prompt))
    return Evaluation(suite=Suite.model_validate(told), contestants=contestants, attempts=2)


def an_evaluation(
    store: Store,
    answers: Sequence[Mapping[str, Any]],
    *,
    evaluation: Evaluation | None = None,
    state: str = "succeeded",
) -> str:
    """The id of an evaluation's job; of each row what each model said (`None`: unusable), or its
    whole outcomes as a list."""
    told = evaluation or a_samples_evaluation()
    spec = JobSpec(evaluation=told.model_dump(mode="json")).model_dump_json()
    count = len(answers)
    job_id = a_stored_job(
        store, rows_count=count, shard_size=count, state=state, kind=JobKind.EVALUATE, spec=spec,
        name=told.suite.name,
    )  # fmt: skip
    with store.write() as connection:
        for seq, said in enumerate(answers):
            data = {"id": f"r{seq}", "text": f"dry text {seq}"}
            records = [to_record(one) for model, what in said.items() for one in _of(model, what)]
            values = {
                "state": RowState.DONE,
                "data": orjson.dumps(data).decode(),
                "records": orjson.dumps(records).decode(),
                "provenance": "{}",
            }
            where = (rows.rows.c.job_id == job_id, rows.rows.c.seq == seq)
            connection.execute(update(rows.rows).where(*where).values(**values))
    return job_id


def _of(model: str, what: Any) -> list[Answer]:
    if isinstance(what, list):
        return [_answer(model, text, attempt) for attempt, text in enumerate(what, 1)]
    return [_answer(model, what, 1)]


def _answer(model: str, text: str | None, attempt: int) -> Answer:
    if text is None:
        return Answer(model, attempt, text="cut off in the mid", problem="truncated")
    return Answer(model, attempt, text=text, value=text)


def some_pairs(count: int, *, left_is_first: Sequence[bool] = ()) -> list[ReviewPair]:
    """Pairs whose answers tell nothing of whose they are; sides in turns unless given."""
    sides = left_is_first or [no % 2 == 0 for no in range(count)]
    return [
        ReviewPair(
            review_id="",
            no=no,
            row_id=f"row-of-the-data-{no}",
            asked=f"Question {no}?",
            left=f"This is what stands here of {no}.",
            right=f"That is what stands there of {no}.",
            left_is_first=sides[no - 1],
        )
        for no in range(1, count + 1)
    ]


def a_review(
    store: Store, count: int = 4, *, pairs: Sequence[ReviewPair] = (), **changes: Any
) -> Review:
    """A stored review."""
    values = {
        "id": "rev_0123456789",
        "name": "tone",
        "job_id": "job_of_the_review",
        "question": "Which answer is better?",
        "first": ALPHA,
        "second": OMEGA,
        "seed": 4_611_686_018,
        "created_at": 0.0,
    }
    review = Review(**{**values, **changes})
    with store.write() as connection:
        return reviews.create(connection, review, pairs or some_pairs(count))


def judged(store: Store, review: Review, *said: Said) -> bool:
    """Notes judgements as they are."""
    with store.write() as connection:
        return reviews.judge(connection, review.id, said)
