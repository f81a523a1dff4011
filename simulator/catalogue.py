"""The models the simulator knows, and what `GET /v1/models` says of them."""

from typing import Any

from models.requests import SIMULATED

USUAL_MODELS = (
    "mistral-large-latest",
    "mistral-medium-latest",
    "mistral-small-latest",
    "ministral-3b-latest",
    "ministral-8b-latest",
    "ministral-14b-latest",
    "codestral-latest",
    "open-mistral-7b",
    "open-mistral-nemo",
    "mistral-embed",
)
_CREATED = 1_785_542_400  # 2026-08-01
CONTEXT = 131_072
"""Tokens that a model takes, its answer among them."""
_EMBEDDING_CONTEXT = 8_192


def embeds(model: str) -> bool:
    """Embedding models are told by their name."""
    return "embed" in model


def model_card(model: str) -> dict[str, Any]:
    """The card of one model, as `BaseModelCard` of the specification."""
    chats = not embeds(model)
    return {
        "id": model,
        "object": "model",
        "created": _CREATED,
        "owned_by": "mistralai",
        "capabilities": {
            "completion_chat": chats,
            "function_calling": chats,
            "completion_fim": model.startswith("codestral"),
            "fine_tuning": False,
            "vision": False,
            "classification": False,
        },
        "name": model,
        "description": f"{SIMULATED}{model}",
        "max_context_length": CONTEXT if chats else _EMBEDDING_CONTEXT,
        "aliases": [],
        "deprecation": None,
        "default_model_temperature": 0.3 if chats else None,
        "type": "base",
    }


def model_list(models: tuple[str, ...]) -> dict[str, Any]:
    """The cards of all models."""
    return {"object": "list", "data": [model_card(model) for model in models]}
