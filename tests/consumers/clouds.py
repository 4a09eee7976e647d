"""Those that read an identity token from a file that the agent keeps fresh, and those that publish to an index of Python's."""

import json
import subprocess
import threading
import urllib.parse
from pathlib import Path

from programs import Library, Program, program, wheel
from stage import Failed

HERE = Path(__file__).parent


INSTALL = threading.Lock()


def python(stage, name):
    """What is installed by clouds.txt, apart from what every build installs."""
    place = Path(stage.python("python")).parent.parent.with_name("clouds")
    lock = HERE / "clouds.txt"
    done = place / "installed"
    uv = stage.python("uv")
    with INSTALL:
        if not (done.exists() and done.read_text() == lock.read_text()):
            subprocess.run([uv, "venv", "-q", "--clear", place], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", place / "bin/python", "--require-hashes", "--no-deps", "-r", lock],
                           check=True)
            done.write_text(lock.read_text())
    return place / "bin" / name


class Kept(Library):
    """What it fetches it fetches with something of its own, which it is given for the identity token."""

    def python(self, stage):
        return python(stage, "python")

    def path(self, stage):
        return stage.home / "run/identity"

    def prepare(self, stage):
        stage.home.joinpath("run").mkdir(mode=0o700, exist_ok=True)
        self.set_up(stage)
        stage.keeps_files()
        self.renewed(stage)

    def set_up(self, stage):
        with open(stage.home / "keyfob/config.toml", "a") as file:
            file.write(f'[[agent.sink]]\npath = "{self.path(stage)}"\nformat = "id-token"\n')

    def renewed(self, stage):
        """The agent does it by itself."""
        stage.is_kept(self.path(stage))

    @staticmethod
    def exchanges(stage, server, request, token, answer):
        """Who asks proves it by what is in the body, which is told as if it were in a header."""
        if not stage.is_good(token):
            return 400, b'{"error":"invalid_client","errors":["no"]}', {}
        server.seen[-1] = (*server.seen[-1][:4], token)
        return 200, json.dumps(answer).encode(), {}


@program
class Azure(Kept):
    name, package, tls = "azure-identity", "azure-identity", True
    protocol = "`AZURE_FEDERATED_TOKEN_FILE` (ID token), `keyfob setup azure`"
    survives = "a new credential, in one process"
    bound = "AZURE_AUTHORITY_HOST says which token service"
    script = """
from azure.identity import WorkloadIdentityCredential
def ask():
    # One goes on with the file's text for ten minutes, and with what it got for an hour; here each is a new one.
    credential = WorkloadIdentityCredential(disable_instance_discovery=True)
    return credential.get_token("https://storage.azure.com/.default").token
"""

    def set_up(self, stage):
        stage.out("setup", "azure", "--keep", str(self.path(stage)), "--yes")

    def more(self, stage, server):
        return {"AZURE_FEDERATED_TOKEN_FILE": self.path(stage), "AZURE_CLIENT_ID": "toy", "AZURE_TENANT_ID": "toy",
                "AZURE_AUTHORITY_HOST": server.origin, "REQUESTS_CA_BUNDLE": stage.certificate}

    def serve(self, stage, server):
        base = f"{server.origin}/toy"
        metadata = {"issuer": f"{base}/v2.0", "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"}
        server.route("/toy/v2.0/.well-known/openid-configuration", lambda *_: (200, json.dumps(metadata).encode(), {}),
                     open_to_all=True)

        def exchange(request, body):
            said = {name: value[0] for name, value in urllib.parse.parse_qs(body.decode()).items()}
            answer = {"access_token": "fetched", "token_type": "Bearer", "expires_in": 3600}
            return self.exchanges(stage, server, request, said.get("client_assertion"), answer)

        server.route("/toy/oauth2/v2.0/token", exchange, open_to_all=True)


@program
class Vault(Kept):
    name, package = "hvac (Vault)", "hvac"
    protocol = "JWT login (ID token), an `[[agent.sink]]`"
    survives = "a new login, in one process"
    bound = "VAULT_ADDR says which Vault"
    script = """
import hvac
def ask():
    # Its token ends by itself, and then it has to log in again; here each does.
    client = hvac.Client(url=URL)
    client.auth.jwt.jwt_login(role="toy", jwt=open(os.environ["IDENTITY"]).read())
    return client.secrets.kv.v2.read_secret_version(path="toy", raise_on_deleted_version=True)["data"]["data"]["said"]
"""

    def more(self, stage, server):
        return {"IDENTITY": self.path(stage)}

    def serve(self, stage, server):
        server.route("/v1/auth/jwt/login", lambda request, body: self.exchanges(
            stage, server, request, json.loads(body).get("jwt"), {"auth": {"client_token": "toy"}}), open_to_all=True)
        secret = {"data": {"data": {"said": "fetched"}, "metadata": {}}}
        server.route("/v1/secret/data/toy", lambda request, _: (
            (200, json.dumps(secret).encode(), {}) if request.headers.get("X-Vault-Token") == "toy" else (403, b"{}", {})),
            open_to_all=True)


class Publishes(Program):
    """Sends a package to an index, as PyPI's own upload form is."""

    def serve(self, stage, server):
        def taken(request, body):
            return (200, b"", {}) if b"keyfobtoy" in body else (400, b"", {})

        server.route("/legacy/", taken)
        server.route("/simple/", lambda *_: (200, b"", {"Content-Type": "text/html"}))

    def package(self, stage):
        path = stage.work / "keyfobtoy-1.0-py3-none-any.whl"
        path.write_bytes(wheel())
        return path


@program
class UvPublish(Publishes):
    name, protocol = "uv publish", "`keyring`, a link to keyfob in PATH"

    def version(self, stage):
        return stage.run([stage.python("uv"), "--version"]).split()[1]

    def prepare(self, stage):
        (stage.bin / "keyring").symlink_to(stage.keyfob)

    def fetch(self, stage, server):
        stage.run([stage.python("uv"), "publish", "--keyring-provider", "subprocess", "--username", "oauth2", "--no-cache",
                   "--trusted-publishing", "never", "--publish-url", f"{server.origin}/legacy/", self.package(stage)],
                  UV_HTTP_RETRIES="0")


@program
class Twine(Publishes):
    name, protocol = "twine", "`keyring`, with the package for Python as its backend"

    def version(self, stage):
        return stage.run([python(stage, "twine"), "--version"]).split()[2]

    backend = {"PYTHON_KEYRING_BACKEND": "keyfob.keyring.KeyfobKeyring", "PYTHONPATH": HERE.parents[1] / "packages/python/src",
               "PYTHONDONTWRITEBYTECODE": "1"}

    def fetch(self, stage, server):
        stage.run([python(stage, "twine"), "upload", "--non-interactive", "--disable-progress-bar", "--username", "oauth2",
                   "--repository-url", f"{server.origin}/legacy/", self.package(stage)], **self.backend)

    def password(self, stage, server):
        """What the backend has for it, by itself: twine says the same of one that fails and of one that has nothing."""
        script = "import keyring, sys; print(keyring.get_password(sys.argv[1], 'oauth2'))"
        return stage.run([python(stage, "python"), "-c", script, f"{server.origin}/legacy/"], **self.backend).strip()

    # Without a password it sends nothing, and says so.
    def spares_others(self, stage):
        server = self.foreign(stage)
        try:
            self.fetch(stage, server)
        except Failed as failed:
            if "Credential not found for password" not in str(failed):
                raise
        else:
            raise Failed("it sent the package")
        if self.password(stage, server) != "None" or not stage.is_good(self.password(stage, self.server(stage))):
            raise Failed("the backend does not tell one host from the other")
        if server.leaked():
            raise Failed("another host got the credential")
