"""What a child that loads models sees of our environment. Pure."""

from collections.abc import Mapping
from typing import Final

_NOT_ITS_BUSINESS: Final = (
    "DATABASE_URL",
    "MAESTRALE_SECRET_KEY",
    "MISTRAL_API_KEY",
    "REDIS_URL",
)
_ITS_HABITS: Final = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin starve each other on a busy machine
    "PYTHONSAFEPATH": "1",  # a models.py where the user stands is not ours
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def of_child(ours: Mapping[str, str]) -> dict[str, str]:
    """Our environment without keys and addresses of ours, with habits that libraries need."""
    kept = {name: value for name, value in ours.items() if name not in _NOT_ITS_BUSINESS}
    return _ITS_HABITS | kept
