"""Between a program and the proxy: passes on what comes, and keeps a copy of it. As a command it stands in front of a program
that finds the proxy in its variables:

    tap.py DIRECTORY COMMAND ARGUMENT..."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path


class Tap:
    def __init__(self, directory, name, listener, connect):
        self.directory, self.name, self.listener, self.connect = Path(directory), name, listener, connect
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            with contextlib.suppress(OSError):
                client, _ = self.listener.accept()
                number += 1
                server = self.connect()
                for what, source, target in [("asked", client, server), ("answered", server, client)]:
                    copy = self.directory / f"{self.name}-{number}-{what}"
                    threading.Thread(target=self.pass_on, args=(source, target, copy), daemon=True).start()

    @staticmethod
    def pass_on(source, target, copy):
        with open(copy, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while octets := source.recv(65536):
                # Before it is passed on: whoever has seen an answer finds the copy.
                file.write(octets)
                target.sendall(octets)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def on_loopback(directory, name, url):
    """Another address for the same."""
    url = urllib.parse.urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    Tap(directory, name, listener, lambda: socket.create_connection((url.hostname, url.port)))
    return url._replace(netloc=f"127.0.0.1:{listener.getsockname()[1]}").geturl()


def at_socket(directory, name, path, behind):
    def connect():
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(behind))
        return server

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    Tap(directory, name, listener, connect)


def main():
    directory, *command = sys.argv[1:]
    for name, value in list(os.environ.items()):
        if name.endswith("_BASE_URL") and value.startswith("http://127.0.0.1:"):
            os.environ[name] = on_loopback(directory, name, value)
    sys.exit(subprocess.run(command).returncode)


if __name__ == "__main__":
    main()
