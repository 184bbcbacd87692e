"""A heartbeat for any ASGI framework.

::

    from autoscalebot.asgi import heartbeat_app

    app.mount("/heartbeat", heartbeat_app({"database": check_database}))
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, Callable

from autoscalebot import heartbeat

__all__ = ["heartbeat_app"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


async def _run(checks: Mapping[str, heartbeat.Check]) -> heartbeat.Answer:
    for part, check in checks.items():
        try:
            if inspect.iscoroutinefunction(check):
                await check()
            else:
                # A check that blocks would hold up every other request of this process.
                await asyncio.to_thread(check)
        except Exception as error:
            return heartbeat.failed(part, error)
    return heartbeat.BEAT


def heartbeat_app(checks: Mapping[str, heartbeat.Check] | None = None) -> AsgiApp:
    """Make an ASGI app that runs these checks for each request, plain or async; without any, it touches the disk."""
    parts = {"disk": heartbeat.disk} if checks is None else dict(checks)

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            raise RuntimeError(f"a heartbeat answers HTTP, not {scope['type']}")
        answer = await _run(parts)
        body = answer.body.encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            **heartbeat.NEVER_CACHED,
        }
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app
