"""`python -m keyfob`: the command that this package brings, whether or not its directory is on PATH."""

import os
import sys
import sysconfig
from pathlib import Path


def program() -> Path:
    """The program of this installation: where its scripts are, by the ways there are to install a wheel."""
    here = Path(__file__).resolve()
    user = sysconfig.get_preferred_scheme("user")
    places = [
        Path(sysconfig.get_path("scripts")),
        Path(sysconfig.get_path("scripts", user)),
        # pip install --target DIR
        here.parents[1] / "bin",
        # pip install --prefix DIR: DIR/lib/python3.N/site-packages/keyfob
        *(parent / "bin" for parent in here.parents[3:5]),
    ]
    for place in places:
        if (place / "keyfob").is_file():
            return place / "keyfob"
    print(
        "keyfob: the program of this Python package is not where packages are installed\n"
        f"  looked in {', '.join(str(place) for place in places)}\n"
        "  install it again: python -m pip install --force-reinstall keyfob",
        file=sys.stderr,
    )
    raise SystemExit(70)


if __name__ == "__main__":
    found = str(program())
    os.execv(found, [found, *sys.argv[1:]])
