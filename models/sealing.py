"""Seals what must not lie about in the database: the webhooks' secrets (Fernet)."""

import base64
import hashlib
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from models.errors import SetupError
from models.settings import Settings

if TYPE_CHECKING:  # imported where secrets are handled: most processes never need it
    from cryptography.fernet import Fernet

KEY_FILE = "secret.key"


class Sealer:
    """Seals and opens with the key of `MAESTRALE_SECRET_KEY`, else of the home's own key file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fernet: Fernet | None = None

    def seal(self, text: str) -> str:
        """`text`, unreadable without the key."""
        return self._open_fernet().encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises `SetupError` if it was sealed with another key."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 # only where secrets are

        try:
            return self._open_fernet().decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SetupError(
                "a webhook's secret was sealed with another key: give every process the same "
                "MAESTRALE_SECRET_KEY (or the same home)"
            ) from None

    def _open_fernet(self) -> "Fernet":
        if self._fernet is None:
            from cryptography.fernet import Fernet  # noqa: PLC0415 # as above

            given = self._settings.secret_key.get_secret_value()
            digest = hashlib.sha256((given or self._key_of_home()).encode()).digest()
            self._fernet = Fernet(base64.urlsafe_b64encode(digest))
        return self._fernet

    def _key_of_home(self) -> str:
        """The key file below the home, made on first use; readable by its owner only."""
        path = self._settings.home / KEY_FILE
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
            with suppress(FileExistsError):  # another process was first: its key is the key
                os.link(draft, path)
            draft.unlink()
        try:
            return path.read_text("utf-8")
        except OSError as error:
            raise SetupError(f"{path} cannot be read ({error.strerror})") from error
