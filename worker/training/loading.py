"""Base models in memory: from a folder, a hub or a GGUF, on the device there is."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from worker.training.bases import Base
from worker.training.problems import TrainingProblem


def device() -> str:
    """`cuda` where there is one, or else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(base: Base) -> Any:
    """The base's tokenizer; raises `TrainingProblem` if it has no chat template."""
    tokenizer = _told(AutoTokenizer.from_pretrained, base)
    if not tokenizer.chat_template or not tokenizer.is_fast:
        raise TrainingProblem(
            "unsupported", f"{base.place} has no chat template: take a base made for instructions"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(base: Base) -> Any:
    """The base's weights: fp32 on a CPU; on a GPU bf16, in 4 bits where bitsandbytes is there."""
    if device() == "cpu":
        return _told(AutoModelForCausalLM.from_pretrained, base, dtype=torch.float32)
    options: dict[str, Any] = {"dtype": torch.bfloat16, "device_map": {"": 0}}
    if importlib.util.find_spec("bitsandbytes"):
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_use_double_quant=True,
        )
    return _told(AutoModelForCausalLM.from_pretrained, base, **options)


def _told(load: Any, base: Base, **options: Any) -> Any:
    """Loads, and says what to do when the name is known neither here nor on the hub."""
    try:
        return load(base.place, **options)
    except (OSError, ValueError) as error:
        raise TrainingProblem(
            "base_missing",
            f"{base.place} cannot be loaded ({type(error).__name__}): give a folder, the name of a"
            " model on the hub (offline only if it was fetched before), or smollm2; see the log",
        ) from error


def unpack(base: Base) -> None:
    """Makes a plain folder of a GGUF, once; a kill in between leaves none.

    Loaded from a GGUF, a model calls itself quantized and refuses to be saved: its weights go
    into a plain one of the same shape.
    """
    assert base.gguf is not None
    place = Path(base.place)
    half = place.with_name(place.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    folder, name = str(base.gguf.parent), base.gguf.name
    packed = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    plain = _plain_copy(packed)
    plain.save_pretrained(half)
    tokenizer.save_pretrained(half)
    half.rename(place)


def _plain_copy(packed: Any) -> Any:
    config = packed.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(packed.state_dict())
    plain.generation_config = packed.generation_config
    return plain
