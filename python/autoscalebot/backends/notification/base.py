"""The class that every notification backend extends, and what it sees of the app it tells about."""

from __future__ import annotations

from typing import Any

__all__ = ["Autoscaler", "NotificationBackend"]


class Autoscaler:
    """What a backend sees of the app: the facts of the tick that it is told about."""

    def __init__(self) -> None:
        """Begin without facts; the first call brings them."""
        #: How many dynos run; ``None`` where the platform did not say.
        self.num_dynos: int | None = None
        #: The app's name in the settings, and its process type.
        self.app: str = ""
        self.process: str = ""
        #: The event as the program tells it: its name, its sentence, and the whole decision record.
        self.event: dict[str, Any] = {}

    def _bound(self, name: str) -> int | None:
        bounds = (self.event.get("record") or {}).get("bounds") or {}
        return bounds.get(name)

    def min_num_dynos(self) -> int | None:
        """Return the minimum in force."""
        return self._bound("min")

    def max_num_dynos(self) -> int | None:
        """Return the maximum in force."""
        return self._bound("max")

    @property
    def settings(self) -> _Settings:
        """The AUTOSCALE_ settings of the Django project, by their names without the prefix."""
        return _Settings()

    def _told(self, event: dict[str, Any]) -> None:
        self.event = event
        self.num_dynos = event.get("dynos")
        self.app = event.get("app", "")
        self.process = event.get("process", "")


class _Settings:
    """Reads a setting when it is asked for, so that no secret lies about."""

    def __getattr__(self, name: str) -> Any:
        from django.conf import settings

        return getattr(settings, f"AUTOSCALE_{name}")


class NotificationBackend:
    """Tells somebody. A subclass needs :meth:`send_notification`; the other methods have their text here."""

    def __init__(self, autoscaler: Autoscaler, *args: Any, **kwargs: Any) -> None:
        """Keep the app that is told about."""
        self.autoscaler = autoscaler

    def send_notification(self, message: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Tell a message. ``subject`` may come as a keyword."""
        raise NotImplementedError(f"{type(self).__name__} has no send_notification")

    def _tell(self, subject: str, message: str) -> str:
        self.send_notification(message=message)
        return message

    def notify_scale_diff_too_big(self, *args: Any, **kwargs: Any) -> Any:
        """Tell that the number of dynos moved further within a time than the settings call usual."""
        dynos = self.autoscaler.num_dynos
        return self._tell(
            "Scaling is too rapid", f"The number of dynos moves further and faster than usual; it is {dynos} now."
        )

    def notify_needs_above_max(self, *args: Any, **kwargs: Any) -> Any:
        """Tell that more dynos are needed than the maximum allows."""
        dynos = self.autoscaler.num_dynos
        return self._tell(
            "More dynos are needed than the maximum", f"All {dynos} dynos of the maximum run, and answers are too slow."
        )

    def notify_needs_below_min(self, *args: Any, **kwargs: Any) -> Any:
        """Tell that fewer dynos would do than the minimum demands."""
        dynos = self.autoscaler.num_dynos
        return self._tell(
            "Fewer dynos than the minimum would do",
            f"Only the minimum of {dynos} dynos runs, and answers are fast enough for fewer.",
        )

    def notify_scale_failed(self, *args: Any, **kwargs: Any) -> Any:
        """Tell that a scaling call failed."""
        dynos = self.autoscaler.num_dynos
        return self._tell("Scaling failed", f"A scaling call failed; {dynos} dynos run, and it will be tried again.")

    def notify_scaled(self, *args: Any, **kwargs: Any) -> Any:
        """Tell that the number of dynos changed."""
        dynos = self.autoscaler.num_dynos
        return self._tell(f"Scaled to {dynos} dynos", f"Scaled to {dynos} dynos.")

    def ping_complete(self, time: float | None, result: str, *args: Any, **kwargs: Any) -> Any:
        """Tell of a heartbeat: how long it took in milliseconds, and ``"low"``, ``"right"`` or ``"high"``."""
        took = "no answer" if time is None else f"{time:.0f} ms"
        return self._tell(f"Heartbeat: {took}", f"Heartbeat: {took}, {result}")
