"""The tokenizer of a base: from its folder, a hub or a GGUF. Needs transformers, and no torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from models.words import printable
from worker.training.problems import TrainingProblem


def load_tokenizer(place: str, **options: Any) -> Any:
    """The tokenizer in a folder or of a hub's name; raises `TrainingProblem` without a template.

    `gguf_file` among the options names the file of the folder that it is taken from.
    """
    tokenizer = told(AutoTokenizer.from_pretrained, place, **options)
    if not tokenizer.chat_template or not tokenizer.is_fast:
        raise TrainingProblem(
            "unsupported", f"{place} has no chat template: take a base made for instructions"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def told(load: Callable[..., Any], place: str, **options: Any) -> Any:
    """Loads, and says what to do when the name is known neither here nor on the hub."""
    try:
        return load(place, **options)
    except (OSError, ValueError) as error:
        said = printable(str(error).strip().partition("\n")[0])
        raise TrainingProblem("base_missing", f"{_advice(place)} ({said})") from error


def _advice(place: str) -> str:
    if Path(place).is_dir():
        return f"what lies in {place} cannot be loaded: give the folder of a whole model"
    return (
        f"{place} cannot be loaded: give a folder, the name of a model on the hub (offline only if"
        " it was fetched before), or smollm2"
    )
