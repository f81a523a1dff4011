"""When a run validates, saves and gives up."""

from math import inf, nan

import pytest
from test_training_run_folder import a_spec

from worker.training import pacing


def due(**spec: object) -> list[int]:
    asked = a_spec(**spec)
    return [step for step in range(1, asked.steps + 1) if pacing.is_due(step, asked)]


def test_a_run_validates_each_tenth_and_at_its_end():
    """Unless the spec says how often; the last step is always due."""
    assert due(steps=25) == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 25]
    assert due(steps=5) == [1, 2, 3, 4, 5]
    assert due(steps=50, eval_every=20) == [20, 40, 50]
    assert due(steps=5, eval_every=20) == [5]


@pytest.mark.parametrize(
    ("batch", "seq_len", "rows"), [(8, 256, 8), (8, 512, 4), (6, 512, 3), (7, 512, 1), (8, 9999, 1)]
)
def test_a_batch_is_cut_into_equal_pieces_that_fit(batch: int, seq_len: int, rows: int):
    """Here 2048 tokens fit at once; one row always goes through."""
    spec = a_spec(batch_size=batch, seq_len=seq_len)
    assert pacing.micro_batch(spec, 2048) == rows


def test_the_loss_before_training_is_no_candidate():
    """The first of the lowest is best; a loss that is no number never is."""
    history = [
        {"step": 0, "eval_loss": 0.5},
        {"step": 5, "loss": 0.1},
        {"step": 10, "eval_loss": nan},
        {"step": 20, "eval_loss": 1.0},
        {"step": 30, "eval_loss": 1.0},
    ]
    losses = pacing.valid_losses(history)
    assert losses == {0: 0.5, 10: inf, 20: 1.0, 30: 1.0}
    assert pacing.best_step(losses) == 20
    assert pacing.best_step({0: 0.5}) is None


def test_patience_ends_after_that_many_validations_without_a_better_one():
    """Never with a patience of 0, and never before anything was validated."""
    losses = {10: 2.0, 20: 1.0, 30: 1.1, 40: 1.2}
    assert pacing.has_lost_patience(losses, 2)
    assert not pacing.has_lost_patience(losses, 3)
    assert not pacing.has_lost_patience(losses, 0)
    assert not pacing.has_lost_patience({}, 1)
