"""What is asked of programs that never have the token, since a proxy of keyfob's adds it: each goes on from its first question to its last."""

import contextlib
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import memory
import tap
from programs import MESSAGE, Program, events
from stage import DEADLINE, Failed, watched

TAP = Path(tap.__file__)


class Proxied(Program):
    """Below `keyfob exec --proxy`."""

    table, columns = "proxy", ("fetches", "streams", "repairs_401", "survives_expiry", "has_no_token", "spares_others")
    survives = ""
    # The variables of the program: where the API is, and what it proves itself with.
    base_url, token = "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"
    path = ""

    def shown(self):
        return self.name.removeprefix("proxied ")

    def serve(self, stage, server):
        """What it says holds what it was sent: no token may come through by that."""
        self.gate, self.elsewhere = threading.Event(), None
        server.route("/", lambda request, body: self.redirected(request) or self.answer(stage, request, body))

    def redirected(self, request):
        if self.elsewhere:
            return 307, b"", {"Location": self.elsewhere + request.path}

    def answer(self, stage, request, body):
        raise NotImplementedError

    def until_read(self, first, rest):
        """The rest comes when the program has said what came first."""
        yield first
        if not self.gate.wait(DEADLINE):
            raise Failed("it waits for the end before it says anything")
        yield rest

    def prepare(self, stage):
        origin, text = self.server(stage).origin, stage.home / "keyfob/config.toml"
        with open(text, "a") as file:
            file.write(f'[proxy.api]\nto = "{origin}{self.path}"\nbase_url_variable = "{self.base_url}"\n'
                       f'token_variable = "{self.token}"\n')
        self.taps = stage.work / "taps"
        self.taps.mkdir()
        (stage.work / "tmp").mkdir()

    def command(self, stage):
        """The program and its arguments."""
        raise NotImplementedError

    def more(self, stage):
        return {}

    def start(self, stage, *before):
        words = [*before, *self.command(stage)]
        return stage.start([stage.keyfob, "exec", "--proxy", "--", sys.executable, TAP, self.taps, *words],
                           TMPDIR=stage.work / "tmp", PYTHONDONTWRITEBYTECODE="1", **self.more(stage))

    @staticmethod
    def ask(process, mode):
        process.stdin.write(f"{mode}\n")
        process.stdin.flush()

    def heard(self, line):
        """What a line of it says: a piece of the answer, and whether that is over."""
        if line.startswith("piece "):
            return line, False
        return None, line.startswith(("end", "failed"))

    def turn(self, process, mode, *acts):
        """Asks, and does one thing after each piece of the answer."""
        lines, pieces, acts = [], [], list(acts)
        try:
            with watched(process):
                self.ask(process, mode)
                for line in process.stdout:
                    lines.append(line)
                    piece, is_over = self.heard(line)
                    if piece is not None:
                        pieces.append(piece)
                        if acts:
                            acts.pop(0)()
                    if is_over:
                        break
        except Failed as failed:
            raise Failed(f"{failed}, after {''.join(lines)[-3000:]}") from failed
        text = "".join(pieces)
        if acts or "fetched" not in text:
            raise Failed("".join(lines)[-3000:])
        return text

    def check(self, stage, server):
        """What came to the API: the login's token alone, which the program has not."""
        tokens = [seen[4] for seen in server.seen if seen[4]]
        if not tokens or not all(stage.is_known(token) for token in tokens):
            raise Failed(f"the API got {len(tokens)} credentials of {len(server.seen)} requests, some of them not the login's")
        return tokens

    def fetches(self, stage):
        server = self.server(stage)
        self.process = self.start(stage)
        self.gate.set()
        self.turn(self.process, "whole")
        self.check(stage, server)

    def streams(self, stage):
        self.gate.clear()
        self.turn(self.process, "stream", self.gate.set)

    def renewed_once(self, stage, act):
        """What was sent while the login was renewed once, and the program heard nothing of it."""
        server, before = self.server(stage), stage.generation()
        server.seen.clear()
        act(before)
        if stage.generation() != before + 1:
            raise Failed(f"{stage.generation() - before} renewals")
        for copy in self.taps.glob("*-answered"):
            for head in copy.read_bytes().split(b"HTTP/1.1 401")[1:]:
                # To what was asked without the token of this run, as Claude Code does first, the proxy itself says that.
                if b"\r\nkeyfob-error: proxy-refused" not in head.partition(b"\r\n\r\n")[0]:
                    raise Failed("the program has seen a 401")
        return self.check(stage, server)

    def repairs_401(self, stage):
        stage.refuse()
        tokens = self.renewed_once(stage, lambda _: self.turn(self.process, "whole"))
        if tokens[0] not in stage.dead or tokens[-1] in stage.dead:
            raise Failed("there was no 401 in between")

    def survives_expiry(self, stage):
        # The servers would still take the token: that it is over is known to keyfob alone, which looks twice a second.
        stage.expire(refused=False)
        old = set(stage.tokens)

        def until_renewed(before):
            end = time.monotonic() + DEADLINE
            while stage.generation() == before:
                if time.monotonic() > end:
                    raise Failed("nothing was renewed")
                self.turn(self.process, "whole")
            self.turn(self.process, "whole")

        if self.renewed_once(stage, until_renewed)[-1] in old:
            raise Failed("an old token was sent")

    def run_token(self, stage):
        for pid in self.processes(stage):
            for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if entry.startswith(f"{self.token}=".encode()):
                    return entry.partition(b"=")[2]
        raise Failed("it has no token of this run")

    def processes(self, stage):
        return memory.below(self.process.pid, stage.keyfob)

    def has_no_token(self, stage):
        self.gate.clear()
        found = []
        stage.learn()
        mine = self.run_token(stage)

        def look():
            words = [mine, *(secret.encode() for secret in stage.secrets)]
            for pid in self.processes(stage):
                # One that has just ended has nothing.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found.extend(memory.shown(pid, words))
                    found.extend(("an open file", path) for path in memory.open_below(pid, stage.home / "keyfob"))
            self.gate.set()

        said = self.turn(self.process, "stream", look)
        if "****" not in said:
            raise Failed(f"the API has not sent back what it got: {said}")
        # That would be found, if it was there.
        if mine and ("memory", mine) not in found:
            raise Failed("its memory was not read")
        self.nowhere(stage, [where for where, word in found if word != mine])
        self.asked_with(mine)

    def nowhere(self, stage, found):
        for place, _, names in os.walk(stage.work):
            if not Path(place).is_relative_to(stage.home / "keyfob"):
                for path in (Path(place, name) for name in names):
                    if path.is_file() and any(secret.encode() in path.read_bytes() for secret in stage.secrets):
                        found.append(path)
        if found:
            raise Failed(f"the token is in {found}")

    def asked_with(self, mine):
        asked = b"".join(copy.read_bytes() for copy in self.taps.glob("*-asked"))
        if mine and mine not in asked:
            raise Failed("it did not ask with the token of this run")

    def spares_others(self, stage):
        server, foreign = self.server(stage), self.foreign(stage)
        # By the API's own word, and by that of whoever sets the program's variables.
        self.elsewhere = foreign.origin
        with contextlib.suppress(Failed):
            self.turn(self.process, "whole")
        self.elsewhere = None
        self.asks_elsewhere(stage, foreign)
        if foreign.leaked():
            raise Failed("another host got the credential")
        got = {seen[4] for seen in foreign.seen if seen[4]}
        if not got:
            raise Failed("the other host was not asked: nothing is shown")
        # The API has nothing at that path, but says so only to whom it knows: 404 to the login's own token.
        known = stage.out("token")
        if self.status(server, known) == 401:
            raise Failed("the API refuses the login's own token: nothing is shown")
        if any(self.status(server, mine) != 401 for mine in got):
            raise Failed("what another host gets is good for something")

    def status(self, server, token):
        """What the API says to whoever asks it with this."""
        request = urllib.request.Request(server.origin + self.path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=DEADLINE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def asks_elsewhere(self, stage, foreign):
        process = self.start(stage, "env", f"{self.base_url}={foreign.origin}{self.path}")
        with contextlib.suppress(Failed):
            self.turn(process, "whole")
        with watched(process), contextlib.suppress(BrokenPipeError):
            process.communicate()


class Messages(Proxied):
    """An API of messages, as the vendor's."""

    def answer(self, stage, request, body):
        if not request.path.startswith("/v1/messages"):
            return 404, b"{}", {}
        return self.told(stage, request, body)

    def told(self, stage, request, body, more=""):
        text = f"fetched with {stage.given(request.headers)} {more}"
        if not json.loads(body or b"{}").get("stream"):
            return 200, json.dumps({**MESSAGE, "content": [{"type": "text", "text": text}]}).encode(), {"X-Got": text[:200]}
        begin = {**MESSAGE, "content": [], "stop_reason": None}
        delta = {"type": "content_block_delta", "index": 0}
        first = events(
            {"type": "message_start", "message": begin},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {**delta, "delta": {"type": "text_delta", "text": text}})
        rest = events(
            {**delta, "delta": {"type": "text_delta", "text": ", all of it"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 1}},
            {"type": "message_stop"})
        return 200, self.until_read(first, rest), {"Content-Type": "text/event-stream", "X-Got": text[:200]}


class Responses(Proxied):
    """An API of responses, as OpenAI's."""

    base_url, token, path = "OPENAI_BASE_URL", "OPENAI_API_KEY", "/v1"

    def answer(self, stage, request, body):
        text = f"fetched with {stage.given(request.headers)}"
        if not request.path.startswith("/v1/responses"):
            return 404, b"{}", {}
        item = {"type": "message", "role": "assistant", "id": "m1", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]}
        usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
        done = {"id": "r1", "object": "response", "created_at": 1, "model": "m", "parallel_tool_calls": False, "tools": [],
                "tool_choice": "auto", "status": "completed", "output": [item], "usage": usage}
        if not json.loads(body or b"{}").get("stream"):
            return 200, json.dumps(done).encode(), {"X-Got": text}
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        part = {"item_id": "m1", "output_index": 0, "content_index": 0}
        first = events(
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
             "item": {**item, "status": "in_progress", "content": []}},
            {"type": "response.content_part.added", "sequence_number": 2, **part,
             "part": {"type": "output_text", "text": "", "annotations": []}},
            {"type": "response.output_text.delta", "sequence_number": 3, **part, "delta": text, "logprobs": []})
        rest = events(
            {"type": "response.output_item.done", "sequence_number": 4, "output_index": 0, "item": item},
            {"type": "response.completed", "sequence_number": 5, "response": done})
        return 200, self.until_read(first, rest), {"Content-Type": "text/event-stream", "X-Got": text}


class Lines(Proxied):
    """An API that says lines."""

    def answer(self, stage, request, body):
        text = f"piece fetched with {stage.given(request.headers)}\n".encode()
        return 200, self.until_read(text, b"piece all of it\n"), {"Content-Type": "text/plain"}
