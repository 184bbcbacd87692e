"""Messages on standard output."""

from __future__ import annotations

from typing import Any

from autoscalebot.backends.notification.base import NotificationBackend


class ConsoleBackend(NotificationBackend):
    """Prints each message."""

    def send_notification(self, message: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Print the message."""
        print(message, flush=True)
