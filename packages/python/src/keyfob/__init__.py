"""Credentials from keyfob, which signs in once and hands every program a valid one: docs/protocol.md of keyfob."""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import subprocess
import sysconfig
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Client", "Credential", "Error", "find_program"]


class Error(Exception):
    """Why there is no credential: what failed, why, and one thing to do. `id` and `exit_code` are stable; 4 means that a
    person has to sign in, 6 that asking later is right."""

    def __init__(self, id: str, what: str, why: str, hint: str, exit_code: int, cause: str | None = None, **_: Any):
        super().__init__(f"{what}: {why} (hint: {hint})")
        self.id, self.what, self.why, self.hint, self.exit_code, self.cause = id, what, why, hint, exit_code, cause

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.id, self.what, self.why, self.hint, self.exit_code, self.cause)


@dataclass(frozen=True)
class Credential:
    """What to send. Neither its `repr` nor that of a client shows it. Ask for another one before every request."""

    headers: Mapping[str, str] = field(repr=False)
    token: str = field(repr=False)
    kind: str
    source: str
    handle: str | None
    profile: str | None
    expires_at: str | None
    expires_in: int | None
    warning: Mapping[str, Any] | None = None


def _places() -> list[Path]:
    """Where the program of this installation is, by the ways there are to install a wheel."""
    here = Path(__file__).resolve()
    scripts = sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    # The last is of pip install --target DIR. For --prefix DIR: DIR/lib/python3.N/site-packages/keyfob.
    places = [here.parent / "bin", *map(Path, scripts), here.parents[1] / "bin"]
    if len(here.parents) > 4 and here.parents[2].name.startswith("python3"):
        places.append(here.parents[4] / "bin")
    return places


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """The program: as given, the one that came with this package, or in PATH. No variable of keyfob's own is read: one that a
    repository sets must not name what is run."""
    if program is not None:
        return os.fspath(program)
    for place in [*_places(), *(Path(part) for part in os.get_exec_path() if os.path.isabs(part))]:
        if found := shutil.which("keyfob", path=str(place)):
            return found
    raise Error("keyfob-missing", "keyfob cannot be started", "it is not installed", "install keyfob, or give its path as `program`", 2)


class _Child:
    """A process that answers, and who waits for its answers."""

    def __init__(self, words: list[str]):
        try:
            # Unbuffered: a buffer's lock may be held for ever in a process that was forked meanwhile.
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except OSError as error:
            raise Error("keyfob-missing", "keyfob cannot be started", str(error), "give its path as `program`", 2) from error
        # Who writes may wait until the process reads, and that until its answers are read: who reads never takes `writing`.
        self.writing, self.lock = threading.Lock(), threading.Lock()
        # It takes no more questions.
        self.has_ended = False
        self.waiting = dict[int, "queue.SimpleQueue[Any]"]()
        threading.Thread(target=self._read, name="keyfob", daemon=True).start()

    def _read(self) -> None:
        rest, source = b"", self.process.stdout
        while source and (more := os.read(source.fileno(), 1 << 16)):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                try:
                    answer = json.loads(line)
                    box = self._taken(answer.get("id"))
                except (ValueError, AttributeError, TypeError):
                    continue  # It is none, and nobody's: who waits for one is told when its time is over.
                if box:
                    box.put(answer)
        with self.lock:
            self.has_ended = True
            for box in self.waiting.values():
                box.put(None)
        if source:
            source.close()
        self.process.wait()

    def _taken(self, number: Any) -> Any:
        with self.lock:
            return self.waiting.pop(number, None)

    def ask(self, question: dict[str, Any], seconds: float) -> Any:
        """The answer, or `None` if the process has ended without one."""
        box: queue.SimpleQueue[Any] = queue.SimpleQueue()
        line, target = memoryview(json.dumps(question).encode() + b"\n"), self.process.stdin
        with self.lock:
            if self.has_ended or target is None:
                return None
            self.waiting[question["id"]] = box
        try:
            with self.writing:
                while line:
                    line = line[os.write(target.fileno(), line) :]
        except (OSError, ValueError):  # It has ended, which its reader may not know yet, or was closed meanwhile.
            with self.lock:
                self.has_ended = True
                self.waiting.pop(question["id"], None)
            return None
        try:
            return box.get(timeout=seconds)
        except queue.Empty:
            self._taken(question["id"])
            # What it has started may hold its pipes for long: the next question starts another one, and closes those.
            self.has_ended = True
            self.process.kill()
            raise Error("keyfob-silent", "keyfob does not answer", f"nothing came within {seconds:.0f} s", "ask again", 6) from None

    def leave(self) -> None:
        """The process ends when it has answered what it was asked before."""
        with self.lock:
            self.has_ended = True
        with self.writing:
            if self.process.stdin:
                self.process.stdin.close()


class Client:
    """Asks one keyfob, which is started when it is first needed and again when it has ended. For any number of threads; a
    process that was forked starts its own."""

    _child: _Child | None = None

    def __init__(self, *, profile: str | None = None, environment: str | None = None, program: str | os.PathLike[str] | None = None):
        options = {"--profile": profile, "--environment": environment}
        self._words = [find_program(program), "serve", "--stdio", *(f"{name}={value}" for name, value in options.items() if value)]
        self._forget()
        _clients.add(self)

    def _forget(self) -> None:
        self._lock, self._numbers = threading.Lock(), itertools.count(1)
        self._child = None

    def get(self, uri: str | None = None, *, profile: str | None = None, kind: str = "access", min_valid: int = 0, rejected: str | None = None, wait: int = 10) -> Credential:
        """A credential for a request to this address, renewed if that is due. `rejected` is the handle of one that was
        answered with 401. Raises `Error`: `url-not-approved` where the address is no host of the environment."""
        question = dict(v=1, uri=uri, profile=profile, kind=kind, min_valid=min_valid, rejected=rejected, wait=wait)
        for _ in range(2):
            with self._lock:
                if self._child and self._child.has_ended:
                    self.close()
                self._child = self._child or _Child(self._words)
                child, question["id"] = self._child, next(self._numbers)
            if answer := child.ask(question, wait + 20):
                if "error" in answer:
                    raise Error(**answer["error"])
                answer["headers"] = {name: ", ".join(values) for name, values in answer["headers"].items()}
                return Credential(**{name: answer.get(name) for name in Credential.__dataclass_fields__})
        raise Error("keyfob-ended", "keyfob has ended without an answer", "its standard error says why", "try `keyfob token`", 70)

    def token(self, uri: str | None = None) -> str:
        """The token alone. `client.token` is a callable as SDKs take it, such as `OpenAI(api_key=client.token)`."""
        return self.get(uri).token

    def close(self) -> None:
        """Ends the process. It ends with this one too."""
        child, self._child = self._child, None
        if child:
            child.leave()

    __del__ = close


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        if child := client._child:
            # What it reads and writes is the parent's, and so is whoever held its locks.
            child.lock, child.writing = threading.Lock(), threading.Lock()
            child.leave()
            if child.process.stdout:
                child.process.stdout.close()
            child.process.returncode = 0
        client._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
