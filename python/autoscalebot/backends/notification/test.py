"""Messages in a list, for tests."""

from __future__ import annotations

from typing import Any

from autoscalebot.backends.notification.base import NotificationBackend


class TestBackend(NotificationBackend):
    """Keeps each message in :attr:`messages`."""

    #: Keeps pytest from taking the class for a test.
    __test__ = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with no messages."""
        super().__init__(*args, **kwargs)
        self.messages: list[str | None] = []

    def send_notification(self, message: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Keep the message."""
        self.messages.append(message)

    def clear_messages(self) -> None:
        """Forget all messages."""
        self.messages = []
