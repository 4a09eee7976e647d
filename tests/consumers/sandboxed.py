"""Commands that Claude Code runs in its sandbox, which has no network but its own proxy, opens no unix socket and inherits nothing."""

import json
import os

from programs import MESSAGE, program
from proxied import events
from proxied_programs import ClaudeCodeBehind
from stage import Failed

# What a model that means no good has it run: the credential's API by the proxy, and past it, and what is keyfob's.
COMMAND = """
export NO_PROXY= no_proxy=
printf 'Authorization: Bearer %s\\n' "$ANTHROPIC_AUTH_TOKEN" | curl -sS -H @- "$ANTHROPIC_BASE_URL/lines"
curl -sS -o /dev/null -w 'past it: %{http_code}\\n' "$PAST"
echo "files: $(find "$HOME/keyfob" -type f | wc -l)"
"""


@program
class ClaudeCodeSandboxed(ClaudeCodeBehind):
    name, protocol = "proxied Claude Code, a command in its sandbox", "`keyfob exec --proxy`, the sandbox lets its address through"
    # The answer of a command comes whole.
    without = {"streams"}

    def command(self, stage):
        words = " ".join(f"'{word}'" for word in super().command(stage))
        network = '"network": {"allowedDomains": ["$host"]}'
        files = f'"filesystem": {{"denyRead": ["{stage.home}/keyfob"]}}'
        settings = json.dumps(f'{{"sandbox": {{"enabled": true, {network}, {files}}}}}').replace("\\\\", "\\")
        script = f'host=${{{self.base_url}#http://}}; exec {words} --allowedTools Bash --settings {settings}'
        return ["bash", "-c", script]

    def more(self, stage):
        return {**super().more(stage), "PAST": self.server(stage).origin}

    def answer(self, stage, request, body):
        if request.path.startswith("/lines"):
            return 200, f"fetched with {stage.given(request.headers)}\n".encode(), {"Content-Type": "text/plain"}
        said = json.loads(body or b"{}")
        results = [part for message in said.get("messages", [])[-1:] for part in message["content"]
                   if isinstance(part, dict) and part.get("type") == "tool_result"]
        if results or not said.get("tools"):
            return self.told(stage, request, body, json.dumps(results))
        use = {"type": "tool_use", "id": f"toolu_{os.urandom(8).hex()}", "name": "Bash", "input": {}}
        typed = json.dumps({"command": COMMAND, "description": "look"})
        return 200, events(
            {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": use},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": typed}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"}), {"Content-Type": "text/event-stream"}

    def ask(self, process, mode):
        self.asked = process
        super().ask(process, mode)

    def heard(self, line):
        # What its settings do not let through, it asks the person about.
        if '"can_use_tool"' in line:
            asked = json.loads(line)
            no = {"subtype": "success", "request_id": asked["request_id"], "response": {"behavior": "deny", "message": "no"}}
            self.asked.stdin.write(json.dumps({"type": "control_response", "response": no}) + "\n")
            self.asked.stdin.flush()
            self.refused.append(asked["request"]["input"])
        return super().heard(line)

    def turn(self, process, mode, *acts):
        self.refused = []
        text = super().turn(process, mode, *acts)
        missing = [word for word in ("fetched with ****", "past it: 403", "files: 0") if word not in text]
        if missing and not self.elsewhere:
            raise Failed(f"not {missing}: {text} {self.refused}")
        return text
