"""What processes have: variables, arguments, memory, open files. Of Linux, by proc(5)."""

import array
import contextlib
import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
PIECE = 16 << 20


def below(pid, left_out):
    """Everything that a process has started, and what that has, but for what runs `left_out`."""
    children = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(place.name))
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child)
            with contextlib.suppress(OSError):
                if not os.path.samefile(f"/proc/{child}/exe", left_out):
                    found.append(child)
    return found


def present(pid, begin, end):
    """The parts of a mapping that have anything in them: a garbage collector reserves gigabytes."""
    with open(f"/proc/{pid}/pagemap", "rb") as file:
        at = begin
        while at < end:
            pages = min((end - at) // PAGE, 1 << 18)
            file.seek(at // PAGE * 8)
            entries = array.array("Q", file.read(pages * 8))
            if not entries:
                return
            first = None
            for number, entry in enumerate([*entries, 0]):
                if entry >> 62 and number < len(entries):
                    first = number if first is None else first
                elif first is not None:
                    yield at + first * PAGE, at + number * PAGE
                    first = None
            at += pages * PAGE


def holds(pid, words):
    """Which of the words its memory has in it."""
    found = set()
    overlap = max(map(len, words))
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            addresses, rights, *_ = line.split()
            begin, end = (int(address, 16) for address in addresses.split("-"))
            # What cannot be written came from a file, and the kernel's own pages cannot be read.
            if not rights.startswith("rw"):
                continue
            last, rest = None, b""
            for begin, end in present(pid, begin, end):
                if begin != last:
                    rest = b""
                while begin < end:
                    with contextlib.suppress(OSError):
                        memory.seek(begin)
                        text = rest + memory.read(min(PIECE, end - begin))
                        found.update(word for word in words if word in text)
                        rest = text[-overlap:]
                    begin += PIECE
                last = end
    return found


def shown(pid, words):
    """Where a process has one of the words, in whatever another one could read or it could print."""
    place = Path(f"/proc/{pid}")
    found = []
    for what in ("environ", "cmdline"):
        text = (place / what).read_bytes()
        found += [(what, word) for word in words if word in text]
    return found + [("memory", word) for word in holds(pid, words)]


def open_below(pid, directory):
    """What it has open in a directory."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(descriptor).startswith(f"{directory}/"):
                found.append(os.readlink(descriptor))
    return found
