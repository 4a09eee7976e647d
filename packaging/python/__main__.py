"""`python -m keyfob`: the command that this package brings, whether or not its directory is on PATH."""

import os
import sys

from keyfob import _places


def program() -> str:
    """The program of this installation, and no other one that PATH may lead to."""
    places = _places()
    for place in places:
        if (place / "keyfob").is_file():
            return str(place / "keyfob")
    print(
        "keyfob: the program of this Python package is not where packages are installed\n"
        f"  looked in {', '.join(map(str, places))}\n"
        "  install it again: python -m pip install --force-reinstall keyfob",
        file=sys.stderr,
    )
    raise SystemExit(70)


if __name__ == "__main__":
    found = program()
    try:
        os.execv(found, [found, *sys.argv[1:]])
    except OSError as error:
        print(
            f"keyfob: {found} cannot be started\n"
            f"  {error.strerror}: it is damaged, or for another kind of machine than this one ({os.uname().machine})\n"
            "  install it again, here: python -m pip install --force-reinstall keyfob",
            file=sys.stderr,
        )
        raise SystemExit(70) from None
