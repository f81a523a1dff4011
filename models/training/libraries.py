"""What training on a machine of our own takes (the extra `train`), found without importing it."""

import importlib.util
from collections.abc import Sequence

TRAINING = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "gguf")
COUNTING = ("transformers", "tokenizers", "jinja2")
"""For the tokens of a dataset by a base's own tokenizer."""


def lacking(names: Sequence[str]) -> list[str]:
    """Those that this interpreter has not."""
    return [name for name in names if importlib.util.find_spec(name) is None]
