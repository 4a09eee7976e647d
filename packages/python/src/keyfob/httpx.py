"""`httpx.Client(auth=KeyfobAuth(client))`, and the same for `AsyncClient`: the credential, and once another one after a 401."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import partial

import anyio.to_thread
import httpx

from . import Client, Credential
from ._headers import other, put

__all__ = ["KeyfobAuth"]


class KeyfobAuth(httpx.Auth):
    """Where redirects are followed, httpx takes `Authorization` away from a request to another host, and no other header."""

    def __init__(self, client: Client):
        self._client = client

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        credential = self._client.get(str(request.url))
        put(request.headers, credential)
        response = yield request
        if _is_rejected(request, response):
            if self._again(request, other(self._client, str(request.url), request.headers, credential)):
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        credential = await anyio.to_thread.run_sync(self._client.get, str(request.url), abandon_on_cancel=True)
        put(request.headers, credential)
        response = yield request
        if _is_rejected(request, response):
            ask = partial(other, self._client, str(request.url), request.headers, credential)
            if self._again(request, await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)):
                yield request

    @staticmethod
    def _again(request: httpx.Request, credential: Credential | None) -> bool:
        """What was streamed cannot be sent twice. The next request has the new credential."""
        if credential is None or not isinstance(request.stream, httpx.ByteStream):
            return False
        put(request.headers, credential)
        return True


def _is_rejected(request: httpx.Request, response: httpx.Response) -> bool:
    """Another host, to which a redirect led, has rejected nothing: it was not sent there."""
    return response.status_code == 401 and response.url.netloc == request.url.netloc
