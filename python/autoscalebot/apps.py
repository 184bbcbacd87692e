"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from autoscalebot import checks, old_urls


class AutoscalebotConfig(AppConfig):
    """Registers the checks. There is no model: adding the app needs no migration."""

    name = "autoscalebot"
    verbose_name = "autoscalebot"

    def ready(self) -> None:
        """Look for a URLconf in the form of 2.1, which Django cannot read, before Django tries."""
        old_urls.refuse()
        register(checks.check_settings, "autoscalebot")
