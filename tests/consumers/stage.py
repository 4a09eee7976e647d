"""A user who is signed in at the development provider, and the servers that demand the credential: one that is a host of the
environment, and one that is none. Standard library alone: what is tested is other people's programs."""

import base64
import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Longer than anything takes on a busy machine: a wait that reaches it is a failure, never a pause.
DEADLINE = 120


class Failed(Exception):
    """What a program should have done and did not."""


@contextlib.contextmanager
def watched(process):
    """Ends a program that says nothing for too long: reading from it then ends too, and is a failure."""
    late = threading.Event()

    def end():
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    watchdog = threading.Timer(DEADLINE, end)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise Failed(f"{process.args[0]}: nothing came within {DEADLINE} s") from error
        raise
    finally:
        watchdog.cancel()
    if late.is_set():
        raise Failed(f"{process.args[0]}: nothing came within {DEADLINE} s")


def claims(token):
    """What a JWT says. None: it is none."""
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return None


class Server:
    """Answers by its routes, to whoever brings a credential that is good now."""

    def __init__(self, stage, tls=None):
        self.stage, self.routes, self.seen, self.before = stage, [], [], None
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                server.answer(self)

            do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass  # A client may close its connection whenever it likes.

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.origin = f"https://127.0.0.1:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        self.authority = self.origin.split("://")[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def route(self, prefix, answer, open_to_all=False, challenge='Basic realm="x"'):
        self.routes.append((prefix, answer, open_to_all, challenge))

    def answer(self, request):
        length = int(request.headers.get("content-length") or 0)
        body = request.rfile.read(length)
        if "chunked" in (request.headers.get("transfer-encoding") or ""):
            while size := int(request.rfile.readline().split(b";")[0], 16):
                body += request.rfile.read(size)
                request.rfile.readline()
            request.rfile.readline()
        given = self.stage.given(request.headers)
        with self.lock:
            self.seen.append((request.command, request.path, str(request.headers), body, given))
            before, self.before = self.before, None
        if before:
            before()
        for prefix, answer, open_to_all, challenge in self.routes:
            if request.path.startswith(prefix):
                if not open_to_all and not self.stage.is_good(given):
                    return self.send(request, 401, b'{"error":{"message":"no"}}', {"WWW-Authenticate": challenge})
                status, said, headers = answer(request, body)
                send = self.send if isinstance(said, bytes) else self.stream
                return send(request, status, said, headers)
        return self.send(request, 404, b"{}", {})

    @staticmethod
    def send(request, status, body, headers):
        request.send_response(status)
        headers = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    @staticmethod
    def stream(request, status, pieces, headers):
        """What comes in pieces, each when it is there."""
        request.send_response(status)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            request.send_header(name, value)
        request.end_headers()
        for piece in pieces:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            request.wfile.flush()
        request.wfile.write(b"0\r\n\r\n")

    def good(self):
        """The requests that brought a credential, each with the one that it brought."""
        return [seen[4] for seen in self.seen if seen[4] and self.stage.is_known(seen[4])]

    def leaked(self):
        """Whether anything that was ever a token of the login came here, the refresh token too, however it was sent."""
        # What came of a renewal since.
        self.stage.learn()
        text = b"\n".join(s[0].encode() + s[1].encode() + s[2].encode() + s[3] for s in self.seen)
        parts = [text]
        for word in text.replace(b"\n", b" ").split():
            with contextlib.suppress(ValueError):
                parts.append(base64.b64decode(word))
        return [secret for secret in self.stage.secrets if any(secret.encode() in part for part in parts)]


class Stage:
    def __init__(self, keyfob, work):
        self.keyfob, self.work = Path(keyfob), Path(work)
        self.home = self.work / "home"
        self.home.mkdir(parents=True)
        # What a server takes, what it takes no longer, and what nobody but keyfob may have.
        self.tokens, self.dead, self.refreshes = [], set(), []
        self.certificate = self.work / "certificate.pem"
        key = self.work / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.certificate,
             "-days", "7", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, key)
        self.ours, self.ours_tls = Server(self), Server(self, tls)
        self.foreign, self.foreign_tls = Server(self), Server(self, tls)
        # The one command has the name that everybody knows it by.
        self.bin = self.home / ".local/bin"
        self.bin.mkdir(parents=True)
        (self.bin / "keyfob").symlink_to(self.keyfob)
        self.base = self.provider()
        config = self.home / "keyfob"
        config.mkdir(mode=0o700)
        hosts = [self.ours.origin, self.ours_tls.origin]
        (config / "config.toml").write_text(
            f'environment = "work"\n[environments.work]\nissuer = "{self.base}"\nclient_id = "keyfob-local"\n'
            f'scopes = ["openid", "offline_access"]\nhosts = {json.dumps(hosts)}\n')
        self.login()

    def environment(self, **more):
        """What a program gets: nothing of ours but where it is at home."""
        path = f"{self.bin}:{os.path.dirname(shutil.which('cargo') or '/usr/bin/x')}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        environment = {"HOME": str(self.home), "KEYFOB_HOME": str(self.home / "keyfob"), "PATH": path, "CI": "true",
                       "LANG": "C.UTF-8", "TERM": "dumb"}
        return {**environment, **{name: str(value) for name, value in more.items()}}

    def start(self, words, errors=subprocess.STDOUT, **more):
        process = subprocess.Popen(
            [str(word) for word in words], env=self.environment(**more), cwd=self.home, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        self.processes.append(process)
        return process

    def run(self, words, cwd=None, may_fail=False, **more):
        """What a program printed, which has to succeed."""
        try:
            ran = subprocess.run(
                [str(word) for word in words], env=self.environment(**more), cwd=cwd or self.home,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE)
        except subprocess.TimeoutExpired as late:
            said = (late.output or b"").decode(errors="replace")
            raise Failed(f"{words[0]}: it does not end; it said: {said[-1500:]}") from late
        if ran.returncode and not may_fail:
            raise Failed(f"{words[0]} {words[1] if len(words) > 1 else ''}: exit {ran.returncode}: {ran.stdout[-1500:]}")
        return ran.stdout

    def provider(self):
        process = self.start([self.keyfob, "dev-server", "--port", "0", "--auto-approve"],
                             errors=subprocess.DEVNULL)
        with watched(process):
            base = process.stdout.readline().strip()
        if not base:
            raise Failed("the development provider did not start")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return base

    def login(self):
        process = self.start([self.keyfob, "login", "--no-browser"], errors=subprocess.DEVNULL)
        with watched(process):
            url = process.stdout.readline().strip()
        if not url:
            raise Failed("sign-in: no address was said")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(url, timeout=DEADLINE).read()
        out, _ = process.communicate(timeout=DEADLINE)
        if process.returncode:
            raise Failed(f"sign-in: {out}")
        self.learn()

    def out(self, *words):
        ran = subprocess.run([str(self.keyfob), *words], env=self.environment(), stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=DEADLINE)
        if ran.returncode:
            raise Failed(f"keyfob {words}: {ran.stderr}")
        return ran.stdout.strip()

    def learn(self):
        """Every token that there ever was has to be known, to be found where it may not be."""
        for token in (self.out("token"), self.out("token", "--id-token")):
            if token not in self.tokens:
                self.tokens.append(token)
        refresh = json.loads(self.record().read_text())["refresh_token"]
        if refresh not in self.refreshes:
            self.refreshes.append(refresh)

    @property
    def secrets(self):
        """What may be found nowhere but with keyfob: with each refresh token as well, which is the worst to lose."""
        return [*self.tokens, *self.refreshes]

    def is_known(self, token):
        if token in self.tokens:
            return True
        # One of a renewal that a program caused. An ID token has to be one that is not over.
        request = urllib.request.Request(f"{self.base}/v1/whoami", headers={"Authorization": f"Bearer {token}"})
        said = claims(token)
        if said and said.get("iss") == self.base and said.get("exp", 0) > time.time():
            self.tokens.append(token)
            return True
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(request, timeout=DEADLINE).read()
        except OSError:
            return False
        self.tokens.append(token)
        return True

    def is_good(self, token):
        return bool(token) and token not in self.dead and self.is_known(token)

    @staticmethod
    def given(headers):
        """The credential of a request, in whichever way it is sent."""
        scheme, _, value = (headers.get("authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        if scheme.lower() == "basic":
            return base64.b64decode(value).decode().partition(":")[2]
        # Some send the token alone.
        return headers.get("x-api-key") or (scheme if scheme and not value else None)

    def record(self):
        (path,) = (self.home / "keyfob/logins").glob("*.json")
        return path

    def generation(self):
        """It goes up by one with each renewal."""
        return json.loads(self.record().read_text())["generation"]

    def refuse(self):
        """The token is over for the servers, and keyfob does not know."""
        self.learn()
        self.dead.update(self.tokens)

    def expire(self, refused=True):
        """The token is over: for keyfob by the record, and for the servers too."""
        self.learn()
        if refused:
            self.refuse()
        record = self.record()
        said = json.loads(record.read_text())
        said["issued_at"], said["expires_at"] = int(time.time()) - 7200, int(time.time()) - 3600
        # The ID token has an end of its own. Nobody looks at its signature here: it was verified when it came.
        head, _, signature = said["id_token"].split(".")
        end = {**claims(said["id_token"]), "iat": said["issued_at"], "exp": said["expires_at"]}
        end = base64.urlsafe_b64encode(json.dumps(end).encode()).decode().rstrip("=")
        said["id_token"] = f"{head}.{end}.{signature}"
        # Whoever is handed that one is handed a token that is over.
        self.tokens.append(said["id_token"])
        if refused:
            self.dead.add(said["id_token"])
        with open(record, "r+b") as file:
            text = json.dumps(said, indent=2).encode()
            file.write(text)
            file.truncate(len(text))

    def keeps_files(self):
        """An agent keeps fresh what the configuration says."""
        self.start([self.keyfob, "agent"], errors=subprocess.DEVNULL)

    def is_kept(self, path):
        """Waits until a token that is not over is in the file."""
        end = time.monotonic() + DEADLINE
        while not path.exists() or path.read_text() in self.dead:
            if time.monotonic() > end:
                raise Failed("the agent does not keep the file fresh")
            time.sleep(0.05)

    def fresh(self):
        """Both kinds of servers have seen nothing yet."""
        for server in (self.ours, self.ours_tls, self.foreign, self.foreign_tls):
            server.seen, server.routes, server.before = [], [], None
        self.learn()

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(Failed), watched(process):
                process.wait()


@contextlib.contextmanager
def stage(keyfob):
    work = tempfile.mkdtemp(prefix="keyfob-consumers-")
    made = Stage.__new__(Stage)
    made.processes = []
    try:
        made.__init__(keyfob, work)
        yield made
    finally:
        made.end()
        shutil.rmtree(work, ignore_errors=True)
