"""`requests.get(url, auth=KeyfobAuth(client))`: the credential, and once another one after a 401."""

from __future__ import annotations

from functools import partial
from typing import Any

import requests
from requests.utils import rewind_body

from . import Client, Credential
from ._headers import other, put

__all__ = ["KeyfobAuth"]


class KeyfobAuth(requests.auth.AuthBase):
    def __init__(self, client: Client):
        self._client = client

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        credential = self._client.get(request.url)
        put(request.headers, credential)
        request.register_hook("response", partial(self._answered, credential))
        return request

    def _answered(self, credential: Credential, response: requests.Response, **options: Any) -> requests.Response:
        request = response.request
        if response.is_redirect:
            # It takes `Authorization` away itself where the host is another one, and no other header.
            request.headers.pop("X-Api-Key", None)
        if response.status_code != 401:
            return response
        again = other(self._client, request.url or "", request.headers, credential)
        position = getattr(request, "_body_position", None)
        if again is None or not (request.body is None or isinstance(request.body, (str, bytes)) or isinstance(position, int)):
            return response  # What was streamed cannot be sent twice. The next request has the new one.
        response.content  # noqa: B018: it is read to its end, and the connection is free.
        response.close()
        repeated = request.copy()
        if isinstance(position, int):
            rewind_body(repeated)
        put(repeated.headers, again)
        second: requests.Response = response.connection.send(repeated, **options)
        second.history.append(response)
        second.request = repeated
        return second
