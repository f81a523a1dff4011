"""Tokens of a dataset's rows, by the tokenizer of the model that will learn from them."""

import importlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from models.errors import BadInputError, SetupError
from models.words import printable
from producers import tokens as offline
from producers.datasets.manifest import Lengths, PartTokens, Tokens
from producers.datasets.shaping import Row, asked_and_answered, texts_of
from producers.datasets.templating import chat_template

_TEKKEN = "tekken_240911.json"


class RowTokens(Protocol):
    """Counts tokens of rows."""

    name: str
    exact: bool

    def count(self, row: Mapping[str, Any]) -> tuple[int, int]:
        """(all tokens as the model reads the row, those that it learns from)."""


class MistralTokens:
    """By mistral-common with the template of its Tekken tokenizer (v3); a guess without it."""

    def __init__(self) -> None:
        counter = offline.token_counter()
        self._count_text = counter.count
        self.exact = counter.exact
        self._encode = _mistral_template() if counter.exact else None
        self.name = f"mistral-common ({_TEKKEN})" if counter.exact else "guessed: characters / 4"

    def count(self, row: Mapping[str, Any]) -> tuple[int, int]:
        """With control tokens. What the template refuses is counted by its texts."""
        messages = row.get("messages")
        answered = 0 if "labels" in row else _of_assistant(row, self._count_text)
        if self._encode is not None and isinstance(messages, list):
            with suppress(Exception):  # as many as the library has; `validate` names them
                return self._encode(messages, row.get("tools")), answered
        return sum(map(self._count_text, asked_and_answered(row))), answered


class FolderTokens:
    """By a model folder's `tokenizer.json`, through its chat template where it has one."""

    def __init__(self, folder: Path) -> None:
        self.name, self.exact = f"tokenizers ({folder.name}/tokenizer.json)", True
        tokenizer = _tokenizer_of(folder / "tokenizer.json")
        self._count_text: Callable[[str], int] = lambda text: len(
            tokenizer.encode(text, add_special_tokens=False).ids
        )
        self._render = chat_template(folder)
        if self._render is None:
            self.name += ", without a chat template"

    def count(self, row: Mapping[str, Any]) -> tuple[int, int]:
        """Texts of labelled rows are counted as they are."""
        answered = 0 if "labels" in row else _of_assistant(row, self._count_text)
        if self._render is not None and isinstance(row.get("messages"), list):
            return self._count_text(self._render(row)), answered
        return sum(map(self._count_text, asked_and_answered(row))), answered


@cache
def tokenizer_for(model: str = "") -> RowTokens:
    """By a local model folder, or (no model, or a model of Mistral's) mistral-common.

    Raises `BadInputError` for a folder without `tokenizer.json` and for what is neither.
    """
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        if not (folder / "tokenizer.json").is_file():
            raise BadInputError(f"{folder} has no tokenizer.json: give the model's own folder")
        return FolderTokens(folder)
    if model and not model.lower().startswith(("mistral", "ministral", "open-mi", "codestral")):
        raise BadInputError(
            f"the tokenizer of {printable(model, 80)!r} is not to be had here: give a local folder "
            "with tokenizer.json, or leave --model out for Mistral's"
        )
    return MistralTokens()


def count_part(rows: Iterable[Row], tokenizer: RowTokens) -> PartTokens:
    """Tokens of one part; a row costs eight bytes of memory, and some fifty once all are ranked."""
    sizes, answered = array("q"), 0
    for row in rows:
        size, learnt = tokenizer.count(row)
        sizes.append(size)
        answered += learnt
    return PartTokens(all=lengths(sizes), assistant=answered)


def count_parts(parts: Mapping[str, Iterable[Row]], tokenizer: RowTokens) -> Tokens:
    """Tokens of all parts."""
    found = {part: count_part(rows, tokenizer) for part, rows in parts.items()}
    return Tokens(tokenizer=tokenizer.name, exact=tokenizer.exact, parts=found)


def lengths(sizes: "array[int]") -> Lengths:
    """Total, median, 95th percentile (the first size above that share) and longest."""
    if not sizes:
        return Lengths()
    ranked = sorted(sizes)
    p50, p95 = (ranked[min(len(ranked) - 1, int(len(ranked) * part))] for part in (0.5, 0.95))
    return Lengths(total=sum(ranked), p50=p50, p95=p95, longest=ranked[-1])


def _of_assistant(row: Mapping[str, Any], count: Callable[[str], int]) -> int:
    """Tokens of the assistant's texts, and one for the end of each."""
    said = [m for m in row.get("messages") or () if m.get("role") == "assistant"]
    return sum(1 + sum(map(count, texts_of(message))) for message in said)


def _mistral_template() -> Callable[[list[Any], list[Any] | None], int]:
    import mistral_common  # noqa: PLC0415 # half a second
    from mistral_common.protocol.instruct.request import (  # noqa: PLC0415 # as above
        ChatCompletionRequest,
    )
    from mistral_common.protocol.instruct.validator import (  # noqa: PLC0415 # as above
        ValidationMode,
    )
    from mistral_common.tokens.tokenizers.mistral import (  # noqa: PLC0415 # as above
        InstructTokenizerV3,
        MistralTokenizer,
        get_normalizer,
        get_validator,
        load_image_encoder,
    )

    path = Path(str(mistral_common.__file__)).parent / "data" / _TEKKEN
    tekken = offline.tekkenizer(path)  # `from_file` would load it a second time
    images = None if tekken.image is None else load_image_encoder(tekken.image, tekken)
    tokenizer: MistralTokenizer[Any, Any, Any, Any, Any] = MistralTokenizer(
        InstructTokenizerV3(tekken, image_encoder=images),
        validator=get_validator(tekken.version, mode=ValidationMode.finetuning),
        request_normalizer=get_normalizer(tekken.version, tekken.model_settings_builder),
    )

    def encode(messages: list[Any], tools: list[Any] | None) -> int:
        asked = {"messages": messages, "tools": tools}
        request = ChatCompletionRequest.model_validate(asked)
        return len(tokenizer.encode_chat_completion(request).tokens)

    return encode


def _tokenizer_of(path: Path) -> Any:
    try:
        library = importlib.import_module("tokenizers")
    except ImportError as error:
        raise SetupError(
            "counting with a model's own tokenizer needs the extra `train`: "
            "pip install 'maestrale[train]'"
        ) from error
    try:
        return library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        told = printable(str(error), 200)
        raise BadInputError(f"{path} is no tokenizer ({told}): copy the model anew") from error
