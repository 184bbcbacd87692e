"""Mail to the `ADMINS` of a Django project, through Django's own mail settings."""

from __future__ import annotations

from typing import Any

from autoscalebot.backends.notification.base import NotificationBackend


class DjangoEmailBackend(NotificationBackend):
    """Mails each message to `ADMINS`.

    2.1 swallowed what went wrong; here it is raised, so that it is logged and, where that may help, tried again.
    """

    def send_notification(
        self, message: str | None = None, subject: str = "autoscalebot", *args: Any, **kwargs: Any
    ) -> None:
        """Mail the message."""
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.mail import mail_admins

        if not settings.ADMINS:
            raise ImproperlyConfigured("ADMINS is empty, so DjangoEmailBackend has nobody to mail to: add an address")
        # A subject is one line, whatever name an app may have.
        mail_admins(" ".join(subject.split()), message or "")

    def _tell(self, subject: str, message: str) -> str:
        sentence = self.autoscaler.event.get("message")
        self.send_notification(subject=subject, message=f"{message}\n\n{sentence}" if sentence else message)
        return message
