"""The child that reads rows to a model, without a model: which rows, in which batches, how told."""

from collections.abc import Sequence
from typing import Any

from worker.training.rows import Example
from worker.training.scored import Conversation, Event, Scored, Unscored, batches, from_line
from worker.training.scoring import Reader


class Words:
    """A tokenizer to which each character is a token; a turn is `<role>words;`."""

    eos_token = ";"

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **options: Any) -> str:
        if any(message["content"] == "refuse" for message in conversation):
            raise ValueError("roles must alternate")
        text = "".join(f"<{one['role']}>{one['content']};" for one in conversation)
        return text + ("<assistant>" if options.get("add_generation_prompt") else "")

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        places = [(at, at + 1) for at in range(len(text))]
        return {"input_ids": [ord(letter) for letter in text], "offset_mapping": places}


def learnt(rows: Sequence[Example]) -> list[tuple[float, int]]:
    """A nat for each token that counts."""
    counts = [sum(label >= 0 for label in row.labels[1:]) for row in rows]
    return [(float(count), count) for count in counts]


def a_row(number: int, said: str, asked: str = "?") -> Conversation:
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    return Conversation(id=number, messages=turns)


def answers(*rows: Conversation, seq_len: int = 200, **changes: Any) -> dict[int, Event]:
    given = {"losses": learnt, "is_full": lambda error: False, "tokens_at_once": 100, **changes}
    reader = Reader(tokenizer=Words(), seq_len=seq_len, **given)
    return {told.id: told for told in reader.answers(rows) if isinstance(told, Scored | Unscored)}


def test_only_the_assistants_words_count() -> None:
    """And the token that ends its turn, as in training."""
    assert answers(a_row(0, "four"), a_row(1, "")) == {
        0: Scored(id=0, nll=5.0, tokens=5),
        1: Scored(id=1, nll=1.0, tokens=1),
    }


def test_a_row_that_is_cut_before_its_answer_says_so() -> None:
    """And one that is cut within it counts for what is left."""
    long = a_row(0, "four", asked="x" * 50)
    found = answers(long, a_row(1, "four"), seq_len=22)
    assert isinstance(found[0], Unscored)
    assert found[0].code == "bad_dataset"
    assert found[1] == Scored(id=1, nll=3.0, tokens=3)


def test_a_row_that_the_template_refuses_shows_nothing_of_itself() -> None:
    """The others are read all the same."""
    found = answers(a_row(0, "refuse"), a_row(1, "four"))
    assert isinstance(found[0], Unscored)
    assert (found[0].code, "refuse" in found[0].detail.split("refuses")[0]) == (
        "unsupported",
        False,
    )
    assert isinstance(found[1], Scored)


def test_where_memory_is_short_rows_go_one_by_one() -> None:
    """Only a row that does not fit alone is given up."""

    def losses(rows: Sequence[Example]) -> list[tuple[float, int]]:
        if len(rows) > 1 or len(rows[0].input_ids) > 60:
            raise MemoryError
        return learnt(rows)

    found = answers(
        a_row(0, "four"),
        a_row(1, "x" * 60),
        a_row(2, "two"),
        losses=losses,
        is_full=lambda error: isinstance(error, MemoryError),
    )
    assert {number for number, told in found.items() if isinstance(told, Scored)} == {0, 2}
    assert isinstance(found[1], Unscored)
    assert found[1].code == "out_of_memory"


def test_a_loss_that_is_no_number_is_said() -> None:
    """JSON has no word for it, and a mean would be lost."""
    found = answers(a_row(0, "four"), losses=lambda rows: [(float("nan"), 5)])
    assert isinstance(found[0], Unscored)
    assert found[0].code == "broken"


def test_batches_are_filled_by_their_padded_size() -> None:
    """Short ones together; one that is longer than all there is goes alone."""
    items = [(40, "d"), (10, "a"), (300, "e"), (20, "b"), (30, "c")]
    assert list(batches(items, 100)) == [["a", "b", "c"], ["d"], ["e"]]
    assert list(batches([], 100)) == []


def test_lines_are_read_as_they_were_told() -> None:
    """Half a line of a killed child is none."""
    line = Scored(id=3, nll=1.5, tokens=2).model_dump_json().encode()
    assert from_line(line) == Scored(id=3, nll=1.5, tokens=2)
    assert from_line(line[:10]) is None
