"""Rows read to real models by real torch: the losses are those of the trainer's own validation."""

import json
from pathlib import Path

import pytest
from test_local_training import (
    PYTHON,
    SLOW_S,
    TINY,
    _extra,  # noqa: F401 # it skips this module too where torch is missing
    a_dataset,
    a_spec,
    python,
    result,
    told,
)

from worker.training.scored import Conversation, Reading, Scored, Unscored
from worker.training.scorer import Scorer, Told


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that knows nothing, with a real tokenizer."""
    folder = tmp_path_factory.mktemp("tiny")
    python(TINY, str(folder))
    return folder


async def read(reading: Reading, rows: list[Conversation], home: Path) -> list[Told]:
    """What one child tells of the rows, in their order."""
    scorer = await Scorer.start(reading, home=home, python=PYTHON)
    try:
        found = [told async for told in scorer.score(rows)]
    finally:
        await scorer.stop()
    return sorted(found, key=lambda told: getattr(told, "id", -1))


def mean(found: list[Told]) -> float:
    scored = [one for one in found if isinstance(one, Scored)]
    assert len(scored) == len(found), found
    return sum(one.nll for one in scored) / sum(one.tokens for one in scored)


@pytest.mark.timeout(SLOW_S)
async def test_losses_are_those_of_the_trainings_validation(tiny: Path, tmp_path: Path) -> None:
    """The base's before training, the adapter's after it: the same rows, tokens and masks."""
    dataset = a_dataset(tmp_path / "data")
    trained = result(await told(tmp_path / "run", a_spec(tiny, dataset), tmp_path))
    lines = (Path(dataset.folder) / "validation.jsonl").read_text().splitlines()
    rows = [
        Conversation(id=number, messages=json.loads(line)["messages"])
        for number, line in enumerate(lines)
    ]
    before = await read(Reading(str(tiny), seq_len=128), rows, tmp_path)
    after = await read(Reading(str(tiny), trained.adapter, seq_len=128), rows, tmp_path)
    assert mean(before) == pytest.approx(trained.valid_loss_before, rel=1e-4)
    assert mean(after) == pytest.approx(trained.valid_loss_after, rel=1e-4)
    assert mean(after) < mean(before)


@pytest.mark.timeout(SLOW_S)
async def test_a_row_costs_the_same_alone_and_among_others(tiny: Path, tmp_path: Path) -> None:
    """Padding and order change nothing; a row that is cut before its answer says so."""
    rows = [
        Conversation(
            id=number,
            messages=[
                {"role": "user", "content": "word " * length},
                {"role": "assistant", "content": "answer " * (number + 1)},
            ],
        )
        for number, length in enumerate((60, 2, 30, 400, 7))
    ]
    reading = Reading(str(tiny), seq_len=200)
    together = await read(reading, rows, tmp_path)
    alone = [(await read(reading, [rows[number]], tmp_path))[0] for number in (0, 1)]
    for one, other in zip(alone, together, strict=False):
        assert isinstance(one, Scored)
        assert isinstance(other, Scored)
        assert one.tokens == other.tokens
        assert one.nll == pytest.approx(other.nll, rel=1e-4)
    assert isinstance(together[3], Unscored)
    assert "within the first 200 tokens" in together[3].detail
