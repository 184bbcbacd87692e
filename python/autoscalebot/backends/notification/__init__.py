"""Notification backends, under the names that autoscalebot 2.1 gave them."""

from __future__ import annotations

from autoscalebot.backends.notification.base import Autoscaler, NotificationBackend
from autoscalebot.backends.notification.console import ConsoleBackend
from autoscalebot.backends.notification.django_email import DjangoEmailBackend
from autoscalebot.backends.notification.logger import LoggerBackend
from autoscalebot.backends.notification.test import TestBackend

__all__ = [
    "Autoscaler",
    "ConsoleBackend",
    "DjangoEmailBackend",
    "LoggerBackend",
    "NotificationBackend",
    "TestBackend",
]
