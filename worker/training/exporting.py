"""An adapter of `peft` as llama.cpp reads it; the formulas are of `convert_lora_to_gguf.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

from worker.training.run_folder import RunFolder

ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA}
"""`model_type` of transformers -> llama.cpp's; both are permuted alike."""
_PREFIX = "base_model.model."
_HALVES = {".lora_A.weight": ".lora_a", ".lora_B.weight": ".lora_b"}
_TURNED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}

Array = np.ndarray[Any, np.dtype[Any]]


def export_adapter(run: RunFolder, base: dict[str, Any]) -> Path | None:
    """Writes `adapter.gguf`; None if llama.cpp's names for the base's architecture are not ours.

    `base` is the base's `config.json`.
    """
    if base["model_type"] not in ARCHITECTURES:
        return None
    arch = ARCHITECTURES[base["model_type"]]
    asked = json.loads((run.adapter / "adapter_config.json").read_bytes())
    half = run.gguf.with_suffix(".half")
    writer = gguf.GGUFWriter(half, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(asked["lora_alpha"]))
    weights = load_file(run.adapter / "adapter_model.safetensors")
    for name, tensor in tensors(weights, base, arch):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return half.replace(run.gguf)  # whole from the first moment on


def tensors(
    weights: dict[str, Array], base: dict[str, Any], arch: Any
) -> Iterator[tuple[str, Array]]:
    """The adapter's matrices by llama.cpp's names, turned as its rotary embedding wants them."""
    names = gguf.get_tensor_name_map(arch, base["num_hidden_layers"])
    for name, tensor in sorted(weights.items()):
        module, half = _split(name)
        theirs = names.get_name(module + ".weight", try_suffixes=(".weight",))
        if theirs is None:
            raise ValueError(f"llama.cpp has no name for {module}")
        heads = _TURNED.get(module.rpartition(".")[2])
        if heads and half == ".lora_b":
            tensor = turned(tensor, base[heads])  # noqa: PLW2901 # the same matrix, rows in order
        yield f"{theirs}{half}", np.ascontiguousarray(tensor, dtype=np.float32)


def _split(name: str) -> tuple[str, str]:
    for ending, half in _HALVES.items():
        if name.endswith(ending):
            return name.removeprefix(_PREFIX).removesuffix(ending), half
    raise ValueError(f"{name} is no part of a LoRA adapter")


def turned(matrix: Array, heads: int) -> Array:
    """Rows of each head from (first half, second half) to pairs: llama.cpp rotates neighbours."""
    rows, *rest = matrix.shape
    pairs = matrix.reshape(heads, 2, rows // heads // 2, *rest).swapaxes(1, 2)
    return pairs.reshape(rows, *rest)
