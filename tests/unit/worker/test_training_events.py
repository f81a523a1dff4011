"""What a run tells travels as lines, and nothing else is taken for it."""

import pytest

from worker.training import (
    Checkpointed,
    Done,
    Evaluated,
    Event,
    Failed,
    Point,
    Result,
    Started,
    Stopped,
    Waiting,
)
from worker.training.events import from_line, to_line

RESULT = Result(
    valid_loss_before=2.9,
    valid_loss_after=1.1,
    train_loss=1.0,
    steps=60,
    seconds=132.5,
    tokens=14_000,
    best_step=40,
    adapter="/runs/a/adapter",
    gguf="",
    base="/bases/small",
    base_gguf="",
    versions={"torch": "2.13.0"},
)
TOLD: list[Event] = [
    Waiting(),
    Started(device="cpu", steps=60, rows=137, tokens=8044, resumed_from=20),
    Point(step=1, epoch=0.1, loss=2.5, learning_rate=1e-4, tokens=480),
    Evaluated(step=0, valid_loss=2.9, valid_accuracy=0.4),
    Checkpointed(step=20, name="checkpoint-20"),
    Done(result=RESULT),
    Failed(code="out_of_memory", detail="a smaller batch may fit"),
    Stopped(step=20),
]


@pytest.mark.parametrize("event", TOLD, ids=lambda event: event.event)
def test_what_is_told_is_heard(event: Event):
    """An event comes out of its line as it went in."""
    assert from_line(to_line(event)) == event


def test_the_device_is_waited_for_by_its_word():
    """The line's word is `for`, which Python keeps to itself."""
    assert to_line(Waiting()) == b'{"event":"waiting","for":"device"}\n'


def test_a_loss_that_is_no_number_is_told_as_none():
    """A diverged run is no line that JSON cannot hold."""
    heard = from_line(to_line(Point(step=3, loss=float("nan"))))
    assert isinstance(heard, Point)
    assert heard.loss is None


@pytest.mark.parametrize("line", [b"", b'{"event":"poi', b'{"event":"else"}', b"Loading 10%"])
def test_other_lines_are_no_events(line: bytes):
    """Half a line of a killed run, or a word of a library's, is passed over."""
    assert from_line(line) is None
