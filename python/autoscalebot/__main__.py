"""`python -m autoscalebot`: the program itself, with the same arguments."""

from __future__ import annotations

import os
import sys

from autoscalebot._find import find_autoscalebot_bin


def main() -> None:
    """Become the program; signals and the exit code are then its own."""
    try:
        program = find_autoscalebot_bin()
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    os.environ.setdefault("AUTOSCALEBOT_PYTHON", sys.executable)
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
