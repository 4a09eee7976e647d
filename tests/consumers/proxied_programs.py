"""The programs that are tried behind the proxy."""

import contextlib
import json
import subprocess

import tap
from programs import ClaudeCode, Codex, Curl, Library, program
from proxied import Lines, Messages, Proxied, Responses
from stage import Failed, watched


@program
class CurlBehind(Lines):
    name, always, protocol = "proxied curl", True, "`keyfob exec --proxy`"
    version = Curl.version
    script = ('while read -r _; do printf "Authorization: Bearer %s\\n" "$ANTHROPIC_AUTH_TOKEN" |'
              ' curl -sSNL --fail-with-body -H @- "$ANTHROPIC_BASE_URL/lines" || echo failed; echo end; done')

    def command(self, stage):
        return ["bash", "-c", self.script]


@program
class CurlAtSocket(Lines):
    """Of another process, which the kernel's word about its user is enough for: not even a token of the run is there."""

    name, protocol = "proxied curl --unix-socket", "`keyfob proxy`"
    version = Curl.version
    # Only to be found in its memory.
    token = "MARK_OF_THE_TRIAL"
    script = ('while read -r _; do curl -sSN --fail-with-body --unix-socket "$SOCKET" "${ASK[@]}" http://api/lines || echo failed;'
              ' echo end; done')

    def start(self, stage, *before):
        proxy = stage.start([stage.keyfob, "proxy", "--listen", f"unix:{stage.work}/proxy/api.sock"], errors=subprocess.DEVNULL)
        with watched(proxy):
            path = proxy.stdout.readline().strip().removeprefix("unix:")
        if not path:
            raise Failed("the proxy did not start")
        self.socket = self.taps / "api.sock"
        tap.at_socket(self.taps, "api", self.socket, path)
        return self.ask_there(stage, "")

    def ask_there(self, stage, more):
        # Nothing of keyfob's is in its variables.
        home = {"KEYFOB_HOME": "", self.token: "keyfob-run-none-but-a-mark", "SOCKET": self.socket}
        return stage.start(["bash", "-c", f"ASK=({more}); {self.script}"], TMPDIR=stage.work / "tmp", **home)

    def processes(self, stage):
        return [self.process.pid, *super().processes(stage)]

    def asked_with(self, mine):
        pass

    def spares_others(self, stage):
        foreign = self.foreign(stage)
        process = self.ask_there(stage, f"--request-target {foreign.origin}/lines")
        try:
            self.turn(process, "whole")
        except Failed as failed:
            if "proxy-refused" not in str(failed):
                raise
        else:
            raise Failed("it got an answer")
        if foreign.seen:
            raise Failed("another host was asked")


class PythonBehind(Proxied):
    """A library in a process that goes on; one request is refused while another one's answer streams."""

    package, script = "", ""
    protocol = "`keyfob exec --proxy`"
    version, python = Library.version, Library.python
    frame = """
import json, sys
{script}
def say(word, text=""):
    print(word, json.dumps(text), flush=True)
def meanwhile():
    for number, piece in enumerate(stream()):
        say("piece", piece)
        if number == 0:
            sys.stdin.readline()
            say("piece", whole())
for line in iter(sys.stdin.readline, ""):
    try:
        if line == "whole\\n":
            say("piece", whole())
        elif line == "stream\\n":
            for piece in stream():
                say("piece", piece)
        else:
            meanwhile()
        say("end")
    except Exception as error:
        say("failed", repr(error)[:900])
"""

    def command(self, stage):
        return [self.python(stage), "-c", self.frame.replace("{script}", self.script)]

    def repairs_401(self, stage):
        self.gate.clear()

        def refused():
            stage.refuse()
            self.ask(self.process, "")

        act = lambda _: self.turn(self.process, "meanwhile", refused, self.gate.set)  # noqa: E731
        tokens = self.renewed_once(stage, act)
        if len(tokens) != 3 or tokens[1] not in stage.dead or tokens[2] in stage.dead:
            raise Failed(f"{len(tokens)} requests, and not one that was refused and repeated")


@program
class AnthropicBehind(PythonBehind, Messages):
    name, always, package = "proxied anthropic (Python)", True, "anthropic"
    script = """
from anthropic import Anthropic
client = Anthropic(max_retries=0)
asked = dict(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
def whole():
    return client.messages.create(**asked).content[0].text
def stream():
    with client.messages.stream(**asked) as answer:
        yield from answer.text_stream
"""

@program
class OpenAiBehind(PythonBehind, Responses):
    name, always, package = "proxied openai (Python)", True, "openai"
    script = """
from openai import OpenAI
client = OpenAI(max_retries=0)
def whole():
    return client.responses.create(model="m", input="x").output_text
def stream():
    for event in client.responses.create(model="m", input="x", stream=True):
        if event.type == "response.output_text.delta":
            yield event.delta
    yield ", all of it"
"""


@program
class ClaudeCodeBehind(Messages):
    name, protocol = "proxied Claude Code", "`keyfob exec --proxy`"
    binary, version = ClaudeCode.binary, ClaudeCode.version

    def command(self, stage):
        return [self.binary(stage), "-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose",
                "--include-partial-messages"]

    def more(self, stage):
        return {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1",
                "CLAUDE_CODE_MAX_RETRIES": "0"}

    @staticmethod
    def ask(process, mode):
        process.stdin.write(json.dumps({"type": "user", "message": {"role": "user", "content": "say it"}}) + "\n")
        process.stdin.flush()

    def heard(self, line):
        try:
            said = json.loads(line)
        except ValueError:
            return None, False
        event = said.get("event") or {}
        piece = event.get("delta", {}).get("text") if event.get("type") == "content_block_delta" else None
        return piece, said.get("type") == "result"


@program
class CodexBehind(Responses):
    name, protocol = "proxied codex", "`keyfob exec --proxy`"
    binary, version = Codex.binary, Codex.version

    def command(self, stage):
        # The name of the variable is in its configuration, the address has to be an argument.
        settings = [("model_provider", '"api"'), ("model", '"m"'), ("model_providers.api.name", '"api"'),
                    ("model_providers.api.wire_api", '"responses"'),
                    ("model_providers.api.env_key", f'"{self.token}"'),
                    ("model_providers.api.base_url", f'\\"${self.base_url}\\"')]
        words = " ".join(f"-c {name}={value}" if "$" in value else f"-c {name}='{value}'" for name, value in settings)
        return ["bash", "-c", f"exec '{self.binary(stage)}' app-server {words}"]

    def start(self, stage, *before):
        process = super().start(stage, *before)
        process.sent = 0
        self.call(process, "initialize", {"clientInfo": {"name": "keyfob", "version": "1"}})
        self.send(process, {"method": "initialized"})
        said = self.call(process, "thread/start", {"cwd": str(stage.home), "sandbox": "read-only", "approvalPolicy": "never"})
        process.thread = said["thread"]["id"]
        return process

    @staticmethod
    def send(process, said):
        process.stdin.write(json.dumps(said) + "\n")
        process.stdin.flush()

    def call(self, process, method, parameters):
        process.sent += 1
        lines = []
        with watched(process):
            self.send(process, {"id": process.sent, "method": method, "params": parameters})
            for line in process.stdout:
                lines.append(line)
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if said.get("id") == process.sent:
                        if "result" not in said:
                            break
                        return said["result"]
        raise Failed("".join(lines)[-3000:])

    def ask(self, process, mode):
        process.sent += 1
        self.send(process, {"id": process.sent, "method": "turn/start", "params": {
            "threadId": process.thread, "input": [{"type": "text", "text": "say it"}]}})

    def heard(self, line):
        try:
            said = json.loads(line)
        except ValueError:
            return None, False
        piece = said["params"]["delta"] if said.get("method") == "item/agentMessage/delta" else None
        return piece, said.get("method") == "turn/completed" or "error" in said
