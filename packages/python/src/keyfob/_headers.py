"""What the adapters have in common: the headers of a credential on a request."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from . import Client, Credential, Error

SECRET = ("authorization", "x-api-key")


def put(headers: MutableMapping[str, Any], credential: Credential) -> None:
    """A header that is a list, as `anthropic-beta` is, is added to what is sent anyway."""
    for name, value in credential.headers.items():
        there = headers.get(name)
        if there and name.lower() not in SECRET:
            values = [part.strip() for part in there.split(",")]
            value = there if value in values else f"{there}, {value}"
        headers[name] = value


def other(client: Client, uri: str, sent: MutableMapping[str, Any], credential: Credential) -> Credential | None:
    """After a 401: what to send instead, or `None` where that makes no difference. What was not sent, since a redirect led to
    another host, was not rejected."""
    was_sent = all(sent.get(name) == value for name, value in credential.headers.items() if name.lower() in SECRET)
    if was_sent and not credential.handle:
        return None
    try:
        return client.get(uri, profile=credential.profile, kind=credential.kind, rejected=credential.handle if was_sent else None)
    except Error as error:
        if error.id == "url-not-approved":
            return None
        raise
