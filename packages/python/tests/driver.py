"""Does what it is told, a line of JSON each: the tests of keyfob run the same with the packages of all languages."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import keyfob


def told(call):
    try:
        credential = call()
    except keyfob.Error as error:
        fields = ("id", "cause", "what", "why", "hint", "exit_code")
        return {"error": {name: getattr(error, name) for name in fields if getattr(error, name) is not None}}
    fields = keyfob.Credential.__dataclass_fields__
    return {name: getattr(credential, name) for name in fields if name != "warning" or credential.warning}


def fetch(auth, url):
    if auth == "requests":
        import requests

        import keyfob.requests

        return requests.get(url, auth=keyfob.requests.KeyfobAuth(client), timeout=60).status_code
    if auth == "anthropic":
        import anthropic

        import keyfob.anthropic

        sdk = anthropic.Anthropic(
            credentials=keyfob.anthropic.KeyfobCredentials(client), base_url=url.removesuffix("/v1/whoami")
        )
        return sdk.get("/v1/whoami", cast_to=object)["account_uuid"]
    if auth == "openai":
        import openai

        base = url.removesuffix("/whoami")
        sdk = openai.OpenAI(api_key=lambda: client.token(base), base_url=base, max_retries=0)
        return sdk.get("/whoami", cast_to=object)["account_uuid"]
    import httpx

    import keyfob.httpx

    if auth == "httpx":
        with httpx.Client(auth=keyfob.httpx.KeyfobAuth(client), timeout=60) as http:
            return http.get(url).status_code
    import asyncio

    async def ask():
        async with httpx.AsyncClient(auth=keyfob.httpx.KeyfobAuth(client), timeout=60) as http:
            return (await http.get(url)).status_code

    return asyncio.run(ask())


def forked(question):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(told(lambda: client.get(**question))).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        return json.load(pipe)


def closing(number):
    """Asks, and now and then ends the process that others ask."""
    if number % 8 == 0:
        client.close()
    return told(client.get)


client = keyfob.Client(program=sys.argv[1])
for line in sys.stdin:
    do, *words = json.loads(line)
    if do == "get":
        said = told(lambda: client.get(**words[0]))
    elif do == "many":
        with ThreadPoolExecutor(50) as pool:
            said = list(pool.map(lambda _: told(client.get), range(words[0])))
    elif do == "close":
        with ThreadPoolExecutor(50) as pool:
            said = list(pool.map(closing, range(words[0])))
    elif do == "fork":
        said = forked(words[0])
    elif do == "fetch":
        said = fetch(*words)
    elif do == "shown":
        credential = client.get()
        said = [repr(client), repr(credential), str(credential), str(vars(client)), f"{credential!r}"]
    print(json.dumps(said), flush=True)
