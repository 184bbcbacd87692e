"""Starts the program with settings on its standard input: never on disk, and never in the process list."""

from __future__ import annotations

import os
import sys

from autoscalebot._find import find_autoscalebot_bin

#: A pipe holds this much on every system before a writer has to wait for the reader.
PIPE_HOLDS = 16 * 1024


def environment() -> dict[str, str]:
    """Return the environment for the program: with it, it can run backends and decisions in this same Python."""
    return {
        **os.environ,
        "AUTOSCALEBOT_PYTHON": sys.executable,
        # `manage.py` may be in another folder than the working one; what it can import, the child can.
        "AUTOSCALEBOT_PYTHON_PATH": os.pathsep.join(path for path in sys.path if path),
    }


def become(arguments: list[str], text: str) -> None:
    """Become the program. Signals, the exit code and the process id are then its own; this never returns."""
    program = find_autoscalebot_bin()
    data = text.encode()
    reader, writer = os.pipe()
    if len(data) <= PIPE_HOLDS:
        _write(writer, data)
    else:
        _write_beside(reader, writer, data)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(reader, 0)
    os.execve(program, [program, "--settings=-", *arguments], environment())


def _write_beside(reader: int, writer: int, data: bytes) -> None:
    """Let another process go on writing while the program reads."""
    child = os.fork()
    if child == 0:
        try:
            # Nobody's child, so that the program has none that it does not know of.
            if os.fork() == 0:
                os.close(reader)
                _write(writer, data)
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)


def _write(writer: int, data: bytes) -> None:
    with open(writer, "wb") as pipe:
        pipe.write(data)
