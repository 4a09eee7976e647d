"""`Anthropic(credentials=KeyfobCredentials(client))`: a token for every request, and another one after a 401."""

from __future__ import annotations

import threading

from anthropic.lib.credentials import AccessToken

from . import Client

__all__ = ["KeyfobCredentials"]


class KeyfobCredentials:
    """The SDK says where it sends it, and asks anew before every request: keyfob is the only one that keeps anything."""

    def __init__(self, client: Client, uri: str | None = None):
        self._client, self._uri = client, uri
        self._lock = threading.Lock()
        self._handle: str | None = None

    def for_base_url(self, base_url: str) -> KeyfobCredentials:
        return type(self)(self._client, base_url)

    def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        with self._lock:
            rejected = self._handle if force_refresh else None
        credential = self._client.get(self._uri, rejected=rejected)
        with self._lock:
            self._handle = credential.handle
        return AccessToken(token=credential.token, expires_at=0)
