"""Rows of a dataset as a trainer takes them: token ids, and which of them are learnt (pure)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from worker.training.problems import TrainingProblem

NOT_LEARNT: Final = -100
"""The label of a token that does not count, as torch and transformers have it."""

Message = dict[str, Any]
Span = tuple[int, int]


class Tokenizer(Protocol):
    """What we need of a tokenizer of transformers."""

    eos_token: str | None

    def apply_chat_template(self, conversation: Sequence[Message], **options: Any) -> Any:
        """The conversation as text, with `tokenize=False`."""

    def __call__(self, text: str, **options: Any) -> Any:
        """Token ids and, if asked, where in the text each stands."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its tokens, and the same as labels with `NOT_LEARNT` outside the assistant's."""

    input_ids: list[int]
    labels: list[int]

    @property
    def learns(self) -> bool:
        """Whether anything is left to learn, once cut."""
        return any(label != NOT_LEARNT for label in self.labels)

    def cut(self, seq_len: int) -> "Example":
        """Its first tokens, so many at most."""
        return Example(self.input_ids[:seq_len], self.labels[:seq_len])


def examples(file: Path, tokenizer: Tokenizer, seq_len: int) -> list[Example]:
    """The rows of a file, cut to `seq_len` tokens; rows cut before an answer are left out.

    Raises `TrainingProblem` for a line that is no chat row, or if no row is left.
    """
    found = (whole.cut(seq_len) for whole in whole_examples(file, tokenizer))
    left = [example for example in found if example.learns]
    if not left:
        raise TrainingProblem(
            "bad_dataset",
            f"{file} has no row whose answer begins within {seq_len} tokens: raise the"
            " length of rows, or shorten the prompts",
        )
    return left


def whole_examples(file: Path, tokenizer: Tokenizer) -> Iterator[Example]:
    """The rows of a file as they are, however long, one after the other.

    Raises `TrainingProblem` for a line that is no chat row.
    """
    for messages, tools in _chats(file):
        yield example_of(messages, tools, tokenizer)


def _chats(file: Path) -> Iterator[tuple[list[Message], list[Message] | None]]:
    try:
        with file.open("rb") as lines:  # bytes: U+2028 within a text ends no line
            for number, line in enumerate(lines, start=1):
                yield _chat(line, f"{file}, line {number}")
    except OSError as error:
        raise TrainingProblem("bad_dataset", f"{file} cannot be read: {error.strerror}") from None


def _chat(line: bytes, where: str) -> tuple[list[Message], list[Message] | None]:
    try:
        row = json.loads(line)
        messages = row["messages"]
        assistants = sum(message["role"] == "assistant" for message in messages)
    except (ValueError, KeyError, TypeError):
        raise TrainingProblem("bad_dataset", f"{where}: no row with messages") from None
    if not assistants:
        raise TrainingProblem("bad_dataset", f"{where}: the assistant says nothing in it")
    return messages, row.get("tools")


def example_of(
    messages: list[Message], tools: list[Message] | None, tokenizer: Tokenizer
) -> Example:
    """One conversation; learnt are the assistant's words and the token that ends its turn."""
    text = _rendered(tokenizer, messages, tools)
    spans = list(assistant_spans(messages, tools, tokenizer))
    done = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pairs = list(zip(done["input_ids"], done["offset_mapping"], strict=True))
    labels = [token if _is_within(place, spans) else NOT_LEARNT for token, place in pairs]
    return Example([token for token, _ in pairs], labels)


def assistant_spans(
    messages: list[Message], tools: list[Message] | None, tokenizer: Tokenizer
) -> Iterator[Span]:
    """Where the assistant's turns stand in the rendered text.

    Found by rendering the conversation up to each turn and with it, so no template needs
    generation tags. Raises `TrainingProblem` for a template that renders earlier turns otherwise.
    """
    whole = _rendered(tokenizer, messages, tools)
    for index, message in enumerate(messages):
        if message["role"] == "assistant":
            before = _rendered(tokenizer, messages[:index], tools, add_generation_prompt=True)
            is_last = index + 1 == len(messages)
            upto = whole if is_last else _rendered(tokenizer, messages[: index + 1], tools)
            if not (whole.startswith(upto) and upto.startswith(before)):
                raise TrainingProblem(
                    "unsupported",
                    "the chat template of this base rewrites earlier turns: train on rows with one"
                    " answer each, or take another base",
                )
            yield len(before), _end_of_turn(upto, tokenizer.eos_token)


def _end_of_turn(text: str, eos: str | None) -> int:
    """Behind the token that ends the turn; the line break after it is not the assistant's."""
    trimmed = text.rstrip()
    return len(trimmed) if eos and trimmed.endswith(eos) else len(text)


def _is_within(place: Span, spans: list[Span]) -> bool:
    start, end = place
    return any(first <= start and end <= last and start < end for first, last in spans)


def _rendered(
    tokenizer: Tokenizer,
    messages: list[Message],
    tools: list[Message] | None,
    *,
    add_generation_prompt: bool = False,
) -> str:
    text = tokenizer.apply_chat_template(
        messages, tools=tools, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    return str(text)
