"""Messages in Python's log."""

from __future__ import annotations

import logging
from typing import Any

from autoscalebot.backends.notification.base import NotificationBackend

logger = logging.getLogger("autoscalebot.LoggerBackend")


class LoggerBackend(NotificationBackend):
    """Logs each message to the logger `autoscalebot.LoggerBackend`."""

    def send_notification(
        self, message: str | None = None, log_level: int | str = "INFO", *args: Any, **kwargs: Any
    ) -> None:
        """Log the message at a level, by its number or its name."""
        level = log_level if isinstance(log_level, int) else logging.getLevelName(log_level.upper())
        logger.log(level if isinstance(level, int) else logging.INFO, message)
