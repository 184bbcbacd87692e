"""What a heartbeat does, whatever framework serves it: touch each part that the app leans on, and say `Beat`.

A check is a function without arguments that raises where its part does not work. The answers are made here, so that the
Django view, the WSGI app and the ASGI app say the same.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

__all__ = ["NEVER_CACHED", "Answer", "Check", "disk", "run"]

logger = logging.getLogger("autoscalebot.heartbeat")

#: A check; an ASGI app also takes one that is a coroutine function.
Check = Callable[[], Any]

#: A heartbeat from a cache says how the cache is. The second line is for proxies that know only HTTP/1.0.
NEVER_CACHED = {
    "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private",
    "Expires": "0",
    "Pragma": "no-cache",
}


@dataclass(frozen=True)
class Answer:
    """What a heartbeat answers, as text/plain."""

    status: int
    body: str

    @property
    def reason(self) -> str:
        """The words after the status."""
        return "OK" if self.status == 200 else "Service Unavailable"


BEAT = Answer(200, "Beat")


def failed(part: str, error: BaseException) -> Answer:
    """Name the part that failed. The error may hold a host or a password: the log has it, the answer its type only."""
    logger.error("heartbeat: %s failed: %s", part, error, exc_info=error)
    return Answer(503, f"{part} failed: {type(error).__name__}")


def run(checks: Mapping[str, Check]) -> Answer:
    """Run the checks in order, up to the first that fails."""
    for part, check in checks.items():
        try:
            check()
        except Exception as error:
            return failed(part, error)
    return BEAT


def disk() -> None:
    """Write a temporary file and read it again."""
    written = os.urandom(1024)
    with tempfile.TemporaryFile() as file:
        file.write(written)
        file.flush()
        file.seek(0)
        if file.read() != written:
            raise OSError("a temporary file does not hold what was written to it")
