"""A heartbeat for any WSGI framework.

::

    from autoscalebot.wsgi import heartbeat_app

    heartbeat = heartbeat_app({"database": lambda: db.execute("SELECT 1")})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable

from autoscalebot import heartbeat

__all__ = ["heartbeat_app"]

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def heartbeat_app(checks: Mapping[str, heartbeat.Check] | None = None) -> WsgiApp:
    """Make a WSGI app that runs these checks for each request; without any, it touches the disk."""
    parts = {"disk": heartbeat.disk} if checks is None else dict(checks)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = heartbeat.run(parts)
        body = answer.body.encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            **heartbeat.NEVER_CACHED,
        }
        start_response(f"{answer.status} {answer.reason}", list(headers.items()))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    return app
