"""How likely a model finds the assistant's words. Importing this takes torch's seconds."""

from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel

from worker.training.bases import Base
from worker.training.loading import load_model, unpack
from worker.training.rows import NOT_LEARNT, Example

TOKENS_AT_ONCE = {"cpu": 1024, "cuda": 8192}
"""Through the model in one piece: their logits over a large vocabulary must fit in memory."""


def load(base: Base, adapter: str) -> Any:
    """The base, with the adapter over it if there is one, as validation has them."""
    if base.is_packed:
        unpack(base)
    model = load_model(base)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    return model.eval()


def longest(model: Any) -> int | None:
    """Tokens that the model was made for; None if it does not say."""
    told = getattr(model.config, "max_position_embeddings", None)
    return int(told) if told else None


def losses(model: Any, rows: Sequence[Example]) -> list[tuple[float, int]]:
    """Summed negative log-likelihood in nats of each row's learnt tokens, and their number."""
    width = max(len(row.input_ids) for row in rows)
    ids, labels, mask = (
        torch.tensor(table, device=model.device)
        for table in (
            [row.input_ids + [0] * (width - len(row.input_ids)) for row in rows],
            [row.labels + [NOT_LEARNT] * (width - len(row.labels)) for row in rows],
            [[1] * len(row.input_ids) + [0] * (width - len(row.input_ids)) for row in rows],
        )
    )
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    wanted = labels[:, 1:]  # each token is foretold by those before it
    learnt = wanted != NOT_LEARNT
    each = torch.nn.functional.cross_entropy(
        logits[:, :-1][learnt].float(), wanted[learnt], reduction="none"
    )
    counts = learnt.sum(dim=1).tolist()
    return [
        (float(part.double().sum()), count)
        for part, count in zip(each.split(counts), counts, strict=True)
    ]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer rows at once might do."""
    is_full = isinstance(error, RuntimeError) and "not enough memory" in str(error)
    return is_full or isinstance(error, torch.OutOfMemoryError | MemoryError)
