"""What training on a machine of our own takes (the extra `train`)."""

TRAINING = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "gguf")
COUNTING = ("transformers", "tokenizers", "jinja2")
"""For the tokens of a dataset by a base's own tokenizer."""
