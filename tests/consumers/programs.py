"""The programs, each as a person sets it up: what it fetches, from which kind of server."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
import urllib.parse
import zipfile

from stage import Failed, watched

REGISTRY = {}


def program(kind):
    REGISTRY[kind.name] = kind()
    return kind


class Program:
    """One that is started for each thing it does."""

    name = ""
    # The page whose table it is in, and what is found out about it.
    table, columns = "interop", ("fetches", "survives_expiry", "spares_others")
    # Of these, what it cannot do by its nature.
    without = frozenset()
    # Run in every build, not only when the whole table is wanted.
    always = False
    # How a new credential reaches it when the old one is over.
    survives = "the next run"
    # Why nothing is asked about other hosts.
    bound = None
    tls = False
    protocol = ""

    def shown(self):
        """What a page calls it."""
        return self.name

    def server(self, stage):
        return stage.ours_tls if self.tls else stage.ours

    def foreign(self, stage):
        return stage.foreign_tls if self.tls else stage.foreign

    def version(self, stage):
        raise NotImplementedError

    def serve(self, stage, server):
        """Puts what is fetched on a server."""

    def prepare(self, stage):
        """What a person does once."""

    def prepare_foreign(self, stage):
        """What somebody does who wants the credential for another host."""

    def fetch(self, stage, server):
        raise NotImplementedError

    def fetches(self, stage):
        server = self.server(stage)
        self.fetch(stage, server)
        if not server.good():
            raise Failed(f"no credential came: {[seen[:2] for seen in server.seen]}")

    def survives_expiry(self, stage):
        stage.expire()
        server = self.server(stage)
        server.seen.clear()
        self.fetch(stage, server)
        if not any(stage.is_good(token) for token in server.good()):
            raise Failed("it fetched with an old credential")

    def spares_others(self, stage):
        server = self.foreign(stage)
        try:
            self.fetch(stage, server)
        except Failed:
            pass
        if not server.seen:
            raise Failed("it did not ask the other host at all: nothing is shown")
        if server.leaked():
            raise Failed("another host got the credential")


def refused_first(program, stage):
    """For one that does not ask at all when it gets no credential: keyfob's refusal is what is looked for."""
    server = program.foreign(stage)
    try:
        program.fetch(stage, server)
    except Failed as failed:
        if "keyfob has no credential for" not in str(failed):
            raise
    else:
        raise Failed("it got an answer")
    if server.leaked():
        raise Failed("another host got the credential")


def first_line(text):
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@program
class Git(Program):
    name, always, protocol = "git", True, "credential helper, `keyfob setup git`"

    def version(self, stage):
        return stage.run(["git", "--version"]).split()[2]

    def serve(self, stage, server):
        bare = stage.work / "repository.git"
        if not bare.exists():
            tree = stage.work / "repository"
            git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", tree]
            stage.run(["git", "init", "-q", "-b", "main", tree])
            (tree / "file").write_text("fetched\n")
            stage.run([*git, "add", "."])
            stage.run([*git, "commit", "-q", "-m", "one"])
            stage.run(["git", "clone", "-q", "--bare", tree, bare])

        # The server's half is git's own (git-http-backend(1)): a CGI program.
        def answer(request, body):
            path, _, query = request.path.partition("?")
            cgi = {"GIT_PROJECT_ROOT": stage.work, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                   "REQUEST_METHOD": request.command, "CONTENT_TYPE": request.headers.get("content-type") or "",
                   "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding") or "",
                   "GIT_PROTOCOL": request.headers.get("git-protocol") or "", "CONTENT_LENGTH": str(len(body))}
            ran = subprocess.run(["git", "http-backend"], input=body, env=stage.environment(**cgi), capture_output=True)
            head, _, answer = ran.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            return int(headers.pop("Status", "200").split()[0]), answer, headers

        server.route("/repository.git/", answer, challenge='Bearer realm="git"')

    def prepare(self, stage):
        stage.out("setup", "git", "--yes")

    def prepare_foreign(self, stage):
        # A helper for every host, as many have it.
        with open(stage.home / ".gitconfig", "a") as file:
            file.write("[credential]\n\thelper = !keyfob credential-helper git\n")

    def fetch(self, stage, server):
        target = stage.work / "cloned"
        shutil.rmtree(target, ignore_errors=True)
        stage.run(["git", "clone", "-q", f"{server.origin}/repository.git", target], GIT_TERMINAL_PROMPT="0",
                  GIT_CONFIG_NOSYSTEM="1")
        if (target / "file").read_text() != "fetched\n":
            raise Failed("not what is there")


@program
class Cargo(Program):
    name, always, protocol = "cargo", True, "credential provider, `keyfob setup cargo`"

    def cargo(self):
        found = shutil.which("rustup") and subprocess.run(
            ["rustup", "which", "cargo"], capture_output=True, text=True).stdout.strip()
        return found or shutil.which("cargo")

    def version(self, stage):
        return stage.run([self.cargo(), "--version"]).split()[1]

    def serve(self, stage, server):
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w") as tar:
            for name, content in [
                ("Cargo.toml", '[package]\nname = "keyfobtoy"\nversion = "1.0.0"\nedition = "2021"\n'), ("src/lib.rs", "")
            ]:
                info = tarfile.TarInfo(f"keyfobtoy-1.0.0/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))
        crate = gzip.compress(text.getvalue(), mtime=0)
        entry = {"name": "keyfobtoy", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
                 "cksum": hashlib.sha256(crate).hexdigest()}
        config = {"dl": f"{server.origin}/crates", "api": server.origin, "auth-required": True}
        server.route("/index/config.json", lambda *_: (200, json.dumps(config).encode(), {}))
        server.route("/index/ke/yf/keyfobtoy", lambda *_: (200, json.dumps(entry).encode(), {}))
        server.route("/crates/", lambda *_: (200, crate, {"Content-Type": "application/gzip"}))

    def prepare(self, stage):
        index = f"sparse+{self.server(stage).origin}/index/"
        stage.out("setup", "cargo", "--registry", "company", "--index", index, "--yes")

    def prepare_foreign(self, stage):
        with open(stage.home / ".cargo/config.toml", "a") as file:
            file.write(f'[registries.other]\nindex = "sparse+{self.foreign(stage).origin}/index/"\n'
                       f'credential-provider = ["{stage.bin}/cargo-credential-keyfob"]\n')

    def fetch(self, stage, server):
        project = stage.work / "project"
        for old in (project, stage.home / ".cargo/registry"):
            shutil.rmtree(old, ignore_errors=True)
        (project / "src").mkdir(parents=True)
        (project / "src/lib.rs").write_text("")
        name = "company" if server is stage.ours else "other"
        (project / "Cargo.toml").write_text(
            '[package]\nname = "project"\nversion = "1.0.0"\nedition = "2021"\n'
            f'[dependencies]\nkeyfobtoy = {{ version = "1", registry = "{name}" }}\n')
        # rustup's own cargo would look for a toolchain in the home of the stage.
        path = f"{os.path.dirname(self.cargo())}:{stage.environment()['PATH']}"
        stage.run([self.cargo(), "fetch", "-q"], cwd=project, PATH=path, CARGO_HOME=stage.home / ".cargo",
                  CARGO_NET_RETRY="0")


class Containers(Program):
    """What asks a registry (distribution: HTTP API V2)."""

    protocol = "credential helper, `keyfob setup docker`"

    def serve(self, stage, server):
        layer = gzip.compress(b"\0" * 1024, mtime=0)
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(b"\0" * 1024).hexdigest()]},
        }).encode()
        blobs = {"sha256:" + hashlib.sha256(blob).hexdigest(): blob for blob in (layer, config)}
        sums = list(blobs)
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": kind,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": sums[1]},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer),
                        "digest": sums[0]}],
        }).encode()
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        server.route("/v2/toy/manifests/", lambda *_: (200, manifest, {"Content-Type": kind, "Docker-Content-Digest": digest}))
        server.route("/v2/toy/blobs/", lambda request, _: (
            200, blobs[request.path.rsplit("/", 1)[1]], {"Content-Type": "application/octet-stream"}))
        server.route("/v2/toy/tags/list", lambda *_: (200, b'{"name":"toy","tags":["1"]}', {}))
        server.route("/v2/", lambda *_: (200, b"{}", {"Docker-Distribution-Api-Version": "registry/2.0"}))

    def prepare(self, stage):
        stage.out("setup", "docker", "--yes")
        policy = stage.home / ".config/containers/policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def prepare_foreign(self, stage):
        path = stage.home / ".docker/config.json"
        said = json.loads(path.read_text())
        said["credHelpers"][self.foreign(stage).authority] = "keyfob"
        path.write_text(json.dumps(said))


@program
class Skopeo(Containers):
    name, always = "skopeo", True

    def version(self, stage):
        return stage.run(["skopeo", "--version"]).split()[2]

    def fetch(self, stage, server):
        out = stage.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{server.authority}/toy:1"])
        if '"Digest"' not in out:
            raise Failed(out)


class Pulls(Containers):
    def version(self, stage):
        return stage.run([self.name, "--version"]).split()[2]

    def fetch(self, stage, server):
        store = stage.work / self.name
        common = ["--root", store / "root", "--runroot", store / "run", "--storage-driver", "vfs"]
        stage.run([self.name, *common, "rmi", "-f", f"{server.authority}/toy:1"], may_fail=True)
        stage.run([self.name, *common, "pull", "-q", "--tls-verify=false", f"{server.authority}/toy:1"])


@program
class Podman(Pulls):
    name = "podman"


@program
class Buildah(Pulls):
    name = "buildah"


@program
class Docker(Containers):
    name, tls = "docker", True

    def version(self, stage):
        return stage.run(["docker", "--version"]).split()[2].rstrip(",")

    def fetch(self, stage, server):
        # The client itself asks the registry for that; no daemon is needed.
        shutil.rmtree(stage.home / ".docker/manifests", ignore_errors=True)
        out = stage.run(["docker", "manifest", "inspect", f"{server.authority}/toy:1"], SSL_CERT_FILE=stage.certificate)
        if "schemaVersion" not in out:
            raise Failed(out)


@program
class Terraform(Program):
    name, tls, protocol = "terraform", True, "credentials helper, `keyfob setup terraform`"

    def version(self, stage):
        return first_line(stage.run(["terraform", "version"], CHECKPOINT_DISABLE="1")).split("v")[-1]

    def serve(self, stage, server):
        module = io.BytesIO()
        with tarfile.open(fileobj=module, mode="w:gz") as tar:
            content = b'output "fetched" {\n  value = "yes"\n}\n'
            info = tarfile.TarInfo("main.tf")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        server.route("/.well-known/terraform.json", lambda *_: (200, b'{"modules.v1":"/modules/"}', {}), open_to_all=True)
        server.route("/modules/toy/toy/null/versions", lambda *_: (
            200, b'{"modules":[{"versions":[{"version":"1.0.0"}]}]}', {}))
        server.route("/modules/toy/toy/null/1.0.0/download", lambda *_: (
            204, b"", {"X-Terraform-Get": f"{server.origin}/module.tar.gz"}))
        server.route("/module.tar.gz", lambda *_: (200, module.getvalue(), {"Content-Type": "application/gzip"}),
                     open_to_all=True)

    def prepare(self, stage):
        stage.out("setup", "terraform", "--yes")

    def fetch(self, stage, server):
        project = stage.work / "module"
        shutil.rmtree(project, ignore_errors=True)
        project.mkdir()
        (project / "main.tf").write_text(
            f'module "toy" {{\n  source  = "{server.authority}/toy/toy/null"\n  version = "1.0.0"\n}}\n')
        stage.run(["terraform", "init", "-input=false", "-no-color"], cwd=project, SSL_CERT_FILE=stage.certificate,
                  CHECKPOINT_DISABLE="1")


@program
class Kubectl(Program):
    name, always, tls, protocol = "kubectl", True, True, "exec plugin (ID token), `keyfob setup kubernetes --only-hosts`"

    def version(self, stage):
        out = stage.run(["kubectl", "version", "--client", "-o", "json"], may_fail=True)
        return json.loads(out[out.index("{"):])["clientVersion"]["gitVersion"].lstrip("v").partition("-")[0]

    def serve(self, stage, server):
        server.route("/fetched", lambda *_: (200, b'{"fetched":true}', {}))

    def prepare(self, stage):
        stage.out("setup", "kubernetes", "--only-hosts", "--yes")
        path = stage.home / ".kube/config"
        version = tuple(int(part) for part in self.version(stage).split(".")[:2])
        text = path.read_text()
        if version < (1, 22):  # Debian's knows the older name of the same form alone.
            text = text.replace("authentication.k8s.io/v1\n", "authentication.k8s.io/v1beta1\n")
        clusters = [
            f"{{name: {name}, cluster: {{server: '{server.origin}', certificate-authority: '{stage.certificate}'}}}}"
            for name, server in (("ours", stage.ours_tls), ("foreign", stage.foreign_tls))
        ]
        contexts = [f"{{name: {name}, context: {{cluster: {name}, user: keyfob}}}}" for name in ("ours", "foreign")]
        path.write_text(text + f"contexts: [{', '.join(contexts)}]\nclusters: [{', '.join(clusters)}]\n")

    def fetch(self, stage, server):
        context = "ours" if server is stage.ours_tls else "foreign"
        if "fetched" not in stage.run(["kubectl", "--context", context, "get", "--raw", "/fetched"]):
            raise Failed("not what is there")

    # kubectl gives up when its plugin does, before it asks.
    def spares_others(self, stage):
        refused_first(self, stage)


def wheel():
    """A package of Python's, as small as may be."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("keyfobtoy.py", "")
        made.writestr("keyfobtoy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: keyfobtoy\nVersion: 1.0\n")
        made.writestr("keyfobtoy-1.0.dist-info/WHEEL",
                      "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("keyfobtoy-1.0.dist-info/RECORD", "")
    return file.getvalue()


class Index(Program):
    protocol = "`keyring`, a link to keyfob in PATH"

    def serve(self, stage, server):
        page = b'<a href="/files/keyfobtoy-1.0-py3-none-any.whl">keyfobtoy-1.0-py3-none-any.whl</a>'
        server.route("/simple/keyfobtoy/", lambda *_: (200, page, {"Content-Type": "text/html"}))
        server.route("/files/", lambda *_: (200, wheel(), {"Content-Type": "application/zip"}))

    def prepare(self, stage):
        link = stage.bin / "keyring"
        if not link.exists():
            link.symlink_to(stage.keyfob)

    def index(self, server):
        return server.origin.replace("://", "://oauth2@") + "/simple/"


@program
class Uv(Index):
    name, always = "uv", True

    def version(self, stage):
        return stage.run([stage.python("uv"), "--version"]).split()[1]

    def fetch(self, stage, server):
        target = stage.work / "uv-target"
        shutil.rmtree(target, ignore_errors=True)
        stage.run([stage.python("uv"), "pip", "install", "-q", "--no-cache", "--keyring-provider", "subprocess",
                   "--python", stage.python("python"), "--target", target, "--index-url", self.index(server), "keyfobtoy"],
                  UV_HTTP_RETRIES="0")
        if not (target / "keyfobtoy.py").exists():
            raise Failed("not installed")


@program
class Pip(Index):
    name = "pip"

    def version(self, stage):
        return stage.run([stage.python("python"), "-m", "pip", "--version"]).split()[1]

    def fetch(self, stage, server):
        target = stage.work / "pip-target"
        shutil.rmtree(target, ignore_errors=True)
        stage.run([stage.python("python"), "-m", "pip", "install", "-q", "--no-cache-dir", "--no-input", "--retries", "0",
                   "--disable-pip-version-check", "--keyring-provider", "subprocess", "--target", target,
                   "--index-url", self.index(server), "keyfobtoy"], PIP_CONFIG_FILE="/dev/null")
        if not (target / "keyfobtoy.py").exists():
            raise Failed("not installed")


@program
class Pnpm(Program):
    name, protocol = "pnpm", "token helper, `keyfob setup pnpm`"
    bound = "the person's .npmrc says which registry a helper is for"

    def binary(self, stage):
        return stage.node("@pnpm/exe.linux-x64/pnpm")

    def version(self, stage):
        return first_line(stage.run([self.binary(stage), "--version"]))

    def serve(self, stage, server):
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w:gz") as tar:
            content = b'{"name":"keyfobtoy","version":"1.0.0"}'
            info = tarfile.TarInfo("package/package.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        packed = text.getvalue()
        dist = {"tarball": f"{server.origin}/keyfobtoy/-/keyfobtoy-1.0.0.tgz", "shasum": hashlib.sha1(packed).hexdigest()}
        page = {"name": "keyfobtoy", "dist-tags": {"latest": "1.0.0"},
                "versions": {"1.0.0": {"name": "keyfobtoy", "version": "1.0.0", "dist": dist}}}
        server.route("/keyfobtoy/-/", lambda *_: (200, packed, {"Content-Type": "application/octet-stream"}))
        server.route("/keyfobtoy", lambda *_: (200, json.dumps(page).encode(), {}))

    def prepare(self, stage):
        stage.out("setup", "pnpm", "--yes")

    def fetch(self, stage, server):
        project = stage.work / "pnpm"
        for old in (project, stage.home / ".cache/pnpm", stage.home / ".local/share/pnpm"):
            shutil.rmtree(old, ignore_errors=True)
        project.mkdir()
        (project / "package.json").write_text('{"name":"p","version":"1.0.0","dependencies":{"keyfobtoy":"1.0.0"}}')
        (project / ".npmrc").write_text(f"registry={server.origin}/\nfetch-retries=0\n")
        stage.run([self.binary(stage), "install"], cwd=project)
        if not (project / "node_modules/keyfobtoy/package.json").exists():
            raise Failed("not installed")


class Pipe(Program):
    """Headers from standard input, or from a file."""

    line = ""
    protocol = "`keyfob header --for URL`"

    def serve(self, stage, server):
        server.route("/fetched", lambda *_: (200, b'{"fetched":true}', {}))

    def fetch(self, stage, server):
        out = stage.run(["bash", "-c", self.line.replace("URL", f"{server.origin}/fetched")])
        if '"fetched":' not in out.replace(" ", ""):
            raise Failed(out)


@program
class Curl(Pipe):
    name, always = "curl", True
    line = "keyfob header --for URL | curl -sS --fail-with-body -H @- URL"

    def version(self, stage):
        return stage.run(["curl", "--version"]).split()[1]


@program
class Httpie(Pipe):
    name = "httpie"
    line = "http --check-status --ignore-stdin --pretty none URL Authorization:@<(keyfob header --for URL | sed -n 's/^Authorization: //p' | tr -d '\\n')"

    def version(self, stage):
        return first_line(stage.run(["http", "--version"]))


class Library(Program):
    """A program that goes on: it asks twice, and the credential is over in between."""

    survives = "in one process"
    script = ""
    package = ""

    def python(self, stage):
        return stage.python("python")

    def version(self, stage):
        out = stage.run([self.python(stage), "-c", f"import importlib.metadata as m; print(m.version('{self.package}'))"])
        return first_line(out)

    def words(self, server):
        return [server.origin]

    def begin(self, stage, server):
        script = f"import os, subprocess, sys\nfrom time import time\nURL = sys.argv[1]\n{self.script}"
        script += "for line in sys.stdin:\n    print('answer', ask(), flush=True)\n"
        more = {"PYTHONWARNINGS": "ignore", **self.more(stage, server)}
        return stage.start([self.python(stage), "-c", script, *self.words(server)], **more)

    def more(self, stage, server):
        return {}

    def ask(self, process):
        process.stdin.write("\n")
        process.stdin.flush()
        said = []
        with watched(process):
            for line in process.stdout:
                said.append(line)
                if line.startswith("answer"):
                    if "fetched" not in line:
                        raise Failed(line)
                    return
        raise Failed("".join(said))

    def finish(self, process):
        with watched(process):
            process.stdin.close()
            process.wait()

    def fetch(self, stage, server):
        process = self.begin(stage, server)
        self.ask(process)
        self.finish(process)

    def fetches(self, stage):
        # The process goes on, and is asked once more when the credential is over.
        server = self.server(stage)
        self.process = self.begin(stage, server)
        self.ask(self.process)
        if not server.good():
            raise Failed("no credential came")

    def renewed(self, stage):
        """What happens elsewhere when a credential is over."""

    def survives_expiry(self, stage):
        server = self.server(stage)
        stage.expire()
        self.renewed(stage)
        server.seen.clear()
        self.ask(self.process)
        self.finish(self.process)
        if not any(stage.is_good(token) for token in server.good()):
            raise Failed("it fetched with an old credential")


MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn", "stop_sequence": None,
    "content": [{"type": "text", "text": "fetched"}], "usage": {"input_tokens": 1, "output_tokens": 1},
}


@program
class Anthropic(Library):
    name, always, package, protocol = "anthropic (Python)", True, "anthropic", "a callable, `keyfob token --json --for URL`"
    script = """
import json
from anthropic import AccessToken, Anthropic
def credentials(*, force_refresh=False):
    said = json.loads(subprocess.run(["keyfob", "token", "--json", "--for", URL], check=True, stdout=subprocess.PIPE).stdout)
    if force_refresh and said["handle"]:
        again = ["keyfob", "token", "--json", "--for", URL, "--rejected", said["handle"]]
        said = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
    return AccessToken(token=said["token"], expires_at=0)
client = Anthropic(credentials=credentials, base_url=URL, max_retries=1)
def ask():
    return client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]).content[0].text
"""

    def serve(self, stage, server):
        server.route("/v1/messages", lambda *_: (200, json.dumps(MESSAGE).encode(), {}))

    # Refused before anything is asked: that nothing comes there is what is wanted.
    def spares_others(self, stage):
        refused_first(self, stage)


@program
class OpenAi(Anthropic):
    name, package, protocol = "openai (Python)", "openai", "a callable, `keyfob token --for URL`"
    script = """
from openai import OpenAI
def key():
    return subprocess.run(["keyfob", "token", "--for", URL], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
client = OpenAI(api_key=key, base_url=URL + "/v1", max_retries=1)
def ask():
    return client.models.retrieve("m").id
"""

    def serve(self, stage, server):
        server.route("/v1/models/", lambda *_: (200, b'{"id":"fetched","object":"model","created":1,"owned_by":"x"}', {}))


@program
class GoogleAuth(Library):
    name, always, package = "google-auth", True, "google-auth"
    protocol = "executable source (ID token), `keyfob credential-helper google`"
    bound = "the file of the credentials says which token service"
    script = """
from google.auth import pluggable
from google.auth.transport.requests import Request
from google.auth.transport.requests import AuthorizedSession
credentials = pluggable.Credentials.from_info({
    "type": "external_account", "audience": "//iam.googleapis.com/x", "token_url": URL + "/sts/v1/token",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    "credential_source": {"executable": {"command": "keyfob credential-helper google", "timeout_millis": 60000}}})
def ask():
    credentials.refresh(Request())
    return credentials.token
"""

    def more(self, stage, server):
        return {"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"}

    def serve(self, stage, server):
        def exchange(request, body):
            said = {name: value[0] for name, value in urllib.parse.parse_qs(body.decode()).items()}
            token = said.get("subject_token")
            if not stage.is_good(token):
                return 400, b'{"error":"invalid_grant"}', {}
            seen = server.seen[-1]
            server.seen[-1] = (*seen[:4], token)
            answer = {"access_token": "fetched", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                      "token_type": "Bearer", "expires_in": 3600}
            return 200, json.dumps(answer).encode(), {}

        # Who asks proves it by what is in the body.
        server.route("/sts/v1/token", exchange, open_to_all=True)


@program
class Boto(Library):
    name, always, package = "boto3", True, "boto3"
    protocol = "web identity (ID token), `keyfob setup aws`"
    bound = "AWS_ENDPOINT_URL_STS says which token service"
    script = """
import boto3
session = boto3.Session(region_name="us-east-1")
def ask():
    # It asks again when the keys of AWS are about to end, and then reads the file again.
    return session.get_credentials().get_frozen_credentials().access_key
"""

    def path(self, stage):
        return stage.home / "keyfob/kept/aws-id-token"

    def more(self, stage, server):
        return {"AWS_PROFILE": "keyfob", "AWS_ENDPOINT_URL_STS": f"{server.origin}/sts"}

    def serve(self, stage, server):
        def assume(request, body):
            said = {name: value[0] for name, value in urllib.parse.parse_qs(body.decode()).items()}
            token = said.get("WebIdentityToken")
            if not stage.is_good(token):
                return 400, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>", {
                    "Content-Type": "text/xml"}
            seen = server.seen[-1]
            server.seen[-1] = (*seen[:4], token)
            # So soon that they are never kept.
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
            answer = (
                '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>fetched</AccessKeyId><SecretAccessKey>s"
                f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{end}</Expiration></Credentials>"
                "<AssumedRoleUser><Arn>a</Arn><AssumedRoleId>b</AssumedRoleId></AssumedRoleUser>"
                "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")
            return 200, answer.encode(), {"Content-Type": "text/xml"}

        server.route("/sts", assume, open_to_all=True)

    def prepare(self, stage):
        stage.out("setup", "aws", "--role", "arn:aws:iam::123456789012:role/toy", "--yes")
        stage.keeps_files()
        self.renewed(stage)

    def renewed(self, stage):
        stage.is_kept(self.path(stage))


class Agent(Program):
    """A program that answers a 401 by asking for another credential, and goes on."""

    survives = "in one process, after a 401"

    def survives_expiry(self, stage):
        server = self.server(stage)
        server.seen.clear()

        # The token is over at the moment when it comes: it is refused, and the program has to get another one.
        def at_first_sight():
            if server.seen[-1][4] and server.seen[-1][1].startswith(self.path):
                stage.expire()
            else:
                server.before = at_first_sight

        server.before = at_first_sight
        self.fetch(stage, server)
        used = server.good()
        if not stage.dead.intersection(used) or not any(stage.is_good(token) for token in used):
            raise Failed(f"it did not go from a dead credential to a new one: {len(used)}")


def events(*said):
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in said).encode()


@program
class ClaudeCode(Agent):
    name, protocol, path = "Claude Code", "`apiKeyHelper`, `keyfob setup claude-code`", "/v1/messages"

    def binary(self, stage):
        return stage.node("@anthropic-ai/claude-code-linux-x64/claude")

    def version(self, stage):
        return first_line(stage.run([self.binary(stage), "--version"])).split()[0]

    def serve(self, stage, server):
        def answer(request, body):
            if not json.loads(body or b"{}").get("stream"):
                return 200, json.dumps(MESSAGE).encode(), {}
            begin = {**MESSAGE, "content": [], "stop_reason": None}
            return 200, events(
                {"type": "message_start", "message": begin},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "fetched"}},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                 "usage": {"output_tokens": 1}},
                {"type": "message_stop"}), {"Content-Type": "text/event-stream"}

        server.route("/v1/messages", answer)
        server.route("/", lambda *_: (200, b"{}", {}), open_to_all=True)

    def prepare(self, stage):
        settings = stage.home / ".claude/settings.json"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": self.server(stage).origin}}))
        stage.out("setup", "claude-code", "--yes")

    def fetch(self, stage, server):
        settings = stage.home / ".claude/settings.json"
        said = json.loads(settings.read_text())
        said["env"]["ANTHROPIC_BASE_URL"] = server.origin
        settings.write_text(json.dumps(said))
        out = stage.run([self.binary(stage), "-p", "say it"], CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
                        DISABLE_AUTOUPDATER="1", IS_SANDBOX="1", CLAUDE_CODE_MAX_RETRIES="2")
        if "fetched" not in out:
            raise Failed(out[-1500:])

    def spares_others(self, stage):
        server = self.foreign(stage)
        try:
            self.fetch(stage, server)
        except Failed as failed:
            said = str(failed)
        else:
            raise Failed("it got an answer")
        # One that does not get as far as that shows nothing.
        if not server.seen and "keyfob has no credential for" not in said:
            raise Failed(f"it did not ask the other host, nor does it say what keyfob said: {said}")
        if server.leaked():
            raise Failed("another host got the credential")


@program
class ClaudeCodeServers(Program):
    name, protocol = "Claude Code, MCP server", "`headersHelper`, `keyfob header --format headers-helper`"
    binary, version = ClaudeCode.binary, ClaudeCode.version

    def serve(self, stage, server):
        def answer(request, body):
            said = json.loads(body or b"{}")
            results = {
                "initialize": {"protocolVersion": said.get("params", {}).get("protocolVersion"), "capabilities": {"tools": {}},
                               "serverInfo": {"name": "toy", "version": "1"}},
                "tools/list": {"tools": []},
            }
            if said.get("method") not in results:
                return (202, b"", {}) if request.command == "POST" else (405, b"", {})
            return 200, json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": results[said["method"]]}).encode(), {}

        server.route("/mcp", answer, challenge="Bearer")

    def fetch(self, stage, server):
        helper = {"type": "http", "url": f"{server.origin}/mcp", "headersHelper": "keyfob header --format headers-helper"}
        claude = [self.binary(stage), "mcp"]
        more = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1"}
        stage.run([*claude, "remove", "-s", "user", "toy"], may_fail=True, **more)
        stage.run([*claude, "add-json", "-s", "user", "toy", json.dumps(helper)], **more)
        out = stage.run([*claude, "list"], **more)
        if "Connected" not in out:
            raise Failed(out)


@program
class Codex(Agent):
    name, protocol, path = "codex", "`auth.command`, `keyfob setup codex`", "/v1/responses"

    def binary(self, stage):
        (found,) = stage.node("@openai/codex-linux-x64").glob("vendor/*/bin/codex") or [None]
        return found

    def version(self, stage):
        out = stage.run([self.binary(stage), "--version"])
        return next(line.split()[1] for line in out.splitlines() if line.startswith("codex"))

    def serve(self, stage, server):
        item = {"type": "message", "role": "assistant", "id": "m1", "status": "completed",
                "content": [{"type": "output_text", "text": "fetched", "annotations": []}]}
        done = {"id": "r1", "object": "response", "status": "completed", "output": [item],
                "usage": {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1,
                          "output_tokens_details": None, "total_tokens": 2}}
        server.route("/v1/responses", lambda *_: (200, events(
            {"type": "response.created", "response": {"id": "r1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done}), {"Content-Type": "text/event-stream"}))

    def prepare(self, stage):
        stage.out("setup", "codex", "--provider", "company", "--base-url", f"{self.server(stage).origin}/v1", "--yes")

    def prepare_foreign(self, stage):
        text = f"""
[model_providers.other]
name = "other"
base_url = "{self.foreign(stage).origin}/v1"
wire_api = "responses"
[model_providers.other.auth]
command = "keyfob"
args = ["token", "--for", "{self.foreign(stage).origin}/v1"]
"""
        with open(stage.home / ".codex/config.toml", "a") as file:
            file.write(text)

    def fetch(self, stage, server):
        name = "company" if server is stage.ours else "other"
        out = stage.run([self.binary(stage), "exec", "--skip-git-repo-check", "-c", f"model_provider={name}",
                         "-c", "model=m", "-s", "read-only", "say it"])
        if "fetched" not in out:
            raise Failed(out[-1500:])

    spares_others = ClaudeCode.spares_others
