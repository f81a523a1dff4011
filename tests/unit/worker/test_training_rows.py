"""Only the assistant's words are learnt, in every turn, and the token that ends it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from worker.training.problems import TrainingProblem
from worker.training.rows import NOT_LEARNT, Example, assistant_spans, example_of, examples

END = "|"
ASKED = {"role": "user", "content": "hi?"}
ANSWERED = {"role": "assistant", "content": "yo!"}


class Letters:
    """A tokenizer with a token per letter and a template like most: role, words, end, new line."""

    eos_token = END

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **options: Any) -> str:
        turns = [f"{turn['role']}:{turn['content']}{END}\n" for turn in conversation]
        return "".join(turns) + ("assistant:" if options["add_generation_prompt"] else "")

    def __call__(self, text: str, **options: Any) -> dict[str, list[Any]]:
        places = [(at, at + 1) for at in range(len(text))]
        return {"input_ids": [ord(letter) for letter in text], "offset_mapping": places}


class Forgetful(Letters):
    """A template that shows no earlier turn of the assistant, as some do with their thoughts."""

    def apply_chat_template(self, conversation: Sequence[dict[str, Any]], **options: Any) -> str:
        *earlier, last = conversation
        kept = [turn for turn in earlier if turn["role"] != "assistant"]
        return super().apply_chat_template([*kept, last], **options)


def learnt(example: Example) -> str:
    return "".join(chr(label) for label in example.labels if label != NOT_LEARNT)


def write(folder: Path, *rows: object) -> Path:
    file = folder / "train.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def test_every_turn_of_the_assistant_is_learnt_and_nothing_else():
    """Its words and its end: not the role before them, nor the line break behind."""
    example = example_of([ASKED, ANSWERED, ASKED, ANSWERED], None, Letters())
    assert learnt(example) == "yo!|yo!|"
    assert [label for label in example.labels if label != NOT_LEARNT] == [
        token
        for token, label in zip(example.input_ids, example.labels, strict=True)
        if token == label
    ]


def test_a_longer_row_is_cut_and_one_without_answer_left_out(tmp_path: Path):
    """`user:hi?|\\n` and `assistant:` are 20 letters: at 22 half an answer is left."""
    file = write(tmp_path, {"messages": [ASKED, ANSWERED]})
    (example,) = examples(file, Letters(), 22)
    assert (len(example.input_ids), learnt(example)) == (22, "yo")
    with pytest.raises(TrainingProblem, match="within 16 tokens") as caught:
        examples(file, Letters(), 16)
    assert caught.value.code == "bad_dataset"


def test_a_line_ends_where_json_lines_end(tmp_path: Path):
    """U+2028 and the like stand within texts as they are, and end no row."""
    file = tmp_path / "train.jsonl"
    asked = {"role": "user", "content": "a\u2028b\x85c"}
    file.write_bytes(json.dumps({"messages": [asked, ANSWERED]}, ensure_ascii=False).encode())
    (example,) = examples(file, Letters(), 99)
    assert learnt(example) == "yo!|"


@pytest.mark.parametrize(
    "row", [{"text": "no chat"}, {"messages": [ASKED]}, {"messages": "?"}, ["nothing"]]
)
def test_a_line_that_is_no_chat_is_named(tmp_path: Path, row: object):
    """By its number, and without its words."""
    file = write(tmp_path, {"messages": [ASKED, ANSWERED]}, row)
    with pytest.raises(TrainingProblem, match=r"line 2: ") as caught:
        examples(file, Letters(), 99)
    assert "no chat" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    """A dataset that was there when the run was asked for may be gone."""
    with pytest.raises(TrainingProblem, match="cannot be read"):
        examples(tmp_path / "train.jsonl", Letters(), 99)


def test_a_template_that_rewrites_earlier_turns_is_refused():
    """Its spans would be wrong; a row with one answer is fine."""
    with pytest.raises(TrainingProblem, match="rewrites earlier turns"):
        list(assistant_spans([ASKED, ANSWERED, ASKED, ANSWERED], None, Forgetful()))
    assert learnt(example_of([ASKED, ANSWERED], None, Forgetful())) == "yo!|"
