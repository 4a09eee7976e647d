"""A backend for `keyring`, which twine and others ask for the password of an index: the token, for the hosts of the environment
alone. Of everything else it knows nothing, and it keeps nothing. `PYTHON_KEYRING_BACKEND=keyfob.keyring.KeyfobKeyring` chooses it."""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential
from keyring.errors import KeyringError, PasswordSetError

from . import Client, Error

__all__ = ["KeyfobKeyring"]


class KeyfobKeyring(KeyringBackend):
    priority = 9
    _client: Client | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if "://" not in service:
            return None
        try:
            self._client = self._client or Client()
            return self._client.token(service)
        except Error as error:
            if error.id == "url-not-approved":
                return None
            raise KeyringError(str(error)) from error

    def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
        """For pip and others that name no user."""
        password = self.get_password(service, username or "oauth2")
        return None if password is None else SimpleCredential(username or "oauth2", password)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("keyfob keeps no passwords")
