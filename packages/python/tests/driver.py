"""Does what it is told, a line of JSON each: the tests of keyfob run the same with the packages of all languages. mypy holds
it to the types of the package."""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keyfob


def told(call: Callable[[], keyfob.Credential]) -> dict[str, Any]:
    try:
        credential = call()
    except keyfob.Error as error:
        words = ("id", "cause", "what", "why", "hint", "exit_code")
        return {"error": {name: getattr(error, name) for name in words if getattr(error, name) is not None}}
    names = keyfob.Credential.__dataclass_fields__
    return {name: getattr(credential, name) for name in names if name != "warning" or credential.warning}


def fetch(auth: str, url: str) -> Any:
    if auth == "requests":
        import requests

        import keyfob.requests

        return requests.get(url, auth=keyfob.requests.KeyfobAuth(client), timeout=60).status_code
    if auth == "anthropic, two 401s for one token":
        import keyfob.anthropic

        provider = keyfob.anthropic.KeyfobCredentials(client, url)
        return [provider(force_refresh=force).token for force in (False, True, True, False)]
    if auth == "anthropic":
        import anthropic

        import keyfob.anthropic

        sdk = anthropic.Anthropic(
            credentials=keyfob.anthropic.KeyfobCredentials(client), base_url=url.removesuffix("/v1/whoami")
        )
        return whose(sdk.get("/v1/whoami", cast_to=object))
    if auth == "openai":
        import openai

        base = url.removesuffix("/whoami")
        return whose(openai.OpenAI(api_key=lambda: client.token(base), base_url=base, max_retries=0).get("/whoami", cast_to=object))
    import httpx

    import keyfob.httpx

    if auth == "httpx":
        with httpx.Client(auth=keyfob.httpx.KeyfobAuth(client), timeout=60) as http:
            return http.get(url).status_code
    import asyncio

    async def ask() -> int:
        async with httpx.AsyncClient(auth=keyfob.httpx.KeyfobAuth(client), timeout=60) as http:
            return (await http.get(url)).status_code

    return asyncio.run(ask())


def whose(said: Any) -> Any:
    return said["account_uuid"]


def forked(question: dict[str, Any]) -> Any:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(told(lambda: client.get(**question))).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        return json.load(pipe)


def closing(number: int) -> dict[str, Any]:
    """Asks, and now and then ends the process that others ask."""
    if number % 8 == 0:
        client.close()
    return told(client.get)


def shown() -> list[str]:
    credential = client.get()
    return [repr(client), repr(credential), str(credential), str(vars(client)), f"{credential!r}"]


def mistakes(credential: keyfob.Credential) -> None:
    """Never called: what mypy has to refuse. It complains of a remark that is not needed."""
    client.get(7)  # type: ignore[arg-type]
    client.get(min_valid="60")  # type: ignore[arg-type]
    credential.handle.upper()  # type: ignore[union-attr]
    credential.token = "t"  # type: ignore[misc]
    credential.refresh_token  # type: ignore[attr-defined]  # noqa: B018


def do(act: str, *words: Any) -> Any:
    if act == "get":
        return told(lambda: client.get(**words[0]))
    if act == "fork":
        return forked(*words)
    if act == "fetch":
        return fetch(*words)
    if act == "shown":
        return shown()
    with ThreadPoolExecutor(50) as pool:
        return list(pool.map(closing if act == "close" else lambda _: told(client.get), range(words[0])))


client = keyfob.Client(program=sys.argv[1])
if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(do(*json.loads(line))), flush=True)
