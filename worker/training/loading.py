"""Base models in memory: from a folder, a hub or a GGUF, on the device there is."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from worker.training.bases import Base
from worker.training.tokenizing import told


def device() -> str:
    """`cuda` where there is one, or else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_model(base: Base) -> Any:
    """The base's weights: fp32 on a CPU; on a GPU bf16, in 4 bits where bitsandbytes is there."""
    if device() == "cpu":
        return told(AutoModelForCausalLM.from_pretrained, base.place, dtype=torch.float32)
    options: dict[str, Any] = {"dtype": torch.bfloat16, "device_map": {"": 0}}
    if importlib.util.find_spec("bitsandbytes"):
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_use_double_quant=True,
        )
    return told(AutoModelForCausalLM.from_pretrained, base.place, **options)


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
