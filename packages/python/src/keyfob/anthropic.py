"""`Anthropic(credentials=KeyfobCredentials(client))`: a token for every request, and another one after a 401."""

from __future__ import annotations

import threading
import time

from anthropic.lib.credentials import AccessToken

from . import Client

__all__ = ["KeyfobCredentials"]

# How long after another credential came a 401 may still be for the one before it.
_OVERLAP = 10.0


class KeyfobCredentials:
    """The SDK says where it sends it, and asks anew before every request: keyfob is the only one that keeps anything."""

    def __init__(self, client: Client, uri: str | None = None):
        self._client, self._uri = client, uri
        self._lock = threading.Lock()
        self._handle: str | None = None
        self._former: str | None = None
        self._changed = float("-inf")

    def for_base_url(self, base_url: str) -> KeyfobCredentials:
        return type(self)(self._client, base_url)

    def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        # The SDK does not say which token was rejected. Requests that overlapped may all have a 401 for the former one, of which the
        # first has brought another: keyfob renews only what is named as the newest, and for the former just gives that.
        with self._lock:
            is_new = time.monotonic() - self._changed < _OVERLAP
            rejected = (self._former if is_new else self._handle) if force_refresh else None
        credential = self._client.get(self._uri, rejected=rejected)
        with self._lock:
            if credential.handle != self._handle:
                if self._handle:
                    self._former, self._changed = self._handle, time.monotonic()
                self._handle = credential.handle
        return AccessToken(token=credential.token, expires_at=0)
